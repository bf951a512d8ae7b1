"""A JSON agent calls tools, several at once, and has the same memory, limits and results as a code agent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pinjra.agents import ActionStep, RunResult, TaskStep, ToolCallingAgent
from pinjra.models.base import Completion
from pinjra.models.scripted import ScriptedModel
from pinjra.tools import Tool

from .conftest import calling

Make = Callable[..., ToolCallingAgent]
DONE = calling(("final_answer", {"answer": "done"}))


def add(a: int, b: int) -> int:
    """Adds.

    Args:
        a: One.
        b: Other.
    """
    return a + b


def told(agent: Any) -> str:
    return "\n".join(m.content for m in agent.model.requests[-1].messages)


def test_it_calls_tools_and_answers(json_agent: Make) -> None:
    agent = json_agent(
        calling(("add", {"a": 1, "b": 2})), calling(("final_answer", {"answer": 3})), tools=[add]
    )
    result = agent.run("x", return_full_result=True)
    assert isinstance(result, RunResult)
    assert (result.output, result.state) == (3, "success")
    assert [type(s) for s in result.memory.steps] == [TaskStep, ActionStep, ActionStep]


def test_the_model_sees_results_by_call(json_agent: Make) -> None:
    agent = json_agent(calling(("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4})), DONE, tools=[add])
    agent.run("x")
    messages = agent.model.requests[-1].messages  # type: ignore[attr-defined]
    results = {m.tool_call_id: m.content for m in messages if m.role == "tool"}
    assert results == {"c0": "<observation>\n3\n</observation>", "c1": "<observation>\n7\n</observation>"}


def test_the_model_is_offered_tools_and_team(json_agent: Make) -> None:
    team = json_agent(DONE, name="helper", description="Helps.")
    agent = json_agent(DONE, tools=[add], managed_agents=[team])
    agent.run("x")
    assert [t.name for t in agent.model.requests[0].tools] == ["add", "final_answer", "helper"]  # type: ignore[attr-defined]


def test_calls_of_one_turn_run_at_the_same_time(json_agent: Make) -> None:
    together = threading.Barrier(3)

    def meet(number: int) -> int:
        """Waits for the others.

        Args:
            number: Any.
        """
        together.wait(120)
        return number

    concurrent = Tool.from_function(meet, concurrent=True)
    agent = json_agent(calling(*(("meet", {"number": n}) for n in range(3))), DONE, tools=[concurrent])
    assert agent.run("x") == "done"
    step = agent.memory.steps[1]
    assert isinstance(step, ActionStep)
    assert step.tool_results == ("0", "1", "2")


def test_calls_of_a_plain_tool_take_turns(json_agent: Make) -> None:
    balance = [10]

    def withdraw(amount: int) -> int:
        """Take money.

        Args:
            amount: How much.
        """
        if (before := balance[0]) < amount:
            raise ValueError("not enough")
        threading.Event().wait(0.05)  # a second call in these 50 ms would see the balance as it was
        balance[0] = before - amount
        return balance[0]

    json_agent(calling(*(("withdraw", {"amount": 6}) for _ in range(4))), DONE, tools=[withdraw]).run("x")
    assert balance == [4]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("nothing", {}), "there is no tool 'nothing'; there are: add, final_answer"),
        (("add", {"a": 1}), "missing a required argument: 'b'"),
        (("add", {"a": 1, "b": "two"}), "b"),
        (("add", {"a": 1, "b": 2, "c": 3}), "c"),
    ],
)
def test_a_wrong_call_goes_back_to_the_model(json_agent: Make, call: tuple[str, dict], message: str) -> None:
    agent = json_agent(calling(call), DONE, tools=[add])
    assert agent.run("x") == "done"
    assert message in told(agent)
    step = agent.memory.steps[1]
    assert isinstance(step, ActionStep)
    assert step.error is not None
    assert step.error.type == "AgentToolCallError"


def test_a_failing_tool_goes_back_to_the_model(json_agent: Make) -> None:
    def broken() -> int:
        """Fails."""
        raise OSError("disk on fire")

    agent = json_agent(calling(("broken", {})), DONE, tools=[broken])
    assert agent.run("x") == "done"
    assert "broken failed: OSError: disk on fire" in told(agent)
    assert agent.memory.steps[1].error.type == "AgentToolExecutionError"  # type: ignore[attr-defined, union-attr]


def test_one_failure_of_several_does_not_hide_the_others(json_agent: Make) -> None:
    agent = json_agent(calling(("add", {"a": 1, "b": 2}), ("nothing", {})), DONE, tools=[add])
    agent.run("x")
    step = agent.memory.steps[1]
    assert isinstance(step, ActionStep)
    assert step.error is None
    assert step.tool_results[0] == "3"
    assert step.tool_results[1].startswith("Error: there is no tool")


def test_final_answer_beside_other_calls_is_refused(json_agent: Make) -> None:
    agent = json_agent(calling(("add", {"a": 1, "b": 2}), ("final_answer", {"answer": 1})), DONE, tools=[add])
    assert agent.run("x") == "done"
    assert "final_answer must be the only call" in told(agent)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "add", "arguments": {"a": 1, "b": 2}}',
        'I add.\n```json\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n```',
        'Action: {"tool": "add", "parameters": {"a": 1, "b": 2}} and wait',
        '{not json} {"tool_name": "add", "tool_arguments": {"a": 1, "b": 2}}',
    ],
)
def test_calls_written_as_text_are_understood(json_agent: Make, text: str) -> None:
    agent = json_agent(text, DONE, tools=[add])
    agent.run("x")
    assert agent.memory.steps[1].tool_results == ("3",)  # type: ignore[attr-defined]


def test_text_without_a_call_gets_one_message_back(json_agent: Make) -> None:
    agent = json_agent("I think it is 3.", DONE)
    assert agent.run("x") == "done"
    assert "No tool call was found in your answer." in told(agent)


def test_a_bare_answer_as_text_is_taken(json_agent: Make) -> None:
    assert json_agent('{"name": "final_answer", "arguments": "Paris"}').run("x") == "Paris"


def test_objects_are_kept_under_a_name_that_calls_may_give(json_agent: Make) -> None:
    from pinjra.tools.base import Tool

    class Make_(Tool):
        name = "make"
        description = "Makes a picture."
        inputs: dict = {}
        output_type = "image"

        def forward(self) -> object:
            return memoryview(b"picture")

    class Show(Tool):
        name = "show"
        description = "Shows a picture."
        inputs = {"image": {"type": "any", "description": "The picture."}}
        output_type = "string"

        def forward(self, image: memoryview) -> str:
            return bytes(image).decode()

    agent = json_agent(
        calling(("make", {})), calling(("show", {"image": "make_1"})), DONE, tools=[Make_(), Show()]
    )
    agent.run("x")
    assert "kept under the name 'make_1'" in agent.memory.steps[1].tool_results[0]  # type: ignore[attr-defined]
    assert agent.memory.steps[2].tool_results == ("picture",)  # type: ignore[attr-defined]


def test_additional_args_may_be_named_in_calls(json_agent: Make) -> None:
    agent = json_agent(calling(("add", {"a": "left", "b": 1})), DONE, tools=[add])
    agent.run("x", additional_args={"left": 41})
    assert agent.memory.steps[1].tool_results == ("42",)  # type: ignore[attr-defined]


def test_async_tools_run_with_and_without_a_loop(json_agent: Make) -> None:
    async def fetch(number: int) -> int:
        """Fetches.

        Args:
            number: Which.
        """
        await asyncio.sleep(0)
        return number

    turns = (calling(("fetch", {"number": 1}), ("fetch", {"number": 2})), DONE)
    plain, on_loop = json_agent(*turns, tools=[fetch]), json_agent(*turns, tools=[fetch])
    plain.run("x")

    async def main() -> None:
        await on_loop.arun("x")  # type: ignore[misc]

    asyncio.run(main())
    for agent in (plain, on_loop):
        assert agent.memory.steps[1].tool_results == ("1", "2")  # type: ignore[attr-defined]


def test_reaching_max_steps_gives_a_last_answer(json_agent: Make) -> None:
    agent = json_agent(calling(("add", {"a": 1, "b": 2})), "It may be 3.", tools=[add], max_steps=1)
    result = agent.run("x", return_full_result=True)
    assert isinstance(result, RunResult)
    assert (result.output, result.state) == ("It may be 3.", "max_steps_error")


def test_reset_false_goes_on(json_agent: Make) -> None:
    agent = json_agent(DONE, calling(("final_answer", {"answer": "again"})))
    agent.run("first")
    assert agent.run("second", reset=False) == "again"
    assert "first" in told(agent)


def test_a_final_answer_tool_of_ones_own_makes_the_answer(json_agent: Make) -> None:
    from pinjra.tools.base import tool

    @tool
    def final_answer(answer: str) -> str:
        """Answers politely.

        Args:
            answer: The answer.
        """
        return f"{answer}, please"

    assert json_agent(DONE, tools=[final_answer]).run("x") == "done, please"


def test_an_empty_completion_is_no_call(json_agent: Make) -> None:
    agent = json_agent(Completion(text=""), DONE)
    assert agent.run("x") == "done"


def test_the_thread_count_may_be_one(json_agent: Make) -> None:
    agent = ToolCallingAgent(
        [add],
        ScriptedModel([calling(("add", {"a": 1, "b": 1}), ("add", {"a": 2, "b": 2})), DONE]),
        max_tool_threads=1,
        verbosity_level=0,
    )
    agent.run("x")
    assert agent.memory.steps[1].tool_results == ("2", "4")  # type: ignore[attr-defined]


def test_base_tools_are_the_web_and_python_with_variables_of_each_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pinjra.agents import tool_calling_agent
    from pinjra.executors.registry import create_executor

    monkeypatch.setattr(tool_calling_agent, "create_executor", lambda: create_executor("local"))
    turns = [
        calling(("python_interpreter", {"code": "x = 20"})),
        calling(("python_interpreter", {"code": "x + 1"})),
        DONE,
        calling(("python_interpreter", {"code": "x"})),
        DONE,
    ]
    with ToolCallingAgent([], ScriptedModel(turns), add_base_tools=True, verbosity_level=0) as agent:
        assert sorted(agent.tools) == ["final_answer", "python_interpreter", "visit_webpage", "web_search"]
        agent.run("x")
        assert "21" in agent.memory.steps[2].tool_results[0]  # type: ignore[attr-defined]
        agent.run("x")
        assert "NameError" in agent.memory.steps[1].tool_results[0]  # type: ignore[attr-defined]


def test_base_tools_of_a_code_agent_are_the_web() -> None:
    from pinjra.agents import CodeAgent

    with CodeAgent([], ScriptedModel([]), add_base_tools=True, executor_type="local") as agent:
        assert sorted(agent.tools) == ["final_answer", "visit_webpage", "web_search"]


@pytest.mark.parametrize("on_a_loop", [False, True])
def test_calls_of_an_async_tool_that_is_not_concurrent_take_turns(json_agent: Make, on_a_loop: bool) -> None:
    from pinjra.tools.base import tool

    inside: list[int] = []
    most: list[int] = []

    @tool(concurrent=False)
    async def look(number: int) -> int:
        """Looks.

        Args:
            number: Where.
        """
        inside.append(number)
        await asyncio.sleep(0.01)  # a second call would come in here
        most.append(len(inside))
        inside.remove(number)
        return number

    agent = json_agent(calling(*(("look", {"number": n}) for n in range(4))), DONE, tools=[look])
    assert (asyncio.run(agent.arun("x")) if on_a_loop else agent.run("x")) == "done"
    assert most == [1, 1, 1, 1]


def test_a_call_waits_for_one_of_the_turn_before_that_was_given_up_and_still_runs(json_agent: Make) -> None:
    from pinjra.tools.base import tool

    released = threading.Event()
    ended: list[int] = []

    @tool(seconds=0.1)
    def slow(number: int) -> int:
        """Waits.

        Args:
            number: Which.
        """
        if number == 0:
            released.wait(300)
        ended.append(number)
        return number

    calls = [calling(("slow", {"number": n})) for n in range(2)]
    agent = json_agent(*calls, DONE, tools=[slow])
    agent.run("x")
    assert ended == []  # the second one waited for its turn until its time was over, too
    released.set()


def test_kept_objects_can_be_named_when_the_conversation_goes_on(json_agent: Make) -> None:
    made = object()
    given: list[object] = []

    def make() -> object:
        """Makes a thing."""
        return made

    def use(thing: Any) -> str:
        """Uses a thing.

        Args:
            thing: Which.
        """
        given.append(thing)
        return "used"

    use_it = calling(("use", {"thing": "make_1"}))
    agent = json_agent(calling(("make", {})), DONE, use_it, DONE, DONE, tools=[make, use])
    agent.run("x")
    saved = agent.memory.copy()
    agent.run("y", reset=False)
    assert given == [made]
    saved.steps.pop()
    assert "could not be restored: make_1." in agent.resume(saved).memory.steps[-2].task  # type: ignore[attr-defined]


def test_code_of_the_python_tool_is_asked_for_before_it_runs() -> None:
    from pinjra.agents import refuse, replace
    from pinjra.executors.registry import create_executor
    from pinjra.tools.library.python import PythonTool

    asked: list[str] = []

    def before_run(code: str, agent: object) -> object:
        asked.append(code)
        return refuse("no shells") if "system" in code else replace(code + " + 1")

    turns = [calling(("python_interpreter", {"code": code})) for code in ("import os; os.system('x')", "20")]
    with create_executor("local") as box:
        helper = ToolCallingAgent(
            [PythonTool(box)], ScriptedModel([*turns, DONE]), name="helper", description="Helps.",
            verbosity_level=0,
        )  # fmt: skip
        manager = ToolCallingAgent(
            [], ScriptedModel([calling(("helper", {"task": "x"})), DONE]), managed_agents=[helper],
            before_run=before_run, verbosity_level=0,
        )  # fmt: skip
        result = manager.run("x", return_full_result=True)
    assert asked == ["import os; os.system('x')", "20"]
    _, refused, ran, _ = result.memory.steps[1].nested[0].steps  # type: ignore[attr-defined]
    assert "refused: no shells" in refused.tool_results[0]  # type: ignore[attr-defined]
    assert "Output: 21" in ran.tool_results[0]  # type: ignore[attr-defined]
