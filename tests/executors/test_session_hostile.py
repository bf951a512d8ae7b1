"""The host's side of a session against workers that die, lie, flood and do not answer."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pinjra.core.errors import ExecutorClosed, ProtocolViolation, SessionLost, StartupFailed
from pinjra.core.execution import Cause, ErrorKind
from pinjra.core.limits import Limits
from pinjra.executors.pipes import SubprocessTransport, worker_command
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport

WORKER = Path(__file__).with_name("odd_worker.py")


LONG = Limits(wall_seconds=20)


class OwnProcess(SessionExecutor):
    """An unconfined process of this user."""

    def _open(self) -> Transport:
        return SubprocessTransport(worker_command())


class OddExecutor(SessionExecutor):
    PATIENCE = Patience(start_seconds=20.0, kill_seconds=1.0, recovery_seconds=1.0)

    def __init__(self, behaviour: str, *, limits: Limits = LONG) -> None:
        self.behaviour = behaviour
        super().__init__(limits=limits)

    def _open(self) -> SubprocessTransport:
        self.transport = SubprocessTransport([sys.executable, "-I", str(WORKER), self.behaviour])
        return self.transport


class JustInTime(OddExecutor):
    """Its host gives a run back as soon as its limit is over."""

    PATIENCE = Patience(start_seconds=20.0, kill_seconds=0.0, recovery_seconds=20.0)


@contextlib.contextmanager
def at_the_first_output(box: OddExecutor, action: Callable[[], None]) -> Iterator[None]:
    """Do something from another thread as soon as a run of the block is known to be at work."""
    at_work = threading.Event()
    box.on_output = lambda stream, text: at_work.set()
    other = threading.Thread(target=lambda: (at_work.wait(300), action()))
    other.start()
    yield
    other.join()


SHORT = Limits(wall_seconds=0.2)


def test_a_worker_that_does_not_confirm_a_kill_is_killed_and_the_loss_says_why() -> None:
    with OddExecutor("deaf", limits=SHORT) as box:
        error = box.run("x").error  # in time for the caller, who is not to wait for a worker
        assert error is not None
        assert (error.cause, error.rolled_back, error.state_lost) == (Cause.WALL, False, False)
        assert "the session's next use waits for that" in error.message
        with pytest.raises(SessionLost, match=r"was to be ended \(wall\)") as caught:
            box.run("x")
        assert caught.value.cause is Cause.WALL
        with pytest.raises(SessionLost, match=r"reset\(\) starts an empty session") as again:
            box.run("y")
        assert again.value.cause is Cause.WALL
        assert box.transport.describe_death() == "signal 9"


def test_a_kill_that_is_confirmed_late_costs_the_answer_no_time_and_the_session_nothing() -> None:
    with JustInTime("polite", limits=SHORT) as box:
        for _ in range(3):
            error = box.run("x").error
            assert error is not None
            assert (error.kind, error.cause, error.state_lost) == (ErrorKind.LIMIT, Cause.WALL, False)


def test_the_wall_limit_is_a_value_when_the_worker_keeps_up() -> None:
    with OddExecutor("polite", limits=SHORT) as box:
        for _ in range(2):
            error = box.run("x").error
            assert error is not None
            assert (error.kind, error.cause, error.rolled_back) == (ErrorKind.LIMIT, Cause.WALL, True)
            assert error.message.startswith("the run took longer than its time limit of 0.2 s")


def test_a_run_that_ends_as_its_kill_is_on_the_way_does_not_hurt_the_next_one() -> None:
    with OddExecutor("late", limits=SHORT) as box:
        assert box.run("x").value == "in time"
        assert box._connection.messages.connection.open_kills == set()


def test_an_interrupt_that_is_not_heard_becomes_a_kill() -> None:
    with OddExecutor("talks") as box, at_the_first_output(box, box.interrupt):
        error = box.run("x").error
        assert error is not None
        assert (error.kind, error.cause) == (ErrorKind.INTERRUPTED, Cause.INTERRUPT)


@pytest.mark.parametrize(
    ("behaviour", "cause", "why"),
    [("dies", Cause.SIGNAL, "signal 9"), ("leaves", Cause.EXIT, "exit status 3")],
)
def test_the_death_of_a_worker_is_typed_and_stays_until_reset(behaviour: str, cause: Cause, why: str) -> None:
    with OddExecutor(behaviour) as box:
        with pytest.raises(SessionLost, match=why) as caught:
            box.run("x")
        assert caught.value.cause is cause
        for use in (lambda: box.run("x"), box.list_files, lambda: box.send_variables({"a": 1})):
            with pytest.raises(SessionLost, match=why):
                use()
        box.behaviour = "ansi"
        box.reset()
        assert box.run("x").stdout


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ("garbage", "not a frame"),
        ("answers-run-2", "of run 2"),
        ("odd-value", "dtype"),
        ("odd-error", "error that is none"),
        ("odd-cause", "unknown cause"),
        ("odd-stream", "stream 'stdlog'"),
        ("odd-arguments", "has arguments of"),
        ("call-twice", "not above 1"),
    ],
)
def test_what_the_protocol_does_not_allow_kills_the_session(behaviour: str, why: str) -> None:
    with OddExecutor(behaviour) as box:
        with pytest.raises(ProtocolViolation, match=why):
            box.run("x")
        with pytest.raises(SessionLost, match=why) as later:
            box.run("x")
        assert later.value.cause is Cause.PROTOCOL
        assert box.transport.describe_death() == "signal 9"


def test_an_answer_of_another_kind_kills_the_session() -> None:
    with OddExecutor("wrong-file") as box:
        with pytest.raises(ProtocolViolation, match="Started while idle"):
            box.get_file("a")
        with pytest.raises(SessionLost):
            box.get_file("a")


def test_output_is_cut_at_its_limit_while_it_comes() -> None:
    seen: list[str] = []
    with OddExecutor("floods", limits=Limits(output_bytes=25_000)) as box:
        box.on_output = lambda stream, text: seen.append(text)
        done = box.run("x")
    assert done.stdout == "x" * 25_000 + "\n… output cut at 25000 bytes …\n"
    assert "".join(seen) == done.stdout


def test_what_a_run_has_the_host_decode_is_charged_to_its_processor_time() -> None:
    with OddExecutor("costly", limits=Limits(wall_seconds=60, cpu_seconds=0.3)) as box:
        error = box.run("x").error
    assert error is not None
    assert (error.kind, error.cause) == (ErrorKind.LIMIT, Cause.CPU)
    assert "processor time of 0.3 s" in error.message


def test_a_hosts_own_tools_and_callbacks_are_not_charged_to_the_run() -> None:
    def work(*_said: object) -> None:
        end = time.thread_time() + 0.5
        while time.thread_time() < end:
            pass

    with OwnProcess(limits=Limits(wall_seconds=60, cpu_seconds=0.4)) as box:
        box.send_tools({"work": work})
        box.on_output = work
        done = box.run("work()\nprint('a')\nwork()")
    assert done.error is None


def test_millions_of_control_characters_are_cut_before_they_are_written_out() -> None:
    tracemalloc.start()
    try:
        with OddExecutor("controls", limits=Limits(output_bytes=1000)) as box:
            done = box.run("x")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert done.stdout == "\\x01" * 250 + "\n… output cut at 1000 bytes …\n"
    assert (len(done.artifacts[0].name), len(done.notes[0])) == (200, 1000)
    assert peak_bytes < 200_000_000  # 15 MB cross, as 90 MB of JSON


def test_nothing_that_a_terminal_obeys_gets_through() -> None:
    with OddExecutor("ansi") as box:
        done = box.run("x")
    assert done.stdout == "\\x1b]0;owned\\x07\\x1b[2Jab\tc\nd\\u202e\\ud800\n"
    assert (done.stderr, done.notes) == ("\\x9b31m", ("n\\x1b",))
    error = done.error
    assert error is not None
    texts = (error.type, error.message, error.traceback, error.source_line, error.hint)
    assert texts == ("E\\x1b", "m\\x1b", "t\\x1b", "s\\x1b", "h\\x1b")
    assert (error.rolled_back, error.state_lost) == (False, False), "a guest may not claim these"
    assert (done.artifacts[0].media_type, done.artifacts[0].name) == ("image/\\x1b", "\\x1b")


def test_a_loss_of_state_is_said_in_the_error() -> None:
    with OddExecutor("loses-state") as box:
        error = box.run("x").error
    assert error is not None
    assert (error.kind, error.cause, error.state_lost, error.rolled_back) == (
        ErrorKind.LIMIT,
        Cause.MEMORY,
        True,
        False,
    )
    assert error.message.endswith(
        "the session's variables are lost; it goes on empty, with the files that list_files() names"
    )


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ("no-worker", "cannot find the worker"),
        ("dies-at-start", "the interpreter died at its start: startup no memory"),
    ],
)
def test_a_worker_that_does_not_come_up_says_why(behaviour: str, why: str) -> None:
    with pytest.raises(StartupFailed, match=why):
        OddExecutor(behaviour)


def test_a_silent_worker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OddExecutor, "PATIENCE", Patience(start_seconds=0.2))
    with pytest.raises(StartupFailed, match=r"no Hello came from the worker within 0.2 s"):
        OddExecutor("silent")


def test_a_command_that_is_not_there_says_so() -> None:
    with pytest.raises(StartupFailed, match="'/nonexistent' cannot be started"):
        SubprocessTransport(["/nonexistent"])


def test_closing_in_the_middle_of_a_run_ends_it() -> None:
    box = OddExecutor("deaf")
    with at_the_first_output(box, box.close), pytest.raises((ExecutorClosed, SessionLost)):
        box.run("x")
    with pytest.raises(ExecutorClosed):
        box.run("x")
