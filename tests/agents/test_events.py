"""Runs tell what happens as it happens; in a stream, in an async stream, to callbacks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pinjra.agents import (
    ActionStep,
    AgentInterrupted,
    Budget,
    CodeAgent,
    FinalAnswerStep,
    PlanningStep,
    Price,
    ToolCallingAgent,
)
from pinjra.core.events import (
    CodeReady,
    FinalAnswer,
    ModelDelta,
    OutputText,
    PlanMade,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    ToolCalled,
    ToolReturned,
)
from pinjra.models.scripted import ScriptedModel

from .conftest import calling, fenced

Make = Callable[..., CodeAgent]


def add(a: int, b: int) -> int:
    """Adds.

    Args:
        a: One.
        b: Other.
    """
    return a + b


def test_a_stream_yields_every_kind_of_event_in_order(code_agent: Make) -> None:
    agent = code_agent("print('hi')\ny = add(1, b=2)", "final_answer(y)", tools=[add])
    events = [event for event in agent.run("x", stream=True) if not isinstance(event, ModelDelta)]
    kinds = [type(event) for event in events]
    # a line that is printed may come in pieces
    assert [kind for kind, before in zip(kinds, [None, *kinds], strict=False) if (kind, before) != (OutputText, OutputText)] == [
        RunStarted, StepStarted, CodeReady, OutputText, ToolCalled, ToolReturned, StepFinished,
        StepStarted, CodeReady, StepFinished, FinalAnswer, RunFinished,
    ]  # fmt: skip
    called = next(e for e in events if isinstance(e, ToolCalled))
    assert (called.name, called.arguments, called.step) == ("add", {"a": 1, "b": 2}, 1)
    returned = next(e for e in events if isinstance(e, ToolReturned))
    assert (returned.value, returned.error, returned.call) == (3, "", called.call)
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert (finished.state, finished.output) == ("success", 3)


def test_a_stream_has_the_models_text_piece_by_piece(code_agent: Make) -> None:
    events = list(code_agent("final_answer(1)").run("x", stream=True))
    text = "".join(event.text for event in events if isinstance(event, ModelDelta))
    assert text == fenced("final_answer(1)")


def test_output_is_seen_while_the_code_still_runs(code_agent: Make) -> None:
    seen = threading.Event()

    def wait_until_seen() -> bool:
        """Waits for the reader of the stream."""
        return seen.wait(120)

    agent = code_agent("print('first')\nfinal_answer(wait_until_seen())", tools=[wait_until_seen])
    for event in agent.events("x"):
        if isinstance(event, OutputText):
            seen.set()
        last = event
    assert isinstance(last, RunFinished)
    assert last.output is True


def test_leaving_a_stream_interrupts_the_run(code_agent: Make) -> None:
    ended = threading.Event()
    agent = code_agent("while True:\n    pass", step_callbacks=[lambda step: ended.set()])
    for event in agent.run("x", stream=True):
        if isinstance(event, CodeReady):
            break
    assert ended.wait(120)


def test_a_streams_error_comes_after_its_last_event(code_agent: Make) -> None:
    from pinjra.agents import AgentGenerationError

    events = []
    with pytest.raises(AgentGenerationError):
        for event in code_agent(model=ScriptedModel([])).events("x"):
            events.append(event)
    assert isinstance(events[-1], RunFinished)
    assert events[-1].state == "error"


def test_arun_gives_the_answer_without_blocking_the_loop(code_agent: Make) -> None:
    async def main() -> tuple[Any, bool]:
        other = asyncio.ensure_future(asyncio.sleep(0, result=True))
        return await code_agent("final_answer(3)").arun("x"), await other

    assert asyncio.run(main()) == (3, True)


def test_arun_streams_events(code_agent: Make) -> None:
    async def main() -> list[type]:
        return [type(event) async for event in code_agent("final_answer(3)").arun("x", stream=True)]

    kinds = asyncio.run(main())
    assert kinds[0] is RunStarted
    assert kinds[-2:] == [FinalAnswer, RunFinished]


def test_cancelling_arun_interrupts_the_run(code_agent: Make) -> None:
    agent = code_agent("final_answer(hang())", tools=[hang_tool := make_hang()])

    async def main() -> None:
        task = asyncio.ensure_future(agent.arun("x"))
        await asyncio.to_thread(hang_tool.started.wait, 20)  # type: ignore[attr-defined]
        task.cancel()
        try:
            with pytest.raises(asyncio.CancelledError):
                await task
        finally:  # a loop ends when its threads have
            assert not hang_tool.released.is_set()  # type: ignore[attr-defined]
            hang_tool.released.set()  # type: ignore[attr-defined]

    asyncio.run(main())


CTRL_C = """
import os, signal, threading
from pinjra import CodeAgent, tool
from pinjra.models import ScriptedModel

@tool
def begun() -> None:
    '''Says that the code runs.'''
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

model = ScriptedModel(["```py\\nbegun()\\nwhile True: pass\\n```", "```py\\nfinal_answer('went on')\\n```"])
agent = CodeAgent([begun], model, executor_type="local")
try:
    agent.run("x")
