"""Agents call agents: by name in code, with runs of their own, nested under the caller's step."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from pinjra.agents import ActionStep, CodeAgent, RunResult, TaskStep, ToolCallingAgent
from pinjra.core.errors import ConfigurationError
from pinjra.core.events import Event, FinalAnswer, RunStarted
from pinjra.executors.local import LocalPythonExecutor
from pinjra.models.scripted import ScriptedModel

from .conftest import calling, code_model, fenced

Make = Callable[..., CodeAgent]


def helper(make: Make, *codes: str, **options: object) -> CodeAgent:
    return make(*codes, name="helper", description="Helps with numbers.", **options)


def test_a_managed_agent_is_called_by_name_and_gives_its_object(code_agent: Make) -> None:
    team = helper(code_agent, "final_answer([1, 2])")
    manager = code_agent("final_answer(helper('give me a list') + [3])", managed_agents=[team])
    assert manager.run("x") == [1, 2, 3]


def test_it_sees_the_managers_words_and_nothing_else(code_agent: Make) -> None:
    team = helper(code_agent, "final_answer(1)")
    code_agent("secret = 5\nfinal_answer(helper(task='count the beans'))", managed_agents=[team]).run(
        "hidden task"
    )
    told = "\n".join(m.content for m in team.model.requests[0].messages)  # type: ignore[attr-defined]
    assert "count the beans" in told
    assert "You are `helper`" in told
    assert "hidden task" not in told


def test_additional_args_are_variables_of_the_managed_agent(code_agent: Make) -> None:
    team = helper(code_agent, "final_answer(sum(beans))")
    manager = code_agent(
        "final_answer(helper('add', additional_args={'beans': [4, 5]}))", managed_agents=[team]
    )
    assert manager.run("x") == 9


def test_the_managers_prompt_tells_of_the_team(code_agent: Make) -> None:
    manager = code_agent("x", managed_agents=[helper(code_agent, "y")])
    assert "def helper(task: str" in manager.system_prompt
    assert "Helps with numbers." in manager.system_prompt


def test_its_steps_and_tokens_are_nested_under_the_callers_step(code_agent: Make) -> None:
    team = helper(code_agent, "x = 1", "final_answer(x)")
    result = code_agent("final_answer(helper('go'))", managed_agents=[team]).run("x", return_full_result=True)
    assert isinstance(result, RunResult)
    step = result.memory.steps[1]
    assert isinstance(step, ActionStep)
    (nested,) = step.nested
    assert (nested.agent, nested.state) == ("helper", "success")
    assert [type(s).__name__ for s in nested.steps] == [
        "TaskStep",
        "ActionStep",
        "ActionStep",
    ]
    assert result.token_usage == step.token_usage + nested.token_usage
    assert [record.name for record in step.tool_records] == ["helper"]


def test_its_events_are_in_the_callers_stream(code_agent: Make) -> None:
    team = helper(code_agent, "final_answer(1)")
    manager = code_agent("final_answer(helper('go') + 1)", managed_agents=[team], name="manager")
    events = list(manager.events("x"))
    starts = [(e.agent, e.depth) for e in events if isinstance(e, RunStarted)]
    assert starts == [("manager", 0), ("helper", 1)]
    inner = next(e for e in events if isinstance(e, RunStarted) and e.depth == 1)
    assert inner.parent == events[0].run_id
    assert [(e.agent, e.value) for e in events if isinstance(e, FinalAnswer)] == [
        ("helper", 1),
        ("manager", 2),
    ]


def test_each_call_has_a_run_of_its_own(code_agent: Make) -> None:
    team = helper(code_agent, "x = 1\nfinal_answer(x)", "final_answer(x)", "final_answer('no x')")
    assert code_agent("final_answer([helper('a'), helper('b')])", managed_agents=[team]).run("x") == [
        1,
        "no x",
    ]


def test_it_keeps_memory_only_when_asked(code_agent: Make) -> None:
    team = helper(code_agent, "x = 1\nfinal_answer(x)", "final_answer(x + 1)", keep_memory=True)
    assert code_agent("final_answer([helper('a'), helper('b')])", managed_agents=[team]).run("x") == [1, 2]
    assert len([s for s in team.memory.steps if isinstance(s, TaskStep)]) == 2


def test_concurrent_calls_have_runs_of_their_own(code_agent: Make) -> None:
    model = ScriptedModel(lambda messages: fenced(f"final_answer({messages[-1].content.split()[-1]} * 10)"))
    team = code_agent(model=model, name="helper", description="Multiplies.")
    turns = [
        calling(*(("helper", {"task": f"take {n}"}) for n in range(6))),
        calling(("final_answer", {"answer": "done"})),
    ]
    manager = ToolCallingAgent([], ScriptedModel(turns), managed_agents=[team], verbosity_level=0)
    result = manager.run("x", return_full_result=True)
    assert isinstance(result, RunResult)
    step = result.memory.steps[1]
    assert isinstance(step, ActionStep)
    assert step.tool_results == ("0", "10", "20", "30", "40", "50")
    assert len({nested.run_id for nested in step.nested}) == 6


def test_a_failing_managed_agent_is_an_error_of_the_callers_code(code_agent: Make) -> None:
    team = code_agent(model=ScriptedModel([]), name="helper", description="Fails.")
    manager = code_agent("helper('go')", "final_answer('went on')", managed_agents=[team])
    assert manager.run("x") == "went on"
    seen = manager.model.requests[-1].messages[-1].content  # type: ignore[attr-defined]
    assert "the model scripted failed" in seen


def test_three_levels_nest(code_agent: Make) -> None:
    low = code_agent("final_answer(1)", name="low", description="Lowest.")
    middle = code_agent(
        "final_answer(low('x') + 1)", name="middle", description="Middle.", managed_agents=[low]
    )
    top = code_agent("final_answer(middle('x') + 1)", managed_agents=[middle])
    events: list[Event] = list(top.events("x"))
    assert max(event.depth for event in events) == 2
    assert events[-1].depth == 0
    assert top.memory.steps[-1].action_output == 3  # type: ignore[attr-defined]


def test_a_run_summary_comes_with_the_answer_when_asked(code_agent: Make) -> None:
    team = helper(code_agent, "print('looked')\nfinal_answer(7)", provide_run_summary=True)
    answer = code_agent("final_answer(helper('go'))", managed_agents=[team]).run("x")
    assert isinstance(answer, str)
    assert answer.startswith("7\n\nSummary of the work:")
    assert "print('looked')" in answer


def test_a_report_template_makes_the_answer_a_text(code_agent: Make) -> None:
    templates = {"managed_agent": {"report": "{{ name }} says {{ final_answer }}"}}
    team = helper(code_agent, "final_answer(7)", prompt_templates=templates)
    assert code_agent("final_answer(helper('go'))", managed_agents=[team]).run("x") == "helper says 7"


def test_a_managed_agent_needs_name_and_description(code_agent: Make) -> None:
    with pytest.raises(ConfigurationError, match="needs name= and description="):
        code_agent("x", managed_agents=[code_agent("y", name="helper")])


def test_an_agent_in_a_plain_tool_nests_too(code_agent: Make) -> None:
    inner = code_agent("final_answer(5)", name="inner")

    def ask_inner(question: str) -> int:
        """Asks.

        Args:
            question: What.
        """
        return inner.run(question)  # type: ignore[return-value]

    result = code_agent("final_answer(ask_inner('x'))", tools=[ask_inner]).run("x", return_full_result=True)
    assert result.memory.steps[1].nested[0].agent == "inner"  # type: ignore[attr-defined]


def test_manager_and_team_may_not_share_one_executor() -> None:
    with LocalPythonExecutor([]) as executor:
        team = CodeAgent(
            [],
            code_model("final_answer(1)"),
            executor=executor,
            name="helper",
            description="H.",
            verbosity_level=0,
        )
        model = code_model("helper('x')", "final_answer('went on')")
        manager = CodeAgent([], model, executor=executor, managed_agents=[team], verbosity_level=0)
        assert manager.run("x") == "went on"
        assert "were given the same executor" in model.requests[-1].messages[-1].content


@pytest.mark.parametrize("kind", ["code", "json"])
@pytest.mark.parametrize("on_a_loop", [False, True])
def test_what_it_did_is_nested_also_where_its_manager_is_interrupted(
    code_agent: Make, json_agent: Callable[..., ToolCallingAgent], kind: str, on_a_loop: bool
) -> None:
    released = threading.Event()
    manager: CodeAgent | ToolCallingAgent

    def hang() -> None:
        """Waits."""
        manager.interrupt()
        released.wait(300)

    team = helper(code_agent, "x = 1", "hang()", tools=[hang])
    if kind == "code":
        manager = code_agent("helper('go')", managed_agents=[team])
    else:
        manager = json_agent(calling(("helper", {"task": "go"})), managed_agents=[team])

    async def on_the_loop() -> object:
        try:
            return await manager.arun("x", return_full_result=True)
        finally:
            released.set()  # asyncio.run() waits for its threads

    result = asyncio.run(on_the_loop()) if on_a_loop else manager.run("x", return_full_result=True)
    released.set()
    assert isinstance(result, RunResult)
    assert result.state == "interrupted"
    (nested,) = result.memory.steps[1].nested  # type: ignore[attr-defined]
    assert nested.state == "interrupted"
    assert [type(step).__name__ for step in nested.steps] == ["TaskStep", "ActionStep", "ActionStep"]
    assert result.memory.token_usage() == result.token_usage


def test_the_steps_of_a_team_that_votes_are_nested_too(code_agent: Make) -> None:
    team = helper(code_agent, *["final_answer(2)"] * 3, vote=3)
    result = code_agent("final_answer(helper('go'))", managed_agents=[team]).run("x", return_full_result=True)
    (nested,) = result.memory.steps[1].nested  # type: ignore[attr-defined]
    assert (nested.state, len(nested.steps)) == ("success", 2)
    assert result.memory.token_usage() == result.token_usage
