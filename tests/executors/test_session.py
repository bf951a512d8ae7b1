"""Sessions with the real worker over pipes: tools, values, files, deadlines, ends."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from pinjra.core.errors import (
    ConfigurationError,
    ExecutorClosed,
    ExecutorUnavailable,
    SessionLost,
    ToolRefused,
)
from pinjra.core.execution import Cause, ErrorKind
from pinjra.core.limits import Limits
from pinjra.core.values import Opaque
from pinjra.executors.pipes import SubprocessTransport, worker_command
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport
from processes import descendants, watches


class OwnProcess(SessionExecutor):
    """An unconfined process of this user."""

    def _open(self) -> Transport:
        return SubprocessTransport(worker_command())


class PipeExecutor(OwnProcess):
    PATIENCE = Patience(kill_seconds=20.0)  # a loaded machine is not what is tested here


@pytest.fixture
def box() -> Iterator[PipeExecutor]:
    with PipeExecutor(["numpy"], limits=Limits(wall_seconds=60, cpu_seconds=60, tool_calls=200)) as executor:
        yield executor


def test_values_cross_both_ways_and_state_lives_on(box: PipeExecutor) -> None:
    value = {"a": [1, (2, 3)], 5: {b"x"}, "big": "é" * 100_000, "n": 2**100}
    box.send_variables({"v": value, "w": np.arange(5)})
    assert box.run("v").value == value
    assert box.run("w * 2").value.tolist() == [0, 2, 4, 6, 8]  # type: ignore[attr-defined]


def test_code_of_any_length_runs(box: PipeExecutor) -> None:
    assert box.run("x = '" + "a" * 700_000 + "'\nlen(x)").value == 700_000


def test_a_call_runs_on_the_callers_thread_in_the_callers_context(box: PipeExecutor) -> None:
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
    seen: list[object] = []

    def look() -> None:
        seen.append((threading.current_thread(), who.get()))
        who.set("the tool")

    who.set("the caller")
    box.send_tools({"look": look})
    assert box.run("look()").error is None
    assert (seen, who.get()) == ([(threading.current_thread(), "the caller")], "the tool")


def test_async_calls_run_together_in_copies_of_the_context(box: PipeExecutor) -> None:
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
    gate = threading.Barrier(5, timeout=300)

    async def meet(n: int) -> str:
        await asyncio.to_thread(gate.wait)
        return f"{who.get()} {n}"

    who.set("caller")
    box.send_tools({"meet": meet})
    done = box.run("import asyncio\nawait asyncio.gather(*[meet(i) for i in range(5)])")
    assert done.value == [f"caller {i}" for i in range(5)], done.error


def test_an_exception_of_a_tool_reaches_the_guest_as_type_and_message_only(box: PipeExecutor) -> None:
    def broken() -> None:
        secret = "hunter2"  # noqa: F841  (a local of the host's frame)
        try:
            raise KeyError("inner secret")
        except KeyError as inner:
            raise PermissionError("outer\x1b") from inner

    box.send_tools({"broken": broken})
    code = "try:\n    broken()\nexcept Exception as e:\n    r = (type(e).__name__, str(e), e.__cause__, e.__context__)\nr"
    assert box.run(code).value == ("PermissionError", "outer\\x1b", None, None)
    error = box.run("broken()").error
    assert error is not None
    assert "secret" not in str(error) + error.traceback


def test_a_tools_own_time_limit_is_a_timeout_in_the_guest(box: PipeExecutor) -> None:
    release = threading.Event()

    def slow() -> None:
        release.wait(300)

    slow.seconds = 0.1  # type: ignore[attr-defined]
    box.send_tools({"slow": slow})
    error = box.run("slow()").error
    release.set()
    assert error is not None
    assert (error.type, error.message) == ("TimeoutError", "slow took longer than 0.1 s")


def test_a_check_refuses_arguments_before_the_tool_sees_them(box: PipeExecutor) -> None:
    class Checked:
        def check_arguments(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            raise ToolRefused(f"no: {args} {kwargs}")

        def __call__(self, *args: object, **kwargs: object) -> None:
            raise AssertionError("called")

    box.send_tools({"checked": Checked()})
    error = box.run("checked(1, a=[2])").error
    assert error is not None
    assert (error.type, error.message) == ("TypeError", "no: (1,) {'a': [2]}")


def test_a_tools_own_words_tell_a_guest_no_secret(box: PipeExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caught and printed by the guest, they went to the model as they were."""
    monkeypatch.setenv("SERVICE_TOKEN", "0123456789abcdef")

    def ask() -> None:
        raise ConnectionError(
            f"401: https://u:correct-horse@db/x {os.environ['SERVICE_TOKEN']} " + "x" * 20_000
        )

    box.send_tools({"ask": ask})
    said = box.run("try: ask()\nexcept ConnectionError as error: print(error)").stdout
    assert said.startswith("401: https://u:[secret]@db/x [secret] xxx")
    assert len(said) < 11_000


