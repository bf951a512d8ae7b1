"""`arun` on an event loop: what waits holds no thread, whatever is waited for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from pinjra import CodeAgent, ScriptedModel, Tool, ToolCallingAgent, sandbox, tool
from pinjra.agents import AgentError, AgentInterrupted, Budget
from pinjra.core.errors import ConfigurationError
from pinjra.core.events import Event, FinalAnswer, ModelDelta
from pinjra.models import Completion, Model
from pinjra.models import ModelDelta as Piece


class Awaited(Model):
    """A model with an async client: every answer is the same, and takes until `gate` is open."""

    model_id = "awaited"

    def __init__(self, *answers: str) -> None:
        super().__init__()
        self.answers = answers
        self.asked = 0
        self.most = self.now = 0
        self.gate = asyncio.Event()
        self.gate.set()

    def generate(self, messages: Sequence[Any], *, stop: Sequence[str] = (), **options: Any) -> Completion:
        raise AssertionError("an event loop asked for a thread")

    async def agenerate(self, messages: Sequence[Any], **options: Any) -> Completion:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await self.gate.wait()
        await asyncio.sleep(0)
        self.now -= 1
        return Completion(text=answer)


def code(text: str) -> str:
    return f"```python\n{text}\n```"


def own_threads() -> int:
    return sum(not each.name.startswith("asyncio_") for each in threading.enumerate())


def agent_of(model: Model, tools: Sequence[Tool] = (), **options: Any) -> CodeAgent:
    return CodeAgent(list(tools), model, executor_type="local", verbosity_level=0, **options)


def test_many_runs_at_once_hold_no_thread_each() -> None:
    seen: list[int] = []

    @tool
    def look() -> int:
        """Count the threads of this process that belong to no event loop."""
        seen.append(own_threads())
        return 1

    async def main() -> tuple[list[object], int]:
        model = Awaited(code("final_answer(look() + 1)"))
        model.gate.clear()
        before = own_threads()
        runs = [asyncio.ensure_future(agent_of(model, [look]).arun("x")) for _ in range(12)]
        while model.now < 12:
            await asyncio.sleep(0.01)
        waiting = own_threads() - before
        model.gate.set()
        return list(await asyncio.gather(*runs)), waiting

    before = own_threads()
    answers, waiting = asyncio.run(main())
    assert answers == [2] * 12
    assert waiting <= 3  # of the pool of sandboxes, none a run
    assert max(seen) - before <= 3


def test_an_async_tool_of_code_runs_on_the_callers_loop() -> None:
    async def main() -> tuple[object, bool]:
        loops: list[object] = []

        @tool
        async def ask(word: str) -> str:
            """Answer.

            Args:
                word: A word.
            """
            loops.append(asyncio.get_running_loop())
            await asyncio.sleep(0)
            return word * 2

        answer = await agent_of(Awaited(code("final_answer(await ask('ab'))")), [ask]).arun("x")
        return answer, loops == [asyncio.get_running_loop()]

    assert asyncio.run(main()) == ("abab", True)


def test_a_team_works_on_the_loop_as_its_manager_does() -> None:
    async def main() -> object:
        member = agent_of(Awaited(code("final_answer(20)")), name="member", description="Knows numbers.")
        model = Awaited(code("final_answer(member('which?') + 1)"))
        return await agent_of(model, managed_agents=[member]).arun("x")

    assert asyncio.run(main()) == 21


def test_calls_of_one_turn_are_made_at_the_same_time() -> None:
    both = asyncio.Event()
    begun: list[int] = []

    @tool
    async def meet(number: int) -> int:
        """Wait for the other call.

        Args:
            number: Which.
        """
        begun.append(number)
        if len(begun) == 2:
            both.set()
        await both.wait()
        return number

    def answers(messages: Sequence[Any]) -> Completion:
        from pinjra.models import ToolCall

        if len(messages) == 2:
            calls = tuple(ToolCall(id=str(n), name="meet", arguments={"number": n}) for n in (1, 2))
            return Completion(tool_calls=calls)
        done = "".join(m.content for m in messages if m.role == "tool")
        return Completion(
            tool_calls=(ToolCall(id="a", name="final_answer", arguments={"answer": done.count("<obs")}),)
        )

    agent = ToolCallingAgent([meet], ScriptedModel(answers), verbosity_level=0)
    assert asyncio.run(asyncio.wait_for(agent.arun("x"), 30)) == 2


def test_hooks_are_awaited_where_the_caller_is() -> None:
    async def main() -> tuple[object, list[bool]]:
        here = asyncio.get_running_loop()
        where: list[bool] = []

        async def hook(*_: object) -> None:
            await asyncio.sleep(0)
            where.append(asyncio.get_running_loop() is here)

        @tool
        def one() -> int:
            """Give one."""
            return 1

        agent = agent_of(
            Awaited(code("final_answer(one())")),
            [one],
            before_run=hook,
            before_tool=hook,
            after_tool=hook,
            step_callbacks=[hook],
            final_answer_checks=[check],
        )
        return await agent.arun("x"), where

    async def check(answer: object) -> bool:
        return answer == 1

    answer, where = asyncio.run(main())
    assert answer == 1
    assert where == [True] * 4


def test_a_cancelled_run_ends_its_code_and_its_memory_can_be_gone_on_with() -> None:
    async def main() -> tuple[CodeAgent, str]:
        printed = asyncio.Event()
        loop = asyncio.get_running_loop()

        @tool
        def begun() -> None:
            """Say that the code runs."""
            loop.call_soon_threadsafe(printed.set)

        agent = agent_of(Awaited(code("x = 1\nbegun()\nwhile True: pass"), code("final_answer(7)")), [begun])
        task = asyncio.ensure_future(agent.arun("x"))
        await printed.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return agent, str(await agent.arun("go on", reset=False))

    agent, answer = asyncio.run(main())
    assert answer == "7"
    errors = [str(step.error.type) for step in agent.memory.steps if getattr(step, "error", None)]  # type: ignore[attr-defined]
    assert errors == ["AgentInterrupted"]
    agent.close()


def test_an_interrupt_and_a_budget_of_seconds_end_a_request_that_waits() -> None:
    async def main() -> list[str]:
        model = Awaited("never")
        model.gate.clear()
        agent = agent_of(model)
        long = asyncio.ensure_future(agent.arun("x"))
        while model.now < 1:
            await asyncio.sleep(0.01)
        short = asyncio.ensure_future(
            agent_of(model, budget=Budget(seconds=0.2)).arun("x", return_full_result=True)
        )
        await asyncio.to_thread(agent.interrupt)
        with pytest.raises(AgentInterrupted):
            await long
        return [(await short).state]

    assert asyncio.run(main()) == ["budget_error"]


def test_runs_that_were_given_one_box_take_turns_without_threads() -> None:
    async def main() -> list[object]:
        async with sandbox("local") as box:
            agent = CodeAgent([], Awaited(code("final_answer(3)")), executor=box, verbosity_level=0)
            return list(await asyncio.gather(*(agent.arun("x") for _ in range(4))))

    assert asyncio.run(asyncio.wait_for(main(), 60)) == [3, 3, 3, 3]


def test_a_stream_of_a_model_with_an_async_client_arrives_piece_by_piece() -> None:
    class Streamed(Awaited):
        def stream(self, messages: Sequence[Any], **options: Any) -> Any:
            raise AssertionError("an event loop asked for a thread")

        async def astream(self, messages: Sequence[Any], **options: Any) -> Any:
            for piece in ("```python\n", "final_answer(5)", "\n```"):
                await asyncio.sleep(0)
                yield Piece(piece)
            yield Completion(text=code("final_answer(5)"))

    async def main() -> list[Event]:
        return [event async for event in agent_of(Streamed()).arun("x", stream=True)]

    events = asyncio.run(main())
    assert [event.text for event in events if isinstance(event, ModelDelta)] == [
        "```python\n",
        "final_answer(5)",
        "\n```",
    ]
    assert [event.value for event in events if isinstance(event, FinalAnswer)] == [5]


def test_leaving_an_async_stream_ends_the_run_before_the_loop_goes_on() -> None:
    """The code would sleep longer than any time limit of a test."""

    async def main() -> int:
        agent = agent_of(Awaited(code("import time\ntime.sleep(6000)")))
        events = agent.arun("x", stream=True)
        async for _ in events:
            break
        await events.aclose()  # type: ignore[attr-defined]  # an async generator
        return len(agent._active)

    assert asyncio.run(main()) == 0


def test_an_agents_session_can_be_closed_on_the_loop() -> None:
    async def main() -> object:
        async with agent_of(Awaited(code("x = 3\nfinal_answer(x)"), code("final_answer(x + 1)"))) as agent:
            await agent.arun("x")
            return await agent.arun("y", reset=False)

    assert asyncio.run(main()) == 4


def test_a_blocking_tool_and_a_model_without_an_async_client_work_too() -> None:
    @tool
    def slow(number: int) -> int:
        """Take a moment.

        Args:
            number: A number.
        """
        time.sleep(0.01)
        if number < 0:
            raise ValueError("too small")
        return number

    model = ScriptedModel([code("slow(-1)"), code("final_answer(slow(2) + slow(3))")])
    agent = agent_of(model, [slow])
    assert asyncio.run(agent.arun("x")) == 5
    assert "too small" in str(agent.memory.steps[1].error)  # type: ignore[attr-defined]


def test_files_are_put_there_and_refused_as_in_run() -> None:
    agent = ToolCallingAgent([], ScriptedModel([]), verbosity_level=0)
    with pytest.raises(ConfigurationError, match="agents that run code"):
        asyncio.run(agent.arun("x", files=[{"a.txt": b"1"}]))
    with pytest.raises(AgentError):
        asyncio.run(agent_of(ScriptedModel([])).arun("x"))
