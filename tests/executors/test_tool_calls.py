"""Who decides how often, how many at once and which tools guest code calls: the host."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pinjra import Tool, tool
from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.executors.pipes import SubprocessTransport, worker_command
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport

ESCAPES = Path(__file__).parents[1] / "escapes"


class OwnProcess(SessionExecutor):
    """An unconfined process of this user."""

    def _open(self) -> Transport:
        return SubprocessTransport(worker_command())


class PipeExecutor(OwnProcess):
    PATIENCE = Patience(kill_seconds=20.0)  # a loaded machine is not what is tested here


@pytest.fixture
def box() -> Iterator[PipeExecutor]:
    """Unguarded, so that the guest has threads and its own ways to speak."""
    with PipeExecutor(guard=False, limits=Limits(wall_seconds=60, cpu_seconds=60)) as executor:
        yield executor


class Counted:
    """Counts how many calls of it run at once; each waits until another came, or a while."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running = self.most = self.done = 0
        self.second = threading.Event()

    def __call__(self) -> int:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
            if self.running > 1:
                self.second.set()
        self.second.wait(0.05)
        with self.lock:
            self.running -= 1
            self.done += 1
        return self.done


THREADS = """
import threading
threads = [threading.Thread(target=count) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
'ok'
"""


TWICE = "out = []\nfor _ in range(2):\n    try:\n        {}\n    except BaseException as e:\n        out.append({})\nout"


def test_a_plain_tool_runs_once_at_a_time_however_many_threads_call_it(box: PipeExecutor) -> None:
    count = Counted()
    box.send_tools({"count": count})
    assert box.run(THREADS).value == "ok"
    assert (count.most, count.done) == (1, 8)


def test_a_plain_tool_with_a_time_limit_runs_once_at_a_time_too(box: PipeExecutor) -> None:
    count = Counted()
    count.seconds = 60.0  # type: ignore[attr-defined]
    box.send_tools({"count": count})
    assert box.run(THREADS).value == "ok"
    assert (count.most, count.done) == (1, 8)


def test_an_async_tool_that_is_not_concurrent_waits_for_its_turn(box: PipeExecutor) -> None:
    running = most = 0

    async def count() -> None:
        nonlocal running, most
        import asyncio

        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    count.concurrent = False  # type: ignore[attr-defined]
    box.send_tools({"count": count})
    done = box.run("import asyncio\nawait asyncio.gather(*[count() for _ in range(20)])\n'ok'")
    assert (done.value, most) == ("ok", 1), done.error


@pytest.mark.parametrize("how", ["run", "arun"])
def test_a_method_of_what_a_plain_tool_has_returned_runs_once_at_a_time_through_all_handles(
    box: PipeExecutor, how: str
) -> None:
    class Account(Counted):
        def withdraw(self, _amount: int) -> None:
            self()

    one = Account()

    def account() -> Account:
        return one

    account.methods = ("withdraw",)  # type: ignore[attr-defined]
    box.send_tools({"account": account})
    code = (ESCAPES / "tools_methods_of_one_object.py").read_text()
    done = box.run(code) if how == "run" else asyncio.run(box.arun(code))
    assert (done.error, one.most, one.done) == (None, 1, 8)


def test_arguments_of_all_calls_in_progress_are_memory_within_a_bound() -> None:
    entered = threading.Event()

    async def hold(data: bytes) -> int:
        await asyncio.to_thread(entered.wait)
        return len(data)

    def go() -> None:
        entered.set()

    limits = Limits(wall_seconds=300, value_bytes=1 << 20)
    with PipeExecutor(guard=False, limits=limits) as box:
        box.send_tools({"hold": hold, "go": go})
        done = box.run((ESCAPES / "tools_arguments_of_many.py").read_text())
        found = done.value
        assert isinstance(found, list), done.error
        assert found[0] == "400000"
        assert "more than 4 values" in found[1]
        assert box._connection.tool_calls._held_bytes == 0


def test_a_call_that_was_given_up_on_a_loop_holds_the_turn_in_a_later_run_without_one(
    box: PipeExecutor,
) -> None:
    entered, release = threading.Event(), threading.Event()

    def slow() -> None:
        entered.set()
        release.wait(300)

    async def give_up() -> None:
        running = asyncio.create_task(box.arun("slow()"))
        await asyncio.to_thread(entered.wait)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        entered.clear()
        later = "import threading\nother = threading.Thread(target=slow, daemon=True)\nother.start()\nother.join(0.2)"
        assert (await asyncio.to_thread(box.run, later)).error is None
        release.set()

    box.send_tools({"slow": slow})
    asyncio.run(give_up())
    assert not entered.is_set()


@pytest.mark.parametrize("how", ["attribute", "decorator", "class"])
def test_a_tool_that_says_concurrent_is_called_again_before_it_returns(box: PipeExecutor, how: str) -> None:
    meet = threading.Barrier(8, timeout=300)

    def count() -> int:
        """Wait for seven others."""
        return meet.wait()

    class Meeting(Tool):
        name = "count"
        description = "Waits for seven others."
        inputs = {}
        output_type = "integer"
        concurrent = True

        def forward(self) -> int:
            return count()

    made: dict[str, Callable[[], Callable[..., object]]] = {
        "attribute": lambda: functools.update_wrapper(functools.partial(count), count),
        "decorator": lambda: tool(concurrent=True)(count),
        "class": Meeting,
    }
    granted = made[how]()
    if how == "attribute":
        granted.concurrent = True  # type: ignore[attr-defined]
    box.send_tools({"count": granted})
    assert box.run(THREADS).value == "ok"
    assert not meet.broken


