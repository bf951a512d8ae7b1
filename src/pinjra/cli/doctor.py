"""`pinjra doctor`: this machine -> what each executor and kind of model can do here, and what to install."""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pinjra.executors.doctor import Diagnosis

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
_STRONGEST_FIRST = ("jail", "docker", "wasm")


@click.command()
@click.option(
    "--live",
    metavar="NAME",
    help="Run the conformance suite on this executor for real, with your account. Exit status 4: a check failed.",
)
@click.option(
    "--only", metavar="WORD", multiple=True, help="With --live: only checks with this in their name."
)
@click.option(
    "--set",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    help="With --live: a parameter of the executor (host=…).",
)
@click.option(
    "--best",
    is_flag=True,
    help="Print only the name of the strongest executor of this machine; status 1: there is none.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object; with --live one a line.")
def doctor(
    live: str | None, only: tuple[str, ...], settings: tuple[str, ...], best: bool, as_json: bool
) -> int:
    """Say what this machine supports, per executor, and what to install for the rest."""
    from pinjra.core.json_data import json_text
    from pinjra.executors.doctor import diagnose_all

    if live is None and (only or settings):
        raise click.UsageError("--only and --set go with --live")
    if live is not None:
        from pinjra.cli.live import options_of, run_live

        return run_live(live, options_of(settings), only, as_json=as_json)
    if best:
        name = _best()
        print(name, end="\n" if name else "")
        return 0 if name else 1
    found = diagnose_all()
    weights = _weights()
    if as_json:
        print(json_text({"system": _system(), "executors": [asdict(d) for d in found], "models": weights}))
        return 0
    print(_system())
    for diagnosis in found:
        _tell(diagnosis)
    print("\nembedded models:")
    for name, state in weights.items():
        print(f"  {name:22} {state}")
    return 0


def _best() -> str:
    """Return the strongest executor that works here without an account; why stronger ones do not goes to stderr.

    On Linux never "local": what it gives there is not known before, and nothing falls back to it by itself. "" then.
    """
    from pinjra.executors.doctor import diagnose
    from pinjra.ui.clean import clean

    for name in _STRONGEST_FIRST:
        diagnosis = diagnose(name)
        if diagnosis.is_available:
            return name
        print(f"{name} is not available here: {clean(diagnosis.problem)}", file=sys.stderr)
    if sys.platform != "linux":
        return "local"
    print(
        "None of them starts here. Give what is missing, pip install 'pinjra[wasm]', or say --executor local yourself: a child "
        "process with what this kernel gives (pinjra doctor).",
        file=sys.stderr,
    )
    return ""


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
    for name, mechanism in diagnosis.access.items():
        print(f"    {name + '=':12} {mechanism}")
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


def _weights() -> dict[str, str]:
    from pinjra.core.errors import ConfigurationError
    from pinjra.models.catalog import CATALOG
    from pinjra.models.weights import located

    try:
        here = {w.name for w in CATALOG.values() if located(w)}
    except ConfigurationError as error:  # there is no place for them
        return dict.fromkeys(CATALOG, str(error))
    return {
        w.name: "here"
        if w.name in here
        else f"not here: pinjra models pull {w.name} ({w.size_bytes / 1e9:.1f} GB)"
        for w in CATALOG.values()
    }
