"""What the tests of the wasm executor share. The module is compiled once a machine, into the user's cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pinjra.core.limits import Limits
from pinjra.executors.wasm.executor import WasmExecutor

LIMITS = Limits(wall_seconds=60, memory_bytes=256 << 20, disk_bytes=1 << 20)


@pytest.fixture(scope="session", autouse=True)
def needs_the_runtime() -> None:
    problem = WasmExecutor.diagnose()
    if problem:
        pytest.skip(problem)


@pytest.fixture(scope="module")
def plain() -> Iterator[Any]:
    """One session without the guard: what WASI itself does not give."""
    with WasmExecutor(limits=LIMITS, guard=False) as executor:
        yield executor


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is asked to stop is given all the time it takes: a busy machine shall not make a kill of it."""
    monkeypatch.setattr("pinjra.executors.wasm.supervisor.ASK_SECONDS", 3600.0)
