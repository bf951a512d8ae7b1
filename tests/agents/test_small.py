"""Small models get a small prompt, examples as turns, a begun reply, fresh attempts instead of errors, and a vote."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal, TypedDict

import pytest

from pinjra.agents import AgentBudgetError, Budget, CodeAgent, RunResult, ToolCallingAgent
from pinjra.core.events import RunFinished, RunStarted
from pinjra.models.scripted import ScriptedModel
from pinjra.tools.base import tool

Make = Callable[..., CodeAgent]


class Spot(TypedDict):
    x: int
    y: float


@tool(examples=["population('Peru')", "population('Chile')"])
def population(country: str) -> int:
    """Gives the number of people in a country.

    Args:
        country: Its English name.
    """
    return {"Peru": 34, "Chile": 20}[country]


def small(*texts: str) -> ScriptedModel:
    return ScriptedModel(list(texts), prompt_style="small")


def test_the_reply_is_begun_and_stopped_at_the_fence(code_agent: Make) -> None:
    model = small("final_answer(6 * 7)\n")
    assert code_agent(model=model).run("x") == 42
    request = model.requests[0]
    assert (request.messages[-1].role, request.messages[-1].content) == ("assistant", "```python\n")
    assert (request.stop, request.temperature) == (("```",), 0.0)


def test_examples_are_turns_built_from_the_tools_own(code_agent: Make) -> None:
    model = small("final_answer(1)")
    code_agent(model=model, tools=[population]).run("How many?")
    contents = [m.content for m in model.requests[0].messages]
    assert "What does population('Peru') give?" in contents
    assert (
        "```python\nfirst = population('Peru')\nsecond = population('Chile')\nfinal_answer(first - second)\n```"
        in contents
    )
    assert contents[-2] == "How many?"


@tool
def pick(
    names: list[str],
    side: Literal["left", "right"],
    place: tuple[int, str],
    given: dict[str, int],
    spot: Spot,
    size: int | str,
    rows: list[list[int]] | Literal["all"],
) -> str:
    """Picks.

    Args:
        names: Of whom.
        side: Which.
        place: Where.
        given: What.
        spot: From where.
        size: How large.
        rows: How many.
    """
    return f"{names}{side}{place}{given}{spot}{size}{rows}"


def test_made_calls_are_such_as_the_tool_takes(code_agent: Make) -> None:
    shown = code_agent(model=small("x"), tools=[pick]).message_form().examples
    calls = [m.content for m in shown if m.role == "user" and "pick(" in m.content]
    one, two = calls[1].removeprefix("Is ").removesuffix("?").split(" the same as ")
    assert calls[0] == f"What does {one} give?" and one != two
    as_json = ToolCallingAgent([pick], small("x")).message_form().examples[1].content
    for call in (one, two):
        pick.check_arguments(*eval(call, {"pick": lambda *args: (args, {})}))
    pick.check_arguments((), json.loads(as_json)["arguments"])


def test_the_system_prompt_is_short(code_agent: Make) -> None:
    prompt = code_agent(model=small("x"), tools=[population]).system_prompt
    assert len(prompt.splitlines()) <= 6
    assert "population(country)  # Gives the number of people in a country." in prompt


def test_a_failure_is_tried_again_fresh_at_a_higher_temperature(code_agent: Make) -> None:
    model = small("1 / 0", "nope(", "final_answer(5)")
    assert code_agent(model=model).run("x") == 5
    assert [request.temperature for request in model.requests] == [0.0, 0.6, 0.9]
    assert model.requests[0].messages == model.requests[1].messages == model.requests[2].messages


def test_a_step_that_works_is_shown_to_the_next(code_agent: Make) -> None:
    model = small("x = 4\nprint(x)", "final_answer(x)")
    assert code_agent(model=model).run("x") == 4
    contents = [m.content for m in model.requests[1].messages]
    assert "```python\nx = 4\nprint(x)\n```" in contents


def test_an_empty_reply_is_tried_again(code_agent: Make) -> None:
    assert code_agent(model=small("", "final_answer(1)")).run("x") == 1


def test_a_reply_with_its_own_fence_is_understood(code_agent: Make) -> None:
    model = small("x")
    model.generate = lambda *a, **k: ScriptedModel(["```python\nfinal_answer(2)\n```"]).generate(a[0])  # type: ignore[method-assign]
    assert code_agent(model=model).run("x") == 2


def test_a_vote_takes_the_answer_most_attempts_give(code_agent: Make) -> None:
    model = small("final_answer(1)", "final_answer(2)", "final_answer(2)")
    result = code_agent(model=model, vote=3).run("x", return_full_result=True)
    assert isinstance(result, RunResult)
    assert (result.output, result.state) == (2, "success")
    assert [request.temperature for request in model.requests] == [0.0, 0.7, 0.7]


def test_a_vote_ends_when_it_is_decided(code_agent: Make) -> None:
    model = small(*["final_answer(1)"] * 5)
    assert code_agent(model=model, vote=5).run("x") == 1
    assert len(model.requests) == 3


def test_attempts_of_a_vote_do_not_share_variables(code_agent: Make) -> None:
    model = small("x = 1\nfinal_answer(x)", "x += 1\nfinal_answer(x)", "final_answer(7)", "final_answer(7)")
    assert code_agent(model=model, vote=3).run("x") == 7


def test_a_vote_without_any_answer_gives_the_first_attempts_result(code_agent: Make) -> None:
    model = ScriptedModel(["```python\nx = 1\n```", "first", "```python\nx = 1\n```", "second"])
    result = code_agent(model=model, vote=2, max_steps=1).run("x", return_full_result=True)
    assert isinstance(result, RunResult)
    assert (result.output, result.state) == ("first", "max_steps_error")


def test_attempts_are_nested_and_counted_together(code_agent: Make) -> None:
    agent = code_agent(model=small("final_answer(1)", "final_answer(1)"), vote=2)
    events = list(agent.events("x"))
    assert [e.depth for e in events if isinstance(e, RunStarted)] == [0, 1, 1]
    last = events[-1]
    assert isinstance(last, RunFinished)
    inner = [e for e in events if isinstance(e, RunFinished) and e.depth == 1]
    assert last.output_tokens == sum(e.output_tokens for e in inner) > 0


def test_a_vote_has_one_budget(code_agent: Make) -> None:
    model = small(*[f"final_answer({n})" for n in range(5)])
    with pytest.raises(AgentBudgetError) as caught:
        code_agent(model=model, vote=5, budget=Budget(steps=2)).run("x")
    assert caught.value.result is not None
    assert caught.value.result.state == "budget_error"


def test_equal_answers_are_counted_as_one(code_agent: Make) -> None:
    model = small("final_answer('Paris ')", "final_answer('London')", "final_answer('paris')")
    assert code_agent(model=model, vote=3).run("x") == "Paris "


def test_members_of_the_team_are_shown_to_be_asked_whole_questions(code_agent: Make) -> None:
    clerk = code_agent("final_answer(8)", name="clerk", description="Knows the stock.")
    model = small('final_answer(clerk("How many bags are there?"))')
    agent = code_agent(model=model, managed_agents=[clerk])
    assert agent.run("How many bags?") == 8
    shown = [message.content for message in model.requests[0].messages]
    assert any('final_answer(clerk("How many chairs are in the hall?"))' in content for content in shown)


def test_a_small_member_of_a_team_gets_the_task_and_nothing_around_it(code_agent: Make) -> None:
    model = small("final_answer(8)")
    clerk = code_agent(model=model, name="clerk", description="Knows the stock.")
    code_agent("final_answer(clerk('How many bags are there?'))", managed_agents=[clerk]).run("x")
    assert model.requests[0].messages[-2].content == "How many bags are there?"


def calls(*texts: str) -> ToolCallingAgent:
    """Return a JSON agent whose model goes on where its answer was begun."""
    begun = '{"name": "'
    return ToolCallingAgent(
        [population], small(*(text.removeprefix(begun) for text in texts)), verbosity_level=0
    )


PERU = '{"name": "population", "arguments": {"country": "Peru"}}'
CHILE = '{"name": "population", "arguments": {"country": "Chile"}}'
ANSWER = '{"name": "final_answer", "arguments": {"answer": 54}}'


def requests(agent: ToolCallingAgent) -> list[list[str]]:
    model = agent.model
    assert isinstance(model, ScriptedModel)
    return [[message.content for message in request.messages] for request in model.requests]


def test_a_json_agent_asks_a_small_model_for_calls_as_text() -> None:
    agent = calls(f"{PERU}\n{CHILE}", ANSWER)
    assert agent.run("How many people live in both?") == 54
    first, second = requests(agent)
    assert "population(country)  # Gives the number of people in a country." in first[0]
    assert first[-2:] == ["How many people live in both?", '{"name": "']
    assert second[-3] == f"{PERU}\n{CHILE}"
    assert "population('Peru') gave 34\npopulation('Chile') gave 20" in second[-2]
    model = agent.model
    assert isinstance(model, ScriptedModel)
    assert all(not request.tools for request in model.requests)
    assert not any(message.tool_calls for request in model.requests for message in request.messages)


def test_the_same_calls_with_the_same_results_are_a_failure_that_is_not_shown() -> None:
    agent = calls(PERU, PERU, ANSWER)
    assert agent.run("x") == 54
    model = agent.model
    assert isinstance(model, ScriptedModel)
    assert [request.temperature for request in model.requests] == [0.0, 0.0, 0.6]
    assert requests(agent)[1] == requests(agent)[2]
    assert "the same calls" in str(agent.memory.steps[-2].error)


def test_a_call_of_a_small_model_that_fails_is_tried_again_fresh() -> None:
    agent = calls('{"name": "population", "arguments": {"country": "Mars"}}', PERU, ANSWER)
    assert agent.run("x") == 54
    first, second, _ = requests(agent)
    assert first == second
