"""The shipped conformance suite on CPython for WASI, one test a check."""

from __future__ import annotations

import pytest

from pinjra.executors.conformance import runs, tools, values  # noqa: F401  (they fill CHECKS)
from pinjra.executors.conformance.suite import CHECKS, Check, run_check
from pinjra.executors.wasm.executor import WasmExecutor

LACKING = {"rollback", "fork"}
ELSEWHERE = (
    "in the sandbox: No module named",
    "the supervisor of WebAssembly is a part of the host",
    "this executor has no programs=",
    "this executor has no packages=",
    "this executor has no python_path=",
    "this executor has no network=",
)


@pytest.mark.slow  # some fifty instances
@pytest.mark.parametrize("wanted", CHECKS, ids=lambda check: check.name.replace(" ", "_"))
def test_wasm_keeps_the_contract(wanted: Check):
    result = run_check(WasmExecutor, wanted)
    if set(wanted.needs) & LACKING:
        assert result.status == "skipped"
        pytest.skip(result.reason)
    if result.status == "skipped":
        assert result.reason.startswith(ELSEWHERE), result.reason
        pytest.skip(result.reason)
    assert result.status == "passed", result.reason
