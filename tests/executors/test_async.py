"""Sessions on an event loop: no thread for a run, others go on meanwhile, cancelling interrupts."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from pinjra import ConfigurationError, ExecutorClosed, PythonExecutor, SessionLost, sandbox
from pinjra.core.execution import Cause, ErrorKind

EXECUTORS = pytest.mark.parametrize("name", ["jail", "local"])
RUNS, AT_ONCE = 40, 10  # the figures of docs/performance.md are of 200 and 50
ESCAPES = Path(__file__).parents[1] / "escapes"
WHO: ContextVar[str] = ContextVar("who", default="nobody")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
@pytest.mark.usefixtures("no_ready_sessions")
@EXECUTORS
def test_many_runs_share_the_loop_and_leave_no_thread_and_no_descriptor(name: str) -> None:
    most: list[int] = []

    async def doubled(number: int) -> int:
        await asyncio.sleep(0.01)
        return number * 2

    async def one(turn: asyncio.Semaphore, number: int) -> object:
        async with turn, sandbox(name, spares=0) as box:
            box.send_tools({"doubled": doubled})
            done = await box.arun(f"kept = await doubled({number})\nkept")
            most.append(threading.active_count())
            assert (await box.arun("kept + 1")).value == number * 2 + 1
            return done.value

    async def all_of_them() -> list[object]:
        turn = asyncio.Semaphore(AT_ONCE)
        return await asyncio.gather(*(one(turn, number) for number in range(RUNS)))

    before = threading.active_count()
    asyncio.run(all_of_them())  # what the first opening in a process keeps
    gc.collect()
    kept = descriptors()
    assert asyncio.run(all_of_them()) == [number * 2 for number in range(RUNS)]
    gc.collect()
    # Those of the loop's own pool close sessions; none belongs to a run.
    assert max(most) <= before + min(32, (os.cpu_count() or 1) + 4)
    # Fewer is none of theirs: threads and sockets of earlier tests end when they like.
    assert threading.active_count() <= before
    assert descriptors() <= kept


@EXECUTORS
def test_cancelling_interrupts_the_run_and_the_session_goes_on(name: str) -> None:
    async def main() -> None:
        started = asyncio.Event()

        async def begun() -> None:
            started.set()

        async with sandbox(name) as box:
            box.send_tools({"begun": begun})
            await box.arun("x = 5")
            running = asyncio.create_task(box.arun("x = 6\nawait begun()\nwhile True: pass"))
            await started.wait()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert (await box.arun("x")).value in (5, 6)  # rolled back where it had to be killed

    asyncio.run(main())


@EXECUTORS
def test_a_time_limit_of_asyncio_ends_the_run(name: str) -> None:
    async def main() -> None:
        async with sandbox(name) as box:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await box.arun("import time\ntime.sleep(60)")
            assert (await box.arun("1 + 1")).value == 2

    asyncio.run(main())


@EXECUTORS
def test_limits_and_interrupts_hold(name: str) -> None:
    async def main() -> None:
        async with sandbox(name) as box:
            late = await box.arun("while True: pass", wall_seconds=0.5)
            assert late.error is not None and (late.error.kind, late.error.cause) == (
                ErrorKind.LIMIT,
                Cause.WALL,
            )
            asyncio.get_running_loop().call_later(0.2, box.interrupt)
            stopped = await box.arun("import time\ntime.sleep(60)", wall_seconds=30)
            assert stopped.error is not None and stopped.error.kind is ErrorKind.INTERRUPTED
            failed = await box.arun("1 / 0")
            assert failed.error is not None and failed.error.type == "ZeroDivisionError"

    asyncio.run(main())


@EXECUTORS
def test_async_tools_are_tasks_of_the_loop_and_plain_ones_do_not_hold_it_up(name: str) -> None:
    async def main() -> None:
        here, release, seen = threading.get_ident(), threading.Event(), dict[str, Any]()

        async def on_loop() -> str:
            seen["loop"] = threading.get_ident()
            seen["who"] = WHO.get()
            release.set()
            return "done"

        def elsewhere() -> bool:
            seen["plain"] = threading.get_ident()
            return release.wait(300)  # for ever, if it held up the loop that lets it go

        async def fails() -> None:
            raise KeyError("nothing of that name")

        WHO.set("caller")
        async with sandbox(name) as box:
            box.send_tools({"on_loop": on_loop, "elsewhere": elsewhere, "fails": fails})
            waiting = asyncio.create_task(box.arun("elsewhere()"))
            async with sandbox(name) as other:
                other.send_tools({"on_loop": on_loop})
                assert (await other.arun("await on_loop()")).value == "done"
            assert (await waiting).value is True
            both = await box.arun("import asyncio\nawait asyncio.gather(on_loop(), on_loop())")
            assert both.value == ["done", "done"]
            failed = await box.arun("await fails()")
            assert failed.error is not None and failed.error.type == "KeyError"
        assert seen["loop"] == here != seen["plain"]
        assert seen["who"] == "caller"

    asyncio.run(main())


@EXECUTORS
def test_runs_of_one_session_wait_for_each_other_also_for_threads(name: str) -> None:
    async def main() -> None:
        async with sandbox(name) as box:
            await box.arun("seen = []")
            runs = [
                box.arun(f"import time\nseen.append({n})\ntime.sleep(0.05)\nseen.append({n})")
                for n in range(4)
            ]
            thread = asyncio.to_thread(box.run, "seen.append(9)\nseen.append(9)")
            await asyncio.gather(*runs, thread)
            seen = (await box.arun("seen")).value
            assert isinstance(seen, list)
            assert sorted(seen) == [0, 0, 1, 1, 2, 2, 3, 3, 9, 9] and seen[::2] == seen[1::2]

    asyncio.run(main())


@EXECUTORS
def test_a_tool_that_runs_code_in_its_own_session_is_told_so(name: str) -> None:
    async def main() -> None:
        async with sandbox(name) as box:

            async def again() -> object:
                return (await box.arun("1")).value

            def plainly() -> object:
                return box.run("1").value

            box.send_tools({"again": again, "plainly": plainly})
            for code in ("await again()", "plainly()"):
                done = await box.arun(code)
                assert done.error is not None and "may not run code in" in done.error.message, done

    asyncio.run(main())


@EXECUTORS
def test_a_closed_session_says_so_and_ends_the_run_in_progress(name: str) -> None:
    async def main() -> None:
        box = sandbox(name)
        running = asyncio.create_task(box.arun("import time\ntime.sleep(60)"))
        await asyncio.sleep(0)
        await box.aclose()
        try:
            ended = await running
        except (ExecutorClosed, SessionLost):  # it did not obey the interrupt in time
            pass
        else:
            assert ended.error is not None and ended.error.kind is ErrorKind.INTERRUPTED
        with pytest.raises(ExecutorClosed):
            await box.arun("1")

    asyncio.run(main())


def test_executors_of_three_methods_have_it_too() -> None:
    class Own(PythonExecutor):
        stop = threading.Event()

        def run(self, code: str, *, wall_seconds: float | None = None) -> Any:
            return "stopped" if self.stop.wait(float(code)) else "done"

        def send_tools(self, tools: Any) -> None: ...

        def send_variables(self, variables: Any) -> None: ...

        def interrupt(self) -> None:
            self.stop.set()

    async def main() -> None:
        async with Own() as box:
            assert await box.arun("0") == "done"
            running = asyncio.create_task(box.arun("60"))
            await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert box.stop.is_set()

    asyncio.run(main())


@EXECUTORS
def test_files_other_languages_and_programs(name: str) -> None:
    async def main() -> None:
        async with sandbox(name, programs=["sh", "bash", "cat"]) as box:
            assert (await box.arun("open('a.txt').read()", files=[{"a.txt": b"hello"}])).value == "hello"
            assert (await box.arun("echo $((1 + 1))", language="bash")).stdout == "2\n"
            assert (await box.aexec(["cat"], stdin="in")).stdout == "in"
            assert (await box.arun("input()", stdin="typed\n")).value == "typed"

    asyncio.run(main())


@EXECUTORS
def test_an_unwanted_parameter_is_named_before_anything_runs(name: str) -> None:
    with sandbox(name) as box, pytest.raises(ConfigurationError, match="wall_seconds"):
        box.arun("1", timeout=3)  # type: ignore[call-arg]


def test_a_call_that_waits_for_its_turn_is_refused_when_its_tool_is_taken_back() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        while len(calls._open) < 3:  # the other two wait for this one
            threading.Event().wait(0.005)
        box.revoke_tools(["work"])
        return number

    code = (ESCAPES / "tools_calls_that_wait.py").read_text()
    with sandbox("jail", guard=False) as box:
        calls = box._connection.tool_calls  # type: ignore[attr-defined]
        box.send_tools({"work": work})
        done = asyncio.run(box.arun(code))
        assert done.value == ["0", "there is no tool 'work'", "there is no tool 'work'"]
    assert len(begun) == 1


@EXECUTORS
def test_every_method_that_waits_can_be_awaited(name: str, tmp_path: Any) -> None:
    (tmp_path / "b.txt").write_bytes(b"bb")

    async def main() -> None:
        async with sandbox(name) as box:
            await box.aput_file("a.txt", b"a")
            await box.aput_files([tmp_path / "b.txt"])
            await box.asend_variables({"n": 2})
            await box.asend_tools({"twice": lambda n: 2 * n})
            assert (await box.arun("twice(n) + len(open('b.txt').read())")).value == 6
            async with await box.afork() as child:
                await child.arun("n = 50")
                assert await child.aget_file("a.txt") == b"a"
            assert (await box.arun("n")).value == 2
            await box.arevoke_tools(["twice"])
            assert (await box.arun("twice(n)")).error is not None
            assert set(await box.alist_files()) == {"a.txt", "b.txt"}
            await box.areset()
            assert await box.alist_files() == {}
            with pytest.raises(ConfigurationError, match="relative"):
                await box.aput_file("../a.txt", b"")
        with pytest.raises(ExecutorClosed):
            await box.aget_file("a.txt")

    asyncio.run(main())


def test_what_can_be_awaited_is_what_a_class_of_ones_own_does() -> None:
    class Own(PythonExecutor):
        def run(self, code: str, *, wall_seconds: float | None = None) -> Any:
            raise NotImplementedError

        def send_tools(self, tools: Any) -> None:
            self.tools = dict(tools)

        def send_variables(self, variables: Any) -> None: ...

        def get_file(self, name: str) -> bytes:
            return name.encode()

    async def main() -> bytes:
        own = Own()
        await own.asend_tools({"a": len})
        assert own.tools == {"a": len}
        return await own.aget_file("x.txt")

    assert asyncio.run(main()) == b"x.txt"
