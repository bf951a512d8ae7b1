"""Many jailed sessions: memory of each, opening and closing, what a run costs with and without rollback, what is left behind.

    python bench/sessions.py [--open 100] [--turns 1000]

Prints the machine's load before and after: figures in wall time mean little on a loaded machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pinjra.executors.jail import JailExecutor


def below(root: int) -> list[int]:
    """Return the processes below `root`."""
    found: list[int] = []
    queue = [root]
    while queue:
        try:
            tasks = os.listdir(f"/proc/{(pid := queue.pop())}/task")
            children = [
                int(c) for t in tasks for c in Path(f"/proc/{pid}/task/{t}/children").read_text().split()
            ]
        except OSError:
            continue
        found += children
        queue += children
    return found


def private_bytes(pid: int) -> int:
    """Return what a process has to itself; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))


def left() -> dict[str, int]:
    """Return counts of all that a session might leave behind."""
    return {
        "processes": len(below(os.getpid())),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "mounts": len(Path("/proc/self/mounts").read_text().splitlines()),
        "temporary files": len([n for n in os.listdir(tempfile.gettempdir()) if n.startswith("pinjra")]),
        "groups": sum(
            1 for _folder, names, _files in os.walk("/sys/fs/cgroup") for n in names if "pinjra" in n
        ),
    }


def milliseconds(action: Callable[[], object], times: int) -> list[float]:
    """Return what each of so many turns took."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        taken.append((time.perf_counter() - started) * 1e3)
    return taken


def say(what: str, values: list[float], base: float) -> None:
    """Print one row."""
    middle = statistics.median(values)
    print(
        f"{what:44} {middle:8.2f} ms  min {min(values):8.2f}  max {max(values):8.2f}  {middle / base:6.3f} x bare"
    )


def turn(spares: int) -> None:
    """Open a session, run, close it."""
    with JailExecutor(spares=spares) as box:
        box.run("1 + 1")


def opening(spares: int, turns: int) -> list[float]:
    """Return what opening to the first result took; a spare has the time between two openings to get ready."""
    taken = []
    for _ in range(turns):
        time.sleep(0.1 if spares else 0.0)
        started = time.perf_counter()
        box = JailExecutor(spares=spares)
        box.run("1 + 1")
        taken.append((time.perf_counter() - started) * 1e3)
        box.close()
    return taken


def many(count: int) -> None:
    """Open so many sessions at once; print the memory of each."""
    boxes = [JailExecutor(spares=0) for _ in range(count)]
    for box in boxes:
        box.run("x = 1")
    time.sleep(1)
    total = sum(map(private_bytes, below(os.getpid())))
    assert all(box.run("x").value == 1 for box in boxes)
    for box in boxes:
        box.close()
    print(f"{count} sessions open at once: {total / count / 2**20:.2f} MiB private each, checkpoint included")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", type=int, default=100)
    parser.add_argument("--turns", type=int, default=1000)
    options = parser.parse_args()
    print("load:", *os.getloadavg(), "processors:", os.cpu_count())
    command = [sys.executable, "-I", "-S", "-c", "print(1+1)"]
    base = milliseconds(lambda: subprocess.run(command, capture_output=True, check=True), 20)
    bare = statistics.median(base)
    say("bare interpreter", base, bare)
    turn(0)
    say("open to first result, no spare", opening(0, 30), bare)
    say("open to first result, a spare", opening(1, 30), bare)
    for rollback in (True, False):
        with JailExecutor(spares=0, rollback=rollback) as box:
            run = milliseconds(lambda box=box: box.run("x = 1 + 1"), 300)
            say(f"run, rollback {'on' if rollback else 'off'}", run, bare)
    with JailExecutor(spares=0) as box:
        box.run("x = 1")
        say("fork and close", milliseconds(lambda: box.fork().close(), 20), bare)
    many(options.open)
    turn(0)
    time.sleep(1)
    before, started, used = left(), time.perf_counter(), time.process_time()
    for _ in range(options.turns):
        turn(0)
    seconds = time.perf_counter() - started
    print(
        f"{options.turns / seconds:.0f} sessions a second, one after the other; host {(time.process_time() - used) / options.turns * 1e3:.2f} ms each"
    )
    time.sleep(1)
    after = left()
    print("left behind:", {name: after[name] - before[name] for name in after})
    print("load:", *os.getloadavg())


if __name__ == "__main__":
    main()