def test_a_tool_that_asks_for_files_meanwhile_runs_once_at_a_time(box: PipeExecutor) -> None:
    """What the guest said while the tool waited for its files was carried out in the middle of it."""
    at_once: list[int] = []
    running = 0

    def transfer(amount: int) -> int:
        nonlocal running
        running += 1
        at_once.append(running)
        time.sleep(0.05)
        box.list_files()
        running -= 1
        return amount

    box.send_tools({"transfer": transfer})
    code = (
        "import threading\nout = []\n"
        "ts = [threading.Thread(target=lambda n=n: out.append(transfer(n))) for n in range(5)]\n"
        "for t in ts: t.start()\nfor t in ts: t.join()\nsorted(out)"
    )
    done = box.run(code)
    assert done.value == [0, 1, 2, 3, 4], done.error
    assert at_once == [1] * 5


def test_a_turn_of_a_call_that_was_given_up_before_it_began_is_given_back(box: PipeExecutor) -> None:
    """The next run waited for a turn that nobody had, without a limit of time."""
    ends = threading.Event()

    def wait() -> None:
        ends.wait(60)

    async def plain(number: int) -> int:
        return number

    wait.concurrent = True  # type: ignore[attr-defined]
    plain.concurrent = False  # type: ignore[attr-defined]
    box.send_tools({"wait": wait, "plain": plain})
    code = (
        "import asyncio, threading, time\n"
        "for _ in range(64): threading.Thread(target=wait, daemon=True).start()\n"
        "time.sleep(0.5)\n"
        "for _ in range(2): threading.Thread(target=lambda: asyncio.run(plain(2)), daemon=True).start()\n"
        "time.sleep(0.5)\n'over'"
    )
    assert box.run(code).value == "over"
    ends.set()
    assert box.run("await plain(3)").value == 3
    assert box.run("await plain(4)").value == 4


def test_a_tool_that_is_taken_back_takes_its_objects_from_others_too(box: PipeExecutor) -> None:
    class Connection:
        rows = "rows of the host"

    def connect() -> object:
        return Connection()

    def describe(thing: object) -> str:
        return getattr(thing, "rows", "nothing")

    box.send_tools({"connect": connect, "describe": describe})
    assert box.run("c = connect()\ndescribe(c)").value == "rows of the host"
    box.send_tools({"connect": lambda: Connection()})  # another tool of that name: it is granted still
    assert box.run("describe(c)").value == "rows of the host"
    box.revoke_tools(["connect"])
    assert box.run("describe(c)").value == "nothing"


def test_an_object_that_cannot_cross_comes_back_to_its_tool_as_itself(box: PipeExecutor) -> None:
    class Connection:
        pass

    connection, got = Connection(), []
    box.send_tools({"connect": lambda: connection, "use": got.append})
    done = box.run("c = connect()\nuse(c)\nuse([c])\nc")
    assert (got[0] is connection, got[1][0] is connection, done.value is connection) == (True, True, True), (
        done.error
    )


def test_a_guest_object_is_never_more_than_a_description(box: PipeExecutor) -> None:
    got: list[object] = []
    box.send_tools({"take": got.append})
    box.run("class A:\n    pass\ntake(A())\ntake(len)\ntake({'a': A()})")
    assert [type(got[0]), type(got[1]), type(got[2]["a"])] == [Opaque, Opaque, Opaque]  # type: ignore[index]


