"""`pinjra doctor --live NAME`: the conformance suite on an executor for real, a line a check as it finishes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pinjra.core.errors import ConfigurationError
from pinjra.core.json_data import json_text

if TYPE_CHECKING:
    from pinjra.core.limits import Limits
    from pinjra.executors.base import PythonExecutor

FAILED = 4  # exit status
_PROBE = "total = sum(range(101))\nprint('output')\ntotal"


def options_of(texts: Iterable[str]) -> dict[str, object]:
    """Return the parameters in texts like `host=user@machine` or `cpus=2`; a value is JSON where it reads as such.

    Raises:
        ConfigurationError: A text has no "=" (the caller's fault).
    """
    found: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise ConfigurationError(f"--set wants NAME=VALUE, not {text!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def run_live(name: str, options: Mapping[str, object], only: Iterable[str], *, as_json: bool) -> int:
    """Open a session, then run every check; return the exit status: 0 when none failed.

    Raises:
        PinjraError: No session could be opened; the error says why.
    """
    from pinjra.cli.agent_checks import AGENT_CHECKS
    from pinjra.executors.conformance import CHECKS, each_result
    from pinjra.executors.registry import create_executor

    def make(
        imports: Iterable[str] = (), *, limits: Limits | None = None, **further: object
    ) -> PythonExecutor:
        given = {**options, **further} if limits is None else {**options, **further, "limits": limits}
        return create_executor(name, additional_authorized_imports=imports, executor_kwargs=given)

    results = each_result(make, only=only, checks=[*CHECKS, *AGENT_CHECKS])
    works = _probe(name, make(), as_json=as_json)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for result in results if works else ():
        counts[result.status] += 1
        click.echo(json_text(asdict(result)) if as_json else str(result))
    if as_json:
        click.echo(json_text({"name": name, "works": works and not counts["failed"], **counts}))
    elif works:
        click.echo(", ".join(f"{count} {status}" for status, count in counts.items()))
    return 0 if works and not counts["failed"] else FAILED


def _probe(name: str, executor: PythonExecutor, *, as_json: bool) -> bool:
    """Run a line, say what came of it and what is enforced; close."""
    begun = time.perf_counter()
    with executor as box:
        done = box.run(_PROBE)
        ran = time.perf_counter()
        guarantees = box.guarantees
    seconds = {"run": ran - begun, "close": time.perf_counter() - ran}
    works = done.error is None and done.value == 5050 and done.stdout == "output\n"
    if as_json:
        form = {"name": name, "opens": works, "seconds": seconds, "guarantees": asdict(guarantees)}
        click.echo(json_text({**form, "error": str(done.error or "")}))
        return works
    times = ", ".join(f"{what} {value * 1000:.1f} ms" for what, value in seconds.items())
    click.echo(f"{name}: {'opens' if works else f'gives a wrong result: {done.error or done}'} ({times})")
    click.echo(f"boundary: {guarantees.boundary}; {', '.join(guarantees.isolation)}")
    return works
