"""Which checks of the conformance suite a backend is given: all, or what its stream could break, where only that differs."""

from __future__ import annotations

import os

import pytest

from pinjra.executors.conformance import CHECKS, Check, run_check
from pinjra.executors.conformance.suite import Make

# A kill, an interrupt, files, tools, more bytes than a pipe holds, and frames that come twice: what a stream carries. Folders
# and programs: what each has by ways of its own.
OF_THE_STREAM = (
    "a step that is killed",
    "interrupt stops",
    "files go in and out",
    "a file of many messages",
    "tools stay on the host",
    "large values cross",
    "frames that are replayed",
    "a folder of this machine",
    "a program has input",
)


def chosen() -> list[Check]:
    """Return the checks for backends that share most of their path with one that is given all. PINJRA_FULL=1: all."""
    if os.environ.get("PINJRA_FULL"):
        return CHECKS
    found = [check for check in CHECKS if check.name.startswith(OF_THE_STREAM)]
    assert len(found) == len(OF_THE_STREAM), "a check was renamed"
    return found


def named(check: Check) -> str:
    """Return the check's name as a test's id."""
    return check.name.replace(" ", "_")


def keep_contract(make: Make, wanted: Check) -> None:
    """Run one check; fail, or skip, with its reason."""
    result = run_check(make, wanted)
    if result.status == "skipped":
        pytest.skip(result.reason)
    assert result.status == "passed", result.reason


# Executors, and fixtures of the same names that give their classes: vendors' SDKs, and `pinjra serve`, on loopback.
VENDORS = ("e2b", "modal", "blaxel", "daytona", "kubernetes")
SERVED = (*VENDORS, "http")
