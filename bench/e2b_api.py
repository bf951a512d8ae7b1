"""E2B's API on `pinjra serve`, measured by E2B's own SDK: opening to the first result, and one run_code beside a plain request.

python bench/e2b_api.py [--count 20] [--idle 50]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from e2b_code_interpreter import Sandbox
from serve import service  # bench/serve.py


def milliseconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return (time.perf_counter() - began) * 1000


def row(name: str, times: list[float], beside: float | None = None) -> None:
    ratio = f"  {statistics.median(times) / beside:5.1f} x" if beside else ""
    print(f"{name:52} median {statistics.median(times):7.1f} ms   worst {max(times):7.1f} ms{ratio}")


def private_bytes(process: int) -> int:
    """Memory of all processes below one that nobody else has."""
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    children: dict[int, list[int]] = {}
    for line in listed.splitlines():
        pid, parent = map(int, line.split())
        children.setdefault(parent, []).append(pid)
    waiting, total = [process], 0
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Private_"))
    return total


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--idle", type=int, default=50)
    chosen = parser.parse_args()
    with service(f"sessions = {chosen.idle + 50}") as (port, process):
        url = f"http://127.0.0.1:{port}"
        options = {"api_url": url, "sandbox_url": url, "api_key": "e2b_" + "0" * 40}

        def first() -> None:
            box = Sandbox.create(**options)
            boxes.append(box)
            assert box.run_code("1 + 1").text == "2"

        boxes: list[Sandbox] = []
        print(f"{'the first of all (modules are imported once)':52} {milliseconds(first):14.0f} ms")
        opened = []
        for _ in range(chosen.count):
            time.sleep(0.5)  # a client's next sandbox, not its next line
            opened.append(milliseconds(first))
            boxes[-1].kill()
        row("Sandbox.create() and the first result", opened)
        box = boxes[0]
        client = httpx.Client(base_url=url)
        plain = [milliseconds(lambda: client.get("/health")) for _ in range(chosen.count * 10)]
        runs = [milliseconds(lambda: box.run_code("1 + 1")) for _ in range(chosen.count * 10)]
        commands = [milliseconds(lambda: box.commands.run("true")) for _ in range(chosen.count * 5)]
        row("GET /health, for comparison", plain)
        row("run_code('1 + 1')", runs, statistics.median(plain))
        row("commands.run('true')", commands, statistics.median(plain))
        box.kill()
        time.sleep(1)
        before = private_bytes(process)
        idle = [Sandbox.create(**options) for _ in range(chosen.idle)]
        time.sleep(2)
        each = (private_bytes(process) - before) / len(idle) / (1 << 20)
        print(f"{'memory of its own of each idle sandbox':52} {each:14.1f} MiB ({len(idle)} of them)")
        for one in idle:
            one.kill()


if __name__ == "__main__":
    sys.exit(main())