def test_a_call_that_was_given_up_holds_the_turn_until_it_has_really_ended(box: PipeExecutor) -> None:
    release, entered = threading.Event(), []

    def slow() -> str:
        entered.append(1)
        release.wait(300)
        return "done"

    slow.seconds = 0.2  # type: ignore[attr-defined]
    box.send_tools({"slow": slow, "release": release.set})
    code = TWICE.format("slow()", "str(e)")
    assert box.run(code).value == ["slow took longer than 0.2 s"] * 2
    assert len(entered) == 1  # the second waited in vain, also in another run:
    assert box.run("try:\n    slow()\nexcept TimeoutError:\n    r = 'late'\nr").value == "late"
    assert len(entered) == 1
    slow.seconds = 60.0  # type: ignore[attr-defined]
    box.send_tools({"slow": slow})
    assert box.run("release()\nslow()").value == "done"


def test_a_tool_that_ends_its_thread_does_not_hold_the_turn(box: PipeExecutor) -> None:
    def leave() -> None:
        raise SystemExit(3)

    leave.seconds = 60.0  # type: ignore[attr-defined]
    box.send_tools({"leave": leave})
    code = TWICE.format("leave()", "type(e).__name__")
    assert box.run(code).value == ["SystemExit"] * 2


def test_a_revoked_tool_is_refused_whatever_the_guest_still_holds(box: PipeExecutor) -> None:
    calls: list[str] = []
    box.send_tools({"delete": lambda: calls.append("delete"), "read": lambda: "data"})
    box.run("held = [delete]\nclass K:\n    f = staticmethod(delete)")
    box.revoke_tools(["delete"])
    for code in ("delete()", "held[0]()", "K.f()", "import copy\ncopy.copy(held)[0]()"):
        error = box.run(code).error
        assert error is not None
        assert (error.type, error.message) == ("NameError", "there is no tool 'delete'")
    assert (calls, box.run("read()").value) == ([], "data")
    box.reset()
    assert (box.run("read()").value, calls) == ("data", [])
    assert box.run("delete()").error is not None


def test_a_tool_can_be_revoked_by_another_in_the_middle_of_a_run(box: PipeExecutor) -> None:
    calls: list[int] = []
    box.send_tools({"spend": lambda: calls.append(1), "lock": lambda: box.revoke_tools(["spend"])})
    error = box.run("spend()\nlock()\nspend()").error
    assert error is not None
    assert (error.type, calls) == ("NameError", [1])


def test_revoking_what_is_not_granted_says_what_is_and_takes_nothing_back(box: PipeExecutor) -> None:
    box.send_tools({"read": lambda: "data", "write": lambda: None})
    with pytest.raises(ConfigurationError, match=r"'raed'.*\['read', 'write'\]"):
        box.revoke_tools(["write", "raed"])
    assert box.run("write()").error is None


def test_a_name_that_is_granted_again_means_the_new_function(box: PipeExecutor) -> None:
    box.send_tools({"who": lambda: "old"})
    box.run("held = who")
    box.send_tools({"who": lambda: "new"})
    assert box.run("who(), held()").value == ("new", "new")


CALLED_IN_CHILDREN = """
import os
reader, writer = os.pipe()
for _ in range(3):
    if os.fork() == 0:
        try:
            double(1)
            said = "answered"
        except RuntimeError as error:
            said = str(error)
        os.write(writer, (said + "|").encode())
        os._exit(0)
for _ in range(3):
    os.wait()
(double(21), os.read(reader, 1000).decode().split("|"))
"""


def test_a_child_of_the_guests_calls_no_tool_and_ends_no_session(box: PipeExecutor) -> None:
    box.send_tools({"double": lambda number: 2 * number})
    value, said = box.run(CALLED_IN_CHILDREN).value  # type: ignore[misc]
    assert value == 42
    assert said == [*["tools answer the process that the run began in; call them there"] * 3, ""]
    assert box.run("double(4)").value == 8


@pytest.mark.parametrize("last", ["parent", "1 / (parent != 0)", "while not parent: raise SystemExit"])
def test_a_child_that_comes_to_the_end_of_its_parents_code_is_no_second_end_of_the_run(
    box: PipeExecutor, last: str
) -> None:
    code = f"import os\nkept = 5\nparent = os.fork()\nif parent: _, status = os.waitpid(parent, 0)\n{last}"
    assert box.run(code).error is None
    assert box.run("os.waitstatus_to_exitcode(status)").value == (1 if "/" in last else 0)
    assert box.run("kept").value == 5


def test_notes_and_the_members_of_a_group_are_what_a_tool_says(box: PipeExecutor) -> None:
    def noted() -> None:
        error = ValueError("base")
        error.add_note("look at row 3")
        raise error

    def grouped() -> None:
        raise ExceptionGroup("two", [ValueError("inner"), KeyError("k")])

    box.send_tools({"noted": noted, "grouped": grouped})
    first, second = box.run("noted()").error, box.run("grouped()").error
    assert first is not None and second is not None
    assert (first.type, first.message) == ("ValueError", "base\nlook at row 3")
    assert (second.type, second.message) == (
        "ExceptionGroup",
        "two (2 sub-exceptions)\n  ValueError: inner\n  KeyError: 'k'",
    )
