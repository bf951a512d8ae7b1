"""Guarded speed: every workload in every runner, interleaved in one run, as ratios to plain CPython.

    python bench/speed.py [--reps 5] [--only local,jail] [--least] [--json out.json]

A ratio is the median over the rounds of (runner's CPU-and-wall time / CPython's in the same round). "-" means that the peer
cannot run the program. Wrong answers are marked. With --least it is the least time over CPython's least: of many rounds, that is what
a machine that others use as well tells truly.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peers

WORKLOADS = sorted((Path(__file__).parent / "workloads").glob("*.py"))
RUNNERS: dict[str, Callable[[], peers.Peer]] = {
    "cpython": peers.cpython,
    "local": peers.pinjra("local"),
    "jail": peers.pinjra("jail"),
    "restrictedpython": peers.restrictedpython,
    "monty": peers.monty,
    "asteval": peers.asteval,
    "smolagents": peers.smolagents,
}
SLOW_SECONDS = 20.0  # a runner that needs longer for one program is measured once


def timed(peer: peers.Peer, code: str) -> tuple[float, Any]:
    """Return seconds and answer of one run."""
    started = time.perf_counter()
    answer = peer.run(code)
    return time.perf_counter() - started, answer


def measure(path: Path, runners: dict[str, peers.Peer], reps: int, least: bool = False) -> dict[str, Any]:
    """Return runner -> ratio (or text that says why not)."""
    code = path.read_text()
    _, wanted = timed(runners["cpython"], code)
    ratios: dict[str, Any] = {}
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(reps):
        for name, peer in runners.items():
            if name in ratios or (times[name] and times[name][-1] > SLOW_SECONDS):
                continue
            try:
                seconds, answer = timed(peer, code)
            except Exception as error:
                ratios[name] = f"- ({type(error).__name__})"
                continue
            if repr(answer) != repr(wanted):
                ratios[name] = "wrong"
            times[name].append(seconds)
    base = times["cpython"]
    for name, seconds in times.items():
        if name not in ratios and least:
            ratios[name] = min(seconds) / min(base)
        elif name not in ratios:
            ratios[name] = statistics.median(s / b for s, b in zip(seconds, base, strict=False))
    return ratios


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--least", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    only = [name for name in options.only.split(",") if name] or list(RUNNERS)
    runners: dict[str, peers.Peer] = {}
    for name in dict.fromkeys(["cpython", *only]):
        try:
            runners[name] = RUNNERS[name]()
        except ImportError as error:
            print(f"{name}: left out ({error})")
    table = {path.stem: measure(path, runners, options.reps, options.least) for path in WORKLOADS}
    print(f"{'workload':16}" + "".join(f"{name:>18}" for name in runners))
    for workload, ratios in table.items():
        cells = [f"{r:.2f}" if isinstance(r, float) else str(r) for r in (ratios[name] for name in runners)]
        print(f"{workload:16}" + "".join(f"{cell[:17]:>18}" for cell in cells))
    print(
        f"{'geometric mean':16}" + "".join(f"{mean([table[w][name] for w in table]):>18}" for name in runners)
    )
    for peer in runners.values():
        peer.close()
    if options.json:
        Path(options.json).write_text(json.dumps(table, indent=1))


def mean(ratios: list[Any]) -> str:
    """Return the geometric mean over the programs that a runner can run, and their number."""
    known = [r for r in ratios if isinstance(r, float)]
    return f"{statistics.geometric_mean(known):.2f} ({len(known)})" if known else "-"


if __name__ == "__main__":
    main()