except KeyboardInterrupt:
    print("interrupted", agent.run("y", reset=False))
"""


def _ended(program: str) -> subprocess.CompletedProcess[str]:
    """Return how a program ended that hears Ctrl-C, also where a shell that started these tests in its background ignores it."""
    hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    return subprocess.run(
        [sys.executable, "-c", hears + program], capture_output=True, text=True, timeout=300
    )


def test_ctrl_c_ends_a_run_and_the_agent_goes_on() -> None:
    done = _ended(CTRL_C)
    assert done.stdout.splitlines()[-1:] == ["interrupted went on"], done.stderr


CTRL_C_IN_A_CALLBACK = """
import os, signal, threading
from pinjra import CodeAgent
from pinjra.models import ScriptedModel

released = threading.Event()

async def blocks(step):
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    released.wait(300)

agent = CodeAgent([], ScriptedModel(["```py\\nfinal_answer(1)\\n```"]), executor_type="local", step_callbacks=[blocks])
try:
    agent.run("x")
except KeyboardInterrupt:
    print("interrupted", released.is_set())
"""


def test_ctrl_c_does_not_wait_for_an_async_callback_that_blocks() -> None:
    done = _ended(CTRL_C_IN_A_CALLBACK)
    assert done.stdout.splitlines()[-1:] == ["interrupted False"], done.stderr


def make_hang() -> Callable[[], int]:
    started, released = threading.Event(), threading.Event()

    def hang() -> int:
        """Waits until released."""
        started.set()
        released.wait(300)
        return 1

    hang.started, hang.released = started, released  # type: ignore[attr-defined]
    return hang


def test_interrupt_takes_effect_in_a_tool(code_agent: Make) -> None:
    hang = make_hang()
    agent = code_agent("final_answer(hang())", tools=[hang])
    _interrupted(agent, hang.started)  # type: ignore[attr-defined]
    hang.released.set()  # type: ignore[attr-defined]


def test_interrupt_takes_effect_in_a_tool_of_a_json_agent() -> None:
    hang = make_hang()
    agent = ToolCallingAgent([hang], ScriptedModel([calling(("hang", {}))]), verbosity_level=0)
    _interrupted(agent, hang.started)  # type: ignore[attr-defined]
    hang.released.set()  # type: ignore[attr-defined]


def test_interrupt_takes_effect_in_a_model_call(code_agent: Make) -> None:
    started, released = threading.Event(), threading.Event()

    def slow(messages: object) -> str:
        started.set()
        released.wait(300)
        return fenced("final_answer(1)")

    _interrupted(code_agent(model=ScriptedModel(slow)), started)
    released.set()


def test_interrupt_takes_effect_in_running_code(code_agent: Make) -> None:
    started = threading.Event()

    def begin() -> None:
        """Says that the code runs."""
        started.set()

    agent = code_agent("begin()\nwhile True:\n    pass", tools=[begin])
    _interrupted(agent, started)
    step = agent.memory.steps[-1]
    assert isinstance(step, ActionStep)
    assert step.error is not None


def test_interrupt_reaches_a_managed_agent(code_agent: Make) -> None:
    hang = make_hang()
    team = code_agent("hang()", tools=[hang], name="helper", description="Hangs.")
    _interrupted(code_agent("helper('x')", managed_agents=[team]), hang.started)  # type: ignore[attr-defined]
    hang.released.set()  # type: ignore[attr-defined]


def _interrupted(agent: CodeAgent | ToolCallingAgent, started: threading.Event) -> None:
    """Interrupt a run once it has `started`; it must end by that, with its state kept."""
    waiting = threading.Thread(target=lambda: started.wait(120) and agent.interrupt(), daemon=True)
    waiting.start()
    with pytest.raises(AgentInterrupted) as caught:
        agent.run("x")
    waiting.join(300)
    assert caught.value.result is not None
    assert caught.value.result.state == "interrupted"


def test_after_an_interrupt_the_conversation_goes_on(code_agent: Make) -> None:
    hang = make_hang()
    agent = code_agent("x = 5", "hang()", "final_answer(x)", tools=[hang])
    _interrupted(agent, hang.started)  # type: ignore[attr-defined]
    hang.released.set()  # type: ignore[attr-defined]
    assert agent.run("go on", reset=False) == 5


def test_an_interrupted_run_is_a_result_where_full_results_are_asked_for(code_agent: Make) -> None:
    hang = make_hang()
    agent = code_agent("hang()", tools=[hang])
    threading.Thread(target=lambda: hang.started.wait(120) and agent.interrupt(), daemon=True).start()  # type: ignore[attr-defined]
    result = agent.run("x", return_full_result=True)
    hang.released.set()  # type: ignore[attr-defined]
    assert result.state == "interrupted"  # type: ignore[attr-defined]


def test_step_callbacks_get_the_step_and_the_agent(code_agent: Make) -> None:
    seen: list[Any] = []
    agent = code_agent(
        "x = 1", "final_answer(x)", step_callbacks=[lambda step, agent: seen.append((step, agent))]
    )
    agent.run("x")
    assert [(type(step), who is agent) for step, who in seen] == [(ActionStep, True)] * 2


def test_callbacks_may_be_for_one_class_of_steps(code_agent: Make) -> None:
    seen: list[Any] = []
    code_agent("final_answer(4)", step_callbacks={FinalAnswerStep: seen.append}).run("x")
    assert [step.output for step in seen] == [4]


def test_a_callback_may_replace_the_step(code_agent: Make) -> None:
    from dataclasses import replace

    agent = code_agent(
        "print('long')", "final_answer(1)", step_callbacks=[lambda step: replace(step, observations="short")]
    )
    agent.run("x")
    assert "short" in agent.model.requests[-1].messages[-1].content  # type: ignore[attr-defined]


def test_async_callbacks_are_awaited_with_and_without_a_loop(code_agent: Make) -> None:
    seen: list[int] = []

    async def note(step: ActionStep) -> None:
        await asyncio.sleep(0)
        seen.append(step.step_number)

    code_agent("final_answer(1)", step_callbacks=[note]).run("x")
    asyncio.run(_run(code_agent("final_answer(1)", step_callbacks=[note])))
    assert seen == [1, 1]


def test_run_called_on_an_event_loop_still_awaits_callbacks(code_agent: Make) -> None:
    seen: list[int] = []

    async def note(step: ActionStep) -> None:
        await asyncio.sleep(0)
        seen.append(step.step_number)

    async def main() -> object:
        return code_agent("final_answer(1)", step_callbacks=[note]).run("x")

    assert asyncio.run(main()) == 1
    assert seen == [1]


def test_an_interrupt_while_the_session_opens_is_not_lost() -> None:
    from pinjra.executors.local import LocalPythonExecutor

    agent: CodeAgent

    def make() -> LocalPythonExecutor:
        agent.interrupt()
        return LocalPythonExecutor([])

    agent = CodeAgent([], ScriptedModel([fenced("final_answer(1)")]), executor=make, verbosity_level=0)
    with agent, pytest.raises(AgentInterrupted):
        agent.run("x")


def test_an_interrupt_just_before_the_code_runs_is_not_lost(code_agent: Make) -> None:
    agent = code_agent("while True:\n    pass", before_run=lambda code, agent: agent.interrupt())
    with pytest.raises(AgentInterrupted):
        agent.run("x")


async def _run(agent: CodeAgent) -> object:
    return await agent.arun("x")


def test_async_tools_are_awaited_by_the_code(code_agent: Make) -> None:
    async def fetch(number: int) -> int:
        """Fetches.

        Args:
            number: Which.
        """
        await asyncio.sleep(0)
        return number * 2

    code = """
