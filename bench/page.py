"""The page in Chromium: seconds to the first picture of a running agent, and the longest time for which it did nothing else.

python bench/page.py        needs playwright and Debian's chromium
"""

from __future__ import annotations

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
[agents.endless]
agent = "scripted_agents:endless"
"""
# Long tasks are what keeps a page from answering; the browser itself tells them from 50 ms on.
WATCH = """
window.longest = 0;
new PerformanceObserver(list => { for (const each of list.getEntries()) window.longest = Math.max(window.longest, each.duration); })
  .observe({ entryTypes: ["longtask"] });
"""


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
    begun = time.perf_counter()
    page.goto(f"{url}/#/runs/{run}", wait_until="commit")
    page.locator(".step").first.wait_for()
    seconds = time.perf_counter() - begun
    context.close()
    return seconds


def longest_task(browser, url: str, run: str, last: str) -> float:
    """Return the longest task, in milliseconds (0: none of 50 or more), from opening a run until its end is shown."""
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(f"{url}/#/runs/{run}")
    page.locator(last).first.wait_for(timeout=180_000)
    page.wait_for_timeout(500)
    longest: float = page.evaluate("window.longest")
    context.close()
    return longest


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
                ("fast", "1,000 events a second, live"),
                ("lines", "10,000 lines, live"),
                ("steps", "200 steps, live"),
            ):
                run = started(url, agent)
                live = longest_task(browser, url, run, ".answer")
                again = longest_task(browser, url, run, ".answer")
                print(f"{what}: longest task {live:.0f} ms; opened again at its end: {again:.0f} ms")
        finally:
            browser.close()
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