def test_the_limit_of_tool_calls_ends_the_run(box: PipeExecutor) -> None:
    calls: list[int] = []
    box.send_tools({"tick": lambda: calls.append(1)})
    error = box.run("while True:\n    try:\n        tick()\n    except BaseException:\n        pass").error
    assert error is not None
    assert (error.kind, error.cause, len(calls)) == (ErrorKind.LIMIT, Cause.TOOL_CALLS, 200)


def test_a_tool_may_use_the_files_of_its_session_but_not_run_code_in_it(box: PipeExecutor) -> None:
    def save(text: str) -> dict[str, int]:
        box.put_file("from-tool.txt", text.encode())
        return box.list_files()

    box.send_tools({"save": save, "again": lambda: box.run("1")})
    assert box.run("save('hello')").value == {"from-tool.txt": 5}
    error = box.run("again()").error
    assert error is not None
    assert (error.type, error.message) == (
        "ConfigurationError",
        "a tool may not run code in, or change, the session that called it",
    )


def test_files_may_be_asked_for_from_another_thread_while_code_runs(box: PipeExecutor) -> None:
    found: list[dict[str, int]] = []

    async def look() -> None:
        await asyncio.to_thread(lambda: found.append(box.list_files()))

    box.put_file("a", b"12")
    box.send_tools({"look": look})
    assert box.run("await look()").error is None
    assert found == [{"a": 2}]


def test_file_names_and_quotas_are_the_callers_fault(box: PipeExecutor) -> None:
    for name in ("../a", "/etc/passwd", "", "a/../b", "a\0"):
        with pytest.raises(ConfigurationError):
            box.put_file(name, b"")
        with pytest.raises(ConfigurationError):
            box.get_file(name)
    with pytest.raises(ConfigurationError, match="more than the quota"):
        box.put_file("a", bytes(box.limits.disk_bytes or 0) + b"1")
    with pytest.raises(FileNotFoundError, match="'none'"):
        box.get_file("none")


def test_a_large_file_and_a_large_array_come_back_whole(box: PipeExecutor) -> None:
    data = os.urandom(5_000_001)
    box.put_file("data", data)
    assert box.get_file("data") == data
    array = np.arange(1 << 20)
    box.send_variables({"array": array})
    np.testing.assert_array_equal(box.run("array").value, array)


def test_an_interrupt_gives_up_a_tool_that_the_run_waits_for(box: PipeExecutor) -> None:
    cancelled = threading.Event()

    async def hang() -> None:
        box.interrupt()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    box.send_tools({"hang": hang})
    box.run("x = 1")
    error = box.run("x = 2\nawait hang()").error
    assert error is not None
    assert (error.kind, cancelled.wait(300)) == (ErrorKind.INTERRUPTED, True)
    assert box.run("x").error is None


def test_an_interrupt_while_a_tool_runs_on_the_callers_thread_takes_effect_when_it_returns(
    box: PipeExecutor,
) -> None:
    calls: list[int] = []

    def stop() -> None:
        calls.append(1)
        box.interrupt()

    box.send_tools({"stop": stop})
    error = box.run("while True:\n    stop()").error
    assert error is not None
    assert (error.kind, error.cause) == (ErrorKind.INTERRUPTED, Cause.INTERRUPT)


def test_an_interrupt_without_a_run_does_nothing(box: PipeExecutor) -> None:
    box.interrupt()
    assert box.run("1").value == 1


def test_a_killed_worker_takes_everything_below_it_along(box: PipeExecutor) -> None:
    supervisor = box._connection.messages.transport._process.pid  # type: ignore[attr-defined]
    children = descendants(supervisor)
    descriptors = watches(children)
    box._connection.messages.transport.kill()
    assert children
    for descriptor in descriptors:
        ended, _, _ = select.select([descriptor], [], [], 60)
        os.close(descriptor)
        assert ended


def test_a_killed_step_is_undone(box: PipeExecutor) -> None:
    box.run("x = [1]")
    error = box.run("x.append(2)\nwhile True:\n    pass", wall_seconds=0.3).error
    assert error is not None
    assert (error.cause, error.rolled_back, box.run("x").value) == (Cause.WALL, True, [1])


