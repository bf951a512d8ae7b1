"""A session over a text stream that is cut again and again, as remote sandboxes' streams are."""

from __future__ import annotations

import random

import pytest

from pinjra.core.errors import BackendError, SessionLost
from pinjra.core.limits import Limits
from pinjra.executors.pipes import SubprocessTransport, worker_command
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.executor import SessionExecutor


class CutTransport(SubprocessTransport):
    """Loses what is on its way, both ways, whenever its dice say so; the worker notices nothing."""

    def __init__(self, seed: int, can_reopen: bool = True) -> None:
        self._dice = random.Random(seed)
        self._can_reopen = can_reopen
        self._is_cut = False
        self.cuts = 0
        self.may_cut = False
        super().__init__(worker_command(), eight_bit_clean=False)

    def _roll(self) -> bool:
        if self.may_cut and not self._is_cut and self._dice.random() < 0.15:
            self._is_cut = True
            self.cuts += 1
            return True
        return False

    def read(self, timeout_seconds: float | None) -> bytes:
        if self._is_cut:
            raise BackendError("the stream was cut")
        data = super().read(timeout_seconds)
        return data[: self._dice.randrange(len(data) + 1)] or b"\n" if self._roll() else data

    def write(self, data: bytes) -> None:
        if self._is_cut:
            raise BackendError("the stream was cut")
        super().write(data[: self._dice.randrange(len(data) + 1)] if self._roll() else data)

    def reopen(self) -> bool:
        self._is_cut = not self._can_reopen
        return self._can_reopen


class CutExecutor(SessionExecutor):
    PATIENCE = Patience(kill_seconds=20.0)

    def __init__(self, seed: int, can_reopen: bool = True) -> None:
        self.seed, self.can_reopen = seed, can_reopen
        super().__init__(limits=Limits(wall_seconds=60))

    def _open(self) -> CutTransport:
        self.transport = CutTransport(self.seed, self.can_reopen)
        return self.transport


@pytest.mark.parametrize("seed", range(4))
def test_prints_calls_values_and_files_come_exactly_once_over_a_stream_that_is_cut(seed: int) -> None:
    calls: list[int] = []
    with CutExecutor(seed) as box:
        box.send_tools({"note": calls.append})
        box.transport.may_cut = True
        for step in range(3):
            done = box.run(
                f"for i in range(20):\n    print({step}, i)\n    note({step} * 20 + i)\n'v' * 600_000"
            )
            assert done.stdout == "".join(f"{step} {i}\n" for i in range(20))
            assert done.value == "v" * 600_000
            box.put_file(f"f{step}", bytes([step]) * 300_000)
        assert calls == list(range(60))
        assert [box.get_file(f"f{step}") for step in range(3)] == [
            bytes([step]) * 300_000 for step in range(3)
        ]
        assert box.transport.cuts > 5
        box.transport.may_cut = False


def test_a_stream_that_cannot_be_opened_again_is_a_lost_session() -> None:
    with CutExecutor(1, can_reopen=False) as box:
        box.transport.may_cut = True
        with pytest.raises(SessionLost):
            for _ in range(100):
                box.run("1")
        box.transport.may_cut = False
