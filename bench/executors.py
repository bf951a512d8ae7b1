"""Executors side by side: opening, round trips, tool calls, large values, rollback; as ratios to a bare interpreter.

    python bench/executors.py [jail local wasm docker e2b …] [--reps 15] [--json out.json]

All runners take turns in each round, so a machine whose speed drifts drifts for all. Figures are medians in milliseconds; the ratio
is to `python -I -S -c 'print(1+1)'` started in the same rounds. What is not installed or does not run here is left out, with the reason.

Where an executor rolls back, round trips are measured three times: with rollback off; with it on, one run right after the other
(each waits until the checkpoint of the one before is made); and with a pause of 10 ms in between (the time is the run's only,
so it tells what somebody who thinks between two runs waits for). Tool calls and values are measured with rollback off.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peers

from pinjra import create_executor
from pinjra.core.errors import PinjraError

ROUND_TRIPS = 50


def once(function: Callable[[], Any]) -> float:
    """Return milliseconds."""
    started = time.perf_counter()
    function()
    return (time.perf_counter() - started) * 1e3


def bare() -> float:
    """Return what a bare interpreter costs."""
    command = [sys.executable, "-I", "-S", "-c", "print(1+1)"]
    return once(lambda: subprocess.run(command, capture_output=True, check=True))


class Measured:
    """One executor's samples: figure -> milliseconds."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name = name
        self.options = options
        self.samples: dict[str, list[float]] = {}

    def add(self, figure: str, milliseconds: float) -> None:
        self.samples.setdefault(figure, []).append(milliseconds)

    def round(self) -> None:
        """Open, use and close one session; another one without rollback where there is such a thing."""
        started = time.perf_counter()
        executor = create_executor(self.name, executor_kwargs=self.options)
        try:
            assert executor.run("1 + 1").value == 2
            self.add("open to first result", (time.perf_counter() - started) * 1e3)
            has_rollback = bool(executor.guarantees.rollback)
            if has_rollback:
                self.add("round trip, rollback on, back to back", median_trip(executor))
                self.add("round trip, rollback on, 10 ms apart", median_trip(executor, pause=0.01))
                self.add("killed run to next result", kill(executor))
            else:
                self.exchange(executor)
        finally:
            self.add("close", once(executor.close))
        if has_rollback:
            other = create_executor(self.name, executor_kwargs={**self.options, "rollback": False})
            try:
                self.exchange(other)
            finally:
                other.close()

    def exchange(self, executor: Any) -> None:
        """Measure what crosses, without a checkpoint in between."""
        executor.send_tools({"echo": lambda x: x})
        executor.run("echo(1)")
        trip = median_trip(executor)
        self.add("round trip, rollback off", trip)
        total = once(lambda: executor.run(f"for i in range({ROUND_TRIPS}):\n    echo(i)"))
        self.add("tool call", (total - trip) / ROUND_TRIPS)
        self.add("4 MiB value", once(lambda: executor.run("b'x' * (4 << 20)")))


def median_trip(executor: Any, *, pause: float = 0.0) -> float:
    """Return the median of some trivial runs, each after a pause of so many seconds."""
    trips = []
    for _ in range(ROUND_TRIPS):
        time.sleep(pause)
        trips.append(once(lambda: executor.run("x = 1 + 1")))
    return statistics.median(trips)


def kill(executor: Any) -> float:
    """Return what a run costs that is stopped at 50 ms, and the next one, beyond these 50 ms."""
    return once(lambda: (executor.run("while True: pass", wall_seconds=0.05), executor.run("1"))) - 50


PEERS: dict[str, Callable[[], peers.Peer]] = {"monty": peers.monty, "process": peers.process}


def measure_peer(name: str, samples: dict[str, list[float]]) -> None:
    """Add one round of a peer."""
    started = time.perf_counter()
    peer = PEERS[name]()
    try:
        peer.run("1 + 1")
        samples.setdefault("open to first result", []).append((time.perf_counter() - started) * 1e3)
        trips = [once(lambda: peer.run("x = 1 + 1")) for _ in range(10)]
        samples.setdefault("round trip, rollback off", []).append(statistics.median(trips))
    finally:
        peer.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("executors", nargs="*", default=["jail", "local", "wasm", "docker"])
    parser.add_argument("--reps", type=int, default=15)
    parser.add_argument("--options", default="{}", help="JSON: executor name -> keyword arguments")
    parser.add_argument("--json")
    options = parser.parse_args()
    given = json.loads(options.options)
    measured = [Measured(name, given.get(name, {})) for name in options.executors]
    others: dict[str, dict[str, list[float]]] = {}
    base: list[float] = []
    for name in list(PEERS):
        try:
            measure_peer(name, others.setdefault(name, {}))
        except (ImportError, FileNotFoundError) as error:
            print(f"{name} is left out: {error}"[:300])
            del PEERS[name], others[name]
    for executor in list(measured):
        try:
            executor.round()  # warms zygotes and images
            executor.samples.clear()
        except PinjraError as error:
            print(f"{executor.name} is left out: {type(error).__name__}: {error}"[:300])
            measured.remove(executor)
    for _ in range(options.reps):
        base.append(bare())
        for executor in measured:
            executor.round()
        for name in PEERS:
            measure_peer(name, others[name])
    rows = {m.name: m.samples for m in measured} | {f"{name} (peer)": s for name, s in others.items()}
    print(f"bare interpreter: {statistics.median(base):.1f} ms (median of {len(base)})")
    for name, samples in rows.items():
        print(name)
        for figure, values in samples.items():
            middle = statistics.median(values)
            ratio = middle / statistics.median(base)
            print(
                f"  {figure:40} {middle:9.3f} ms   {ratio:7.3f} x bare   (min {min(values):.3f}, max {max(values):.3f})"
            )
    if options.json:
        Path(options.json).write_text(json.dumps({"bare": base, **rows}, indent=1))


if __name__ == "__main__":
    main()
