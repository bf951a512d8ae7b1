"""`pinjra doctor`: this machine -> what each executor and kind of model can do here, and what to install."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pinjra.executors.doctor import Diagnosis

__all__ = ["doctor"]

_ENFORCED = (
    "memory",
    "wall",
    "cpu",
    "operations",
    "disk",
    "processes",
    "network",
    "files",
    "rollback",
    "fork",
)
_STRONGEST_FIRST = ("jail", "docker", "wasm", "local")
_PROBE = "total = sum(range(101))\nprint('output')\ntotal"


@click.command()
@click.option(
    "--live",
    metavar="NAME",
    help="Open a session of this executor, run a line in it, and say how long it took.",
)
@click.option("--best", is_flag=True, help="Print only the name of the strongest executor of this machine.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor(live: str | None, best: bool, as_json: bool) -> int:
    """Say what this machine supports, per executor, and what to install for the rest."""
    from pinjra.executors.doctor import diagnose_all

    if live is not None:
        return _live(live, as_json)
    if best:
        print(_best())
        return 0
    found = diagnose_all()
    weights = _weights()
    if as_json:
        print(json.dumps({"system": _system(), "executors": [asdict(d) for d in found], "models": weights}))
        return 0
    print(_system())
    for diagnosis in found:
        _tell(diagnosis)
    print("\nembedded models:")
    for name, state in weights.items():
        print(f"  {name:22} {state}")
    return 0


def _best() -> str:
    """Return the strongest executor that works here without an account; why stronger ones do not goes to stderr."""
    from pinjra.executors.doctor import diagnose
    from pinjra.ui.clean import clean

    for name in _STRONGEST_FIRST:
        diagnosis = diagnose(name)
        if diagnosis.is_available:
            return name
        print(f"{name} is not available here: {clean(diagnosis.problem)}", file=sys.stderr)
    return "local"


def _system() -> str:
    return (
        f"Python {platform.python_version()} on {platform.system()} {platform.release()} {platform.machine()}"
    )


def _tell(diagnosis: Diagnosis) -> None:
    from pinjra.ui.clean import clean

    mark = "✓" if diagnosis.is_available else "–"
    print(f"\n{mark} {diagnosis.name}")
    if diagnosis.problem:
        print("    " + clean(diagnosis.problem).replace("\n", "\n    "))
    given = diagnosis.guarantees
    if given is None:
        return
    print(
        f"    boundary    {given.boundary}" + (f": {', '.join(given.isolation)}" if given.isolation else "")
    )
    for name in _ENFORCED:
        print(f"    {name:11} {getattr(given, name) or 'not enforced'}")
    for missing in given.missing:
        print(f"    missing     {missing}")


def _live(name: str, as_json: bool) -> int:
    """Open a session for real; an executor that cannot is told by the error that it raises."""
    import time

    from pinjra.executors.registry import create_executor

    begun = time.perf_counter()
    with create_executor(name) as box:
        opened = time.perf_counter()
        done = box.run(_PROBE)
        ran = time.perf_counter()
        guarantees = box.guarantees
    closed = time.perf_counter()
    seconds = {"open": opened - begun, "run": ran - opened, "close": closed - ran}
    works = done.error is None and done.value == 5050 and done.stdout == "output\n"
    if as_json:
        figures: dict[str, Any] = {
            "name": name,
            "works": works,
            "seconds": seconds,
            "guarantees": asdict(guarantees),
        }
        print(json.dumps({**figures, "error": str(done.error or "")}))
    else:
        times = ", ".join(f"{what} {value * 1000:.1f} ms" for what, value in seconds.items())
        print(f"{name}: {'works' if works else f'does not work: {done.error or done}'} ({times})")
        print(f"boundary: {guarantees.boundary}; {', '.join(guarantees.isolation)}")
        if not works:
            print("the session opened but gave a wrong result", file=sys.stderr)
    return 0 if works else 4


def _weights() -> dict[str, str]:
    from pinjra.models.catalog import CATALOG
    from pinjra.models.weights import located

    return {
        w.name: "here"
        if located(w)
        else f"not here: pinjra models pull {w.name} ({w.size_bytes / 1e9:.1f} GB)"
        for w in CATALOG.values()
    }
