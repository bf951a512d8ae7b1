"""Sessions that are opened in advance: who gets one, who does not, and their end."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from pinjra.core.errors import SessionLost
from pinjra.core.limits import Limits
from pinjra.executors.local import LocalPythonExecutor
from pinjra.executors.pipes import SubprocessTransport, worker_command
from pinjra.executors.pool import ReadySessions
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport


class Ready:
    """A session that notes what becomes of it."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.is_alive = True

    def discard(self) -> None:
        self.ended.set()

    def is_unused(self) -> bool:
        return self.is_alive


class Opener:
    """Opens sessions, and says when."""

    def __init__(self) -> None:
        self.opened: list[Ready] = []
        self.has_opened = threading.Semaphore(0)

    def __call__(self) -> Ready:
        self.opened.append(Ready())
        self.has_opened.release()
        return self.opened[-1]

    def wait(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.has_opened.acquire(timeout=120)


@pytest.fixture
def pool() -> Iterator[ReadySessions]:
    pool = ReadySessions()
    yield pool
    pool.close()


def taken(pool: ReadySessions, kind: object) -> Ready:
    """Return a ready session; it is put there a moment after it was opened."""
    for _ in range(3000):
        found = pool.take(kind)
        if isinstance(found, Ready):
            return found
        threading.Event().wait(0.01)
    raise AssertionError("none was made ready")


def test_what_is_wanted_is_opened_once_and_given_to_the_same_configuration_only(pool: ReadySessions) -> None:
    opener = Opener()
    assert pool.take("a") is None
    pool.want("a", 2, opener)
    opener.wait(2)
    assert pool.take("b") is None
    assert {taken(pool, "a"), taken(pool, "a")} == set(opener.opened)
    assert pool.take("a") is None


def test_a_session_that_died_while_it_waited_is_ended_and_not_given(pool: ReadySessions) -> None:
    opener = Opener()
    pool.want("a", 2, opener)
    opener.wait(2)
    opener.opened[0].is_alive = False
    assert taken(pool, "a") is opener.opened[1]
    assert opener.opened[0].ended.is_set()


def test_an_opening_that_fails_is_not_tried_again_before_the_next_wish(pool: ReadySessions) -> None:
    tries = threading.Semaphore(0)

    def fail() -> Ready:
        tries.release()
        raise OSError("no more processes")

    opener = Opener()
    pool.want("a", 1, fail)
    assert tries.acquire(timeout=120)
    pool.want("b", 1, opener)
    opener.wait()
    assert not tries.acquire(blocking=False)
    pool.want("a", 1, opener)
    opener.wait()
    taken(pool, "a")


def test_sessions_of_the_configuration_asked_for_longest_ago_are_ended(pool: ReadySessions) -> None:
    first, others = Opener(), Opener()
    pool.want("first", 1, first)
    first.wait()
    for name in "abcd":
        pool.want(name, 1, others)
    others.wait(4)
    assert first.opened[0].ended.wait(120)
    assert pool.take("first") is None


def test_the_end_ends_what_is_ready_and_keeps_nothing_more(pool: ReadySessions) -> None:
    opener = Opener()
    pool.want("a", 1, opener)
    opener.wait()
    pool.close()
    assert opener.opened[0].ended.is_set()
    pool.want("a", 1, opener)
    assert pool.take("a") is None
    assert len(opener.opened) == 1


# ---------------------------------------------------------------- of real executors


def adopted(make: type[SessionExecutor], **options: object) -> SessionExecutor:
    """Return an executor that has got a session which was opened in advance."""
    for _ in range(3000):
        box = make([], **options)  # type: ignore[arg-type]
        if not hasattr(box, "_opened_here"):
            return box
        box.close()
        threading.Event().wait(0.02)
    raise AssertionError("no session was ready in a minute")


class Noting(SessionExecutor):
    def _start(self, *arguments: object, **options: object) -> None:
        super()._start(*arguments, **options)  # type: ignore[arg-type]
        if threading.current_thread() is threading.main_thread():
            self._opened_here = True


class Local(Noting, LocalPythonExecutor):
    pass


class Piped(Noting):
    def _open(self) -> Transport:
        return SubprocessTransport(worker_command())


@pytest.mark.parametrize("make", [Local, Piped])
def test_a_ready_session_is_an_ordinary_one(make: type[SessionExecutor]) -> None:
    with adopted(make, spares=1) as box:
        box.send_tools({"double": lambda n: 2 * n})
        printed: list[str] = []
        box.on_output = lambda _stream, text: printed.append(text)
        assert box.run("x = double(21)\nprint(x)\nx").value == 42
        assert "".join(printed) == "42\n"
        box.put_file("a", b"b")
        box.reset()
        assert box.run("double(1)").value == 2
        assert box.list_files() == {}


def test_a_session_that_was_lost_is_replaced_by_a_ready_one() -> None:
    with adopted(Local, spares=1) as box:
        box._connection.messages.transport.kill()
        with pytest.raises(SessionLost):
            box.run("1")
        box.reset()
        assert box.run("1 + 1").value == 2


def test_other_limits_or_imports_get_a_session_of_their_own() -> None:
    with adopted(Local, spares=1), Local([], limits=Limits(wall_seconds=17), spares=1) as slow:
        assert hasattr(slow, "_opened_here")
        with Local(["sqlite3"], spares=1) as other:
            assert hasattr(other, "_opened_here")
            assert other.run("import sqlite3").error is None


def test_a_forked_child_has_no_ready_sessions_and_opens_its_own() -> None:
    code = (
        "import os, time\n"
        "from pinjra.executors.local import LocalPythonExecutor\nfrom pinjra.executors.pool import POOL\n"
        "box = LocalPythonExecutor()\n"
        "while not any(kind.ready for kind in POOL._kinds.values()): time.sleep(0.01)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    assert not POOL._kinds\n"
        "    with LocalPythonExecutor() as own: os._exit(own.run('40 + 2').value)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42\n"
        "with LocalPythonExecutor() as mine: print(mine.run('1 + 1').value)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("2\n", "")


def test_a_process_that_ends_at_once_says_nothing() -> None:
    code = (
        "from pinjra.executors.local import LocalPythonExecutor\nprint(LocalPythonExecutor().run('1').value)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("1\n", "", 0)
