"""Many jailed sessions: memory of each, opening and closing, what a run costs with and without rollback, what is left behind.

    python bench/sessions.py [--open 100] [--turns 1000] [--without namespaces] [--uid 65534]

Prints the machine's load before and after: figures in wall time mean little on a loaded machine. Medians are of turns that alternate
between what is compared. `--uid` gives up root first: run it with an interpreter and a checkout that this user can read.
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
from functools import partial
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


def memory_bytes(pid: int, *kinds: str) -> int:
    """Return the sum of some lines of smaps_rollup, proc(5); 0 when the process is gone or may not be looked at."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(kinds))


def left() -> dict[str, int]:
    """Return counts of all that a session might leave behind."""
    return {
        "processes": len(below(os.getpid())),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "mounts": len(Path("/proc/self/mounts").read_text().splitlines()),
        "temporary files": sum(
            name.startswith(tuple(f"pinjra-jail-{pid}-" for pid in OWNERS))
            for name in os.listdir(tempfile.gettempdir())
        ),
        "groups": sum(
            1
            for _folder, names, _files in os.walk("/sys/fs/cgroup")
            for name in names
            if name.startswith(tuple(f"pinjra-{pid}" for pid in OWNERS))
        ),
    }


OWNERS: list[int] = []
"""The zygote's processes; the names of its groups and folders have their numbers. Others may be at work on this machine."""
WITHOUT: tuple[str, ...] = ()
_NAMESPACES = tuple(
    f"{kind} namespace" for kind in ("user", "mount", "pid", "network", "ipc", "uts", "cgroup")
)


def opened(spares: int, *, rollback: bool = True) -> JailExecutor:
    """Return a session of the mode that is measured."""
    return JailExecutor(spares=spares, rollback=rollback, without=WITHOUT)


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
    with opened(spares) as box:
        box.run("1 + 1")


def opening(spares: int) -> tuple[float, float]:
    """Return what an opening took, and the first result after it; a ready session has had time to get ready."""
    time.sleep(0.2 if spares else 0.0)
    started = time.perf_counter()
    box = opened(spares)
    there = time.perf_counter()
    box.run("1 + 1")
    taken = (there - started) * 1e3, (time.perf_counter() - started) * 1e3
    box.close()
    return taken


def bare() -> None:
    """Start an interpreter that does nothing."""
    subprocess.run([sys.executable, "-I", "-S", "-c", "print(1+1)"], capture_output=True, check=True)


def many(count: int) -> None:
    """Open so many sessions at once; print the memory of each."""
    zygotes = below(os.getpid())
    boxes = [opened(0) for _ in range(count)]
    for box in boxes:
        box.run("x = 1")
    time.sleep(1)
    processes = [pid for pid in below(os.getpid()) if pid not in zygotes]
    private = sum(memory_bytes(pid, "Private_") for pid in processes)
    share = sum(memory_bytes(pid, "Pss:") for pid in processes)
    assert all(box.run("x").value == 1 for box in boxes)
    for box in boxes:
        box.close()
    if not private:
        print(f"{count} sessions open at once; their memory may not be looked at by this user")
        return
    print(
        f"{count} sessions open at once, {len(processes) / count:.1f} processes each: {private / count / 2**20:.2f} MiB private, "
        f"{share / count / 2**20:.2f} MiB with their part of what they share"
    )


def timings() -> None:
    """Print what takes how long."""
    base, cold, warm = [], [], []
    for _ in range(30):
        base += milliseconds(bare, 1)
        cold.append(opening(0))
    for _ in range(30):
        warm.append(opening(1))
    middle = statistics.median(base)
    say("bare interpreter", base, middle)
    for name, found in (("none ready", cold), ("from the pool", warm)):
        say(f"open, {name}", [open_ for open_, _result in found], middle)
        say(f"open to first result, {name}", [result for _open, result in found], middle)
    for rollback in (True, False):
        with opened(0, rollback=rollback) as box:
            run = milliseconds(partial(box.run, "x = 1 + 1"), 300)
            say(f"run, rollback {'on' if rollback else 'off'}", run, middle)
    with opened(0) as box:
        box.run("x = 1")
        say("fork and close", milliseconds(lambda: box.fork().close(), 20), middle)


def turns(count: int) -> None:
    """Open and close so many sessions one after the other; print what is left."""
    before, started, used = left(), time.perf_counter(), time.process_time()
    for _ in range(count):
        turn(0)
    seconds, host = time.perf_counter() - started, (time.process_time() - used) / count
    print(f"{count / seconds:.0f} sessions a second, one after the other; host {host * 1e3:.2f} ms each")
    time.sleep(1)
    after = left()
    print(f"left behind by {count} sessions:", {name: after[name] - before[name] for name in after})


def main() -> None:
    """Print the figures."""
    global WITHOUT
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", type=int, default=100)
    parser.add_argument("--turns", type=int, default=1000)
    parser.add_argument("--without", choices=["namespaces"])
    parser.add_argument("--uid", type=int)
    options = parser.parse_args()
    if options.uid is not None:
        os.setgroups([])
        os.setresgid(options.uid, options.uid, options.uid)
        os.setresuid(options.uid, options.uid, options.uid)
    WITHOUT = _NAMESPACES if options.without else ()
    print("load:", *os.getloadavg(), "processors:", os.cpu_count(), "uid:", os.getuid())
    turn(0)
    OWNERS.extend(below(os.getpid()))
    with opened(0) as box:
        print("applied:", ", ".join(box.guarantees.isolation))
    timings()
    many(options.open)
    turns(options.turns)
    print("load:", *os.getloadavg())


if __name__ == "__main__":
    main()