def test_an_error_in_the_callers_callback_ends_the_run_and_not_the_session(box: PipeExecutor) -> None:
    def fail(stream: str, text: str) -> None:
        raise LookupError("the caller's own")

    box.run("x = 1")
    box.on_output = fail
    with pytest.raises(LookupError):
        box.run("x = 2\nwhile True:\n    print('a', flush=True)")  # the callback would fail many times
    box.on_output = None
    assert box.run("x").value == 1


def test_a_second_thread_waits_for_its_turn(box: PipeExecutor) -> None:
    box.run("n = 0")
    threads = [threading.Thread(target=box.run, args=("n += 1",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert box.run("n").value == 8


def test_a_killed_supervisor_is_a_lost_session_until_reset_keeps_the_tools(box: PipeExecutor) -> None:
    box.send_tools({"one": lambda: 1})
    box._connection.messages.transport.kill()
    with pytest.raises(SessionLost, match="signal 9"):
        box.run("one()")
    box.reset()
    assert box.run("one()").value == 1


def test_reset_forgets_variables_and_files(box: PipeExecutor) -> None:
    box.run("x = 1")
    box.put_file("a", b"")
    box.reset()
    error = box.run("x").error
    assert error is not None
    assert (error.type, box.list_files()) == ("NameError", {})


def test_reset_forgets_objects_of_the_host_that_the_guest_was_given() -> None:
    connection = object()
    with PipeExecutor(["pinjra"]) as box:
        box.send_tools({"opened": lambda: connection, "is_it": lambda each: each is connection})
        assert box.run("is_it(opened())").value is True
        box.reset()
        forged = (
            "from pinjra.core.values import Opaque\n[is_it(Opaque('object', '', n)) for n in range(0, 20, 2)]"
        )
        done = box.run(forged)
        assert (done.error, done.value) == (None, [False] * 10)
        assert box.run("is_it(opened())").value is True


def test_names_that_cannot_be_bound_are_the_callers_fault(box: PipeExecutor) -> None:
    with pytest.raises(ConfigurationError, match="identifier"):
        box.send_variables({"a b": 1})
    with pytest.raises(ConfigurationError, match="identifier"):
        box.send_tools({"class": print})
    with pytest.raises(ConfigurationError, match="not callable"):
        box.send_tools({"f": 1})  # type: ignore[dict-item]


def test_forking_says_where_it_can_be_had(box: PipeExecutor) -> None:
    with pytest.raises(ExecutorUnavailable, match="the jail can"):
        box.fork()


def test_closing_ends_the_process_and_every_use() -> None:
    box = PipeExecutor()
    process = box._connection.messages.transport._process  # type: ignore[attr-defined]
    box.close()
    box.close()
    assert process.returncode is not None
    for use in (lambda: box.run("1"), box.list_files, box.reset, lambda: box.send_tools({})):
        with pytest.raises(ExecutorClosed):
            use()
    box.interrupt()


def test_a_session_that_nobody_holds_is_closed() -> None:
    box = PipeExecutor()
    process = box._connection.messages.transport._process  # type: ignore[attr-defined]
    del box
    gc.collect()
    assert process.returncode is not None


LEAVE = """
import os, sys
from pinjra.executors.pipes import SubprocessTransport, worker_command
from pinjra.executors.session.executor import SessionExecutor
class Piped(SessionExecutor):
    def _open(self):
        return SubprocessTransport(worker_command())
box = Piped()
print(box._connection.messages.transport._process.pid, flush=True)
box.run("1")
{then}
"""


def test_a_session_ends_with_the_interpreter_that_opened_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVE.format(then="")], capture_output=True, text=True, timeout=300
    )
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


FORK = """
child = os.fork()
if child == 0:
    try:
        box.run("1")
    except Exception as error:
        print(type(error).__name__, flush=True)
    box.close()
    sys.exit()
os.waitpid(child, 0)
print(box.run("40 + 2").value)
"""


def test_a_forked_child_neither_uses_nor_ends_its_parents_session() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LEAVE.format(then=FORK)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.splitlines()[1:] == ["ExecutorClosed", "42"], done.stderr
