"""The conformance suite, shipped: `python -m pinjra.executors.conformance jail`, or `run_conformance(make)`."""

from __future__ import annotations

from collections.abc import Iterable

# The files of checks fill CHECKS when they are imported.
from pinjra.executors.conformance import access as access
from pinjra.executors.conformance import hostile as hostile
from pinjra.executors.conformance import runs as runs
from pinjra.executors.conformance import tools as tools
from pinjra.executors.conformance import values as values
from pinjra.executors.conformance.suite import CHECKS as CHECKS
from pinjra.executors.conformance.suite import Check as Check
from pinjra.executors.conformance.suite import CheckFailed as CheckFailed
from pinjra.executors.conformance.suite import Make as Make
from pinjra.executors.conformance.suite import Result as Result
from pinjra.executors.conformance.suite import each_result as each_result
from pinjra.executors.conformance.suite import run_check as run_check


def run_conformance(make: Make, *, only: Iterable[str] = ()) -> list[Result]:
    """Return one result a check; see `each_result`."""
    return list(each_result(make, only=only))
