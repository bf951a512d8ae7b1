"""The page in Chromium: seconds to the first picture of a running agent, and the longest time for which it did nothing else.

python bench/page.py        needs playwright and Debian's chromium

Of each longest task it says the time on the clock, and the time that the page's thread had a processor: on a machine that is busy with
other work only the second says something about the page.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from playwright.sync_api import sync_playwright

AGENTS = Path(__file__).resolve().parent.parent / "tests" / "server" / "agents_path"
SETTINGS = """
executors = ["jail"]
runs_folder = "{runs}"
[agents.fast]
agent = "shown_agents:fast"
[agents.lines]
agent = "shown_agents:long_output"
[agents.steps]
agent = "shown_agents:many_steps"
[agents.calls]
agent = "shown_agents:many_calls"
[agents.endless]
agent = "scripted_agents:endless"
"""
_TASKS = ("RunTask", "ThreadControllerImpl::RunTask")


def begin(folder: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a service; return it and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Path(folder, "s.toml")
    settings.write_text(SETTINGS.format(runs=Path(folder, "runs")))
    command = [sys.executable, "-m", "pinjra", "serve", "--config", str(settings), "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(AGENTS)})
    url = f"http://127.0.0.1:{port}"
    while True:
        try:
            httpx.get(f"{url}/ready")
            return process, url
        except httpx.HTTPError:
            time.sleep(0.05)


def started(url: str, agent: str) -> str:
    """Give an agent a task; return the run's id."""
    run: str = httpx.post(f"{url}/v1/agents/{agent}/runs", json={"task": "measure"}, timeout=60).json()["id"]
    return run


def first_picture(browser, url: str, run: str) -> float:
    """Return the seconds from opening the address to the first step on the screen."""
    context = browser.new_context()
    page = context.new_page()
    page.wait_for_timeout(1000)  # until the browser has done what it does for a new window
    begun = time.perf_counter()
    page.goto(f"{url}/#/runs/{run}", wait_until="commit")
    page.locator(".step").first.wait_for()
    seconds = time.perf_counter() - begun
    context.close()
    return seconds


def longest_task(browser, url: str, run: str, last: str) -> tuple[float, float]:
    """Return the longest task of the page's thread from opening a run until its end is shown: milliseconds, and of processor."""
    context = browser.new_context()
    page = context.new_page()
    page.wait_for_timeout(1000)
    browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    page.goto(f"{url}/#/runs/{run}")
    page.locator(last).first.wait_for(timeout=180_000)
    page.wait_for_timeout(500)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    context.close()
    # Chromium's own pages (of its address bar) are drawn by processes of their own.
    ours = {
        event["pid"] for event in events if event["name"] == "ParseHTML" and url in json.dumps(event["args"])
    }
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name"
        and event["args"]["name"] == "CrRendererMain"
        and event["pid"] in ours
    }
    tasks = [event for event in events if event["name"] in _TASKS and (event["pid"], event["tid"]) in threads]
    return tuple(max(task.get(key, 0) for task in tasks) / 1000 for key in ("dur", "tdur"))


def main() -> None:
    """Print the figures."""
    chromium = shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        process, url = begin(folder)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            run = started(url, "endless")
            first_picture(browser, url, run)
            times = [first_picture(browser, url, run) for _ in range(7)]
            print(f"first picture of a running agent: {statistics.median(times) * 1000:.0f} ms (median of 7)")
            httpx.post(f"{url}/v1/runs/{run}/interrupt")
            for agent, what in (
                ("fast", "a model's 1,000 pieces a second"),
                ("calls", "900 calls of a tool in one step"),
                ("lines", "10,000 lines"),
                ("steps", "200 steps"),
            ):
                run = started(url, agent)
                live, again = (longest_task(browser, url, run, ".answer") for _ in range(2))
                print(
                    f"{what}: longest task {live[0]:.0f} ms ({live[1]:.0f} of processor); "
                    f"opened again at its end: {again[0]:.0f} ms ({again[1]:.0f})"
                )
        finally:
            browser.close()
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
