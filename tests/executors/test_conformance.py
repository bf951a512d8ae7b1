"""The shipped conformance suite, one test a check, on the executors that every machine has."""

from __future__ import annotations

import sys

import pytest

from pinjra.executors.conformance import runs, tools, values  # noqa: F401  (they fill CHECKS)
from pinjra.executors.conformance.suite import CHECKS, Check, run_check
from pinjra.executors.registry import executor_class

NAMES = ["local"] + (["jail"] if sys.platform == "linux" else [])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wanted", CHECKS, ids=lambda check: check.name.replace(" ", "_"))
def test_executor_keeps_the_contract(name: str, wanted: Check):
    problem = executor_class(name).diagnose()
    if problem:
        pytest.skip(problem)
    result = run_check(executor_class(name), wanted)
    if result.status == "skipped":
        pytest.skip(result.reason)
    assert result.status == "passed", result.reason
