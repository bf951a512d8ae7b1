"""Which checks of the conformance suite a backend is given: all, or, to keep the tests quick, what its stream could break."""

from __future__ import annotations

import os

from pinjra.executors.conformance import CHECKS, Check

# Values, tools, kill, rollback, interrupt, files, output, hostile frames. PINJRA_FULL=1 gives every backend all.
OFTEN = (
    "the wall limit stops",
    "interrupt stops",
    "a step that is killed",
    "a second and a third run",
    "files go in and out",
    "reset forgets",
    "output past the limit",
    "tools stay on the host",
    "an async tool is awaitable",
    "a tool may run code in a session of its own",
    "plain values cross",
    "large values cross",
    "tables cross",
    "images cross",
    "lies of a worker",
    "frames that are replayed",
    "guest code that writes on the workers own stream",
)


def chosen() -> list[Check]:
    """Return the checks for backends that share most of their path with one that is given all."""
    if os.environ.get("PINJRA_FULL"):
        return CHECKS
    found = [check for check in CHECKS if check.name.startswith(OFTEN)]
    assert len(found) == len(OFTEN), "a check was renamed"
    return found


def named(check: Check) -> str:
    """Return the check's name as a test's id."""
    return check.name.replace(" ", "_")


FIXTURES = {
    "docker": "docker_executor",
    "oci": "oci_executor",
    **{name: name for name in ("e2b", "modal", "blaxel", "daytona", "http", "kubernetes", "ssh")},
}
"""Executor -> the fixture that gives its class, for those that need a daemon, a server or an SDK."""
