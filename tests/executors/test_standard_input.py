"""Standard input, piece by piece: any size, no end, and ends that never come, for code and for programs."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinjra import Cause, Limits, sandbox
from pinjra.executors.session.executor import SessionExecutor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")


@pytest.fixture(scope="module", params=["jail", "local"])
def box(request: pytest.FixtureRequest) -> Iterator[SessionExecutor]:
    limits = Limits(value_bytes=1 << 20)
    with sandbox(
        request.param, programs=["sh"], imports="standard", authorized_imports=["sys"], limits=limits
    ) as box:
        yield box


class Endless:
    """A file without an end, that counts what was read of it."""

    given_bytes = 0

    def read(self, size: int, /) -> bytes:
        self.given_bytes += size
        return b"y\n" * (size // 2)


class Broken:
    """A file that breaks after its first piece."""

    pieces = 0

    def read(self, size: int, /) -> bytes:
        self.pieces += 1
        if self.pieces == 2:
            raise OSError("the disk is gone")
        return b"first\n"


COUNT = "import sys\nsum(len(piece) for piece in iter(lambda: sys.stdin.buffer.read(1 << 16), b''))"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 9_000_001])
def test_bytes_of_any_size_arrive_whatever_a_value_may_have(box: SessionExecutor, size: int) -> None:
    assert box.run(COUNT, stdin=b"\xff" * size).value == size
    assert box.exec(["wc", "-c"], stdin=b"\0" * size).stdout.strip() == str(size)


def test_a_file_is_read_to_its_end(box: SessionExecutor, tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    path.write_text("".join(f"{number}\n" for number in range(300_000)))
    with path.open("rb") as data:
        assert box.run("import sys\nsum(map(int, sys.stdin))", stdin=data).value == 44999850000
    with path.open(encoding="utf-8") as text:
        assert box.exec(["tail", "-1"], stdin=text).stdout == "299999\n"


def test_of_a_file_without_an_end_as_much_is_read_as_is_asked_for(box: SessionExecutor) -> None:
    for run in (lambda file: box.run("[input(), input()]", stdin=file).value == ["y", "y"],
                lambda file: box.exec(["head", "-1"], stdin=file).stdout == "y\n",
                lambda file: box.exec(["true"], stdin=file).status == 0):  # fmt: skip
        file = Endless()
        assert run(file)
        assert file.given_bytes <= 4 << 20


def test_lines_are_there_when_they_come_and_not_at_the_end(box: SessionExecutor) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as given, os.fdopen(writing, "wb", buffering=0) as giving:
        giving.write(b"1\n")
        box.on_output = lambda _stream, text: giving.write(b"3\n") if "one" in text else None
        try:
            done = box.run("print('one', input(), flush=True)\nint(input())", stdin=given)
        finally:
            box.on_output = None
        assert done.value == 3, done.error


def test_an_input_that_never_comes_ends_by_the_time_limit_and_the_session_lives(box: SessionExecutor) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as given, os.fdopen(writing, "wb") as _giving:
        done = box.run("kept = 1\ninput()", stdin=given, wall_seconds=0.5)
        assert done.error is not None
        assert done.error.cause is Cause.WALL
        done = box.exec(["cat"], stdin=given, timeout=0.5)
        assert done.error is not None
        assert done.error.cause is Cause.WALL
        assert box.exec(["true"], stdin=given).status == 0
    assert box.run("input()", stdin="back").value == "back"


def test_what_breaks_on_the_host_is_told_to_who_reads(box: SessionExecutor) -> None:
    done = box.run("[input(), input()]", stdin=Broken())
    assert done.error is not None
    assert (done.error.type, done.error.message) == ("OSError", "the disk is gone")
    done = box.exec(["cat"], stdin=Broken())
    assert done.error is not None
    assert (done.error.type, done.error.message) == ("OSError", "the disk is gone")


def test_guest_code_that_asks_for_itself_gets_no_more_than_its_input(box: SessionExecutor) -> None:
    code = "import sys\n(sys.stdin.read(), sys.stdin.read(), sys.stdin.buffer.read())"
    assert box.run(code, stdin=io.BytesIO(b"all of it")).value == ("all of it", "", b"")
    assert box.run("import sys\nsys.stdin.read()").value == ""
    assert box.run("import sys\nsys.stdin.read()", stdin=None).value == ""  # type: ignore[arg-type]


def test_input_is_no_tool_call(box: SessionExecutor) -> None:
    assert box.run(COUNT, stdin=io.BytesIO(b"1" * 3_000_000)).usage.tool_calls == 0


def test_on_an_event_loop_too(box: SessionExecutor) -> None:
    async def two() -> tuple[object, str]:
        done = await box.arun(COUNT, stdin=io.BytesIO(b"1" * 3_000_000))
        program = await box.aexec(["wc", "-c"], stdin=io.BytesIO(b"1" * 3_000_000))
        return done.value, program.stdout.strip()

    assert asyncio.run(two()) == (3_000_000, "3000000")