import asyncio

async def main():
    return await asyncio.gather(fetch(1), fetch(2))

final_answer(asyncio.run(main()))
"""
    assert code_agent(code, tools=[fetch]).run("x") == [2, 4]


def test_planning_comes_before_the_first_step_and_every_n_after(code_agent: Make) -> None:
    model = ScriptedModel(
        ["1. think", fenced("x = 1"), fenced("x = 2"), "2. answer", fenced("final_answer(x)")]
    )
    agent = code_agent(model=model, planning_interval=2)
    events = list(agent.events("count"))
    assert [e.plan for e in events if isinstance(e, PlanMade)] == ["1. think", "2. answer"]
    assert [type(s) for s in agent.memory.steps[1:]] == [
        PlanningStep, ActionStep, ActionStep, PlanningStep, ActionStep,
    ]  # fmt: skip
    assert "18 steps are left" in model.requests[3].messages[-1].content
    assert "1. think" in [m.content for m in model.requests[1].messages]


def test_a_refused_answer_goes_back_to_the_model(code_agent: Make) -> None:
    agent = code_agent(
        "final_answer(1)", "final_answer(12)", final_answer_checks=[lambda answer, memory, agent: answer > 10]
    )
    assert agent.run("x") == 12
    assert "the answer was not accepted" in agent.model.requests[-1].messages[-1].content  # type: ignore[attr-defined]


def test_a_check_that_raises_says_why(code_agent: Make) -> None:
    def must_be_text(answer: object) -> bool:
        if not isinstance(answer, str):
            raise ValueError("give a text")
        return True

    agent = code_agent("final_answer(1)", "final_answer('one')", final_answer_checks=[must_be_text])
    assert agent.run("x") == "one"
    seen = agent.model.requests[-1].messages[-1].content  # type: ignore[attr-defined]
    assert "check must_be_text failed with ValueError: give a text" in seen


def test_steps_and_runs_say_what_they_cost(code_agent: Callable[..., CodeAgent]) -> None:
    price = Price(input_per_million=1e6, output_per_million=2e6)  # a token read costs 1, one written 2
    team = code_agent("final_answer(1)", name="helper", description="Helps.")
    agent = code_agent("final_answer(helper('x'))", managed_agents=[team], budget=Budget(price=price))
    events = list(agent.events("x"))
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert [event.depth for event in steps] == [1, 0]
    for event in steps:
        assert event.money == event.input_tokens + 2 * event.output_tokens > 0
    assert [e.money for e in events if isinstance(e, RunFinished)] == [
        steps[0].money,
        steps[0].money + steps[1].money,
    ]
