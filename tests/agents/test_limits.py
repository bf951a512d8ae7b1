"""Budgets stop a run with its state kept; hooks refuse and replace; everything of it is in the audit log."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import pickle  # noqa: TID251 (agents are pickled by their owners)
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pinjra.agents import (
    AgentBudgetError,
    AuditLog,
    Budget,
    CodeAgent,
    Compaction,
    Price,
    RunResult,
    allow,
    refuse,
    replace,
)
from pinjra.agents.run.budget import Meter
from pinjra.core.errors import ConfigurationError
from pinjra.models.base import Completion, TokenUsage
from pinjra.models.scripted import ScriptedModel

from .conftest import calling, fenced

Make = Callable[..., CodeAgent]


def ping(number: int = 0) -> int:
    """Gives the number back.

    Args:
        number: What to give back.
    """
    return number


def endless() -> ScriptedModel:
    usage = TokenUsage(input_tokens=900, output_tokens=100)
    return ScriptedModel(lambda messages: Completion(text=fenced("ping(1)"), usage=usage))


@pytest.mark.parametrize(
    ("budget", "kind", "steps"),
    [
        (Budget(tokens=2500), "tokens", 3),
        (Budget(steps=2), "steps", 2),
        (Budget(tool_calls=3), "tool_calls", 4),
        (Budget(money=0.0025, price=Price(input_per_million=1.0, output_per_million=1.0)), "money", 3),
    ],
)
def test_a_budget_ends_the_run_with_its_state_kept(
    code_agent: Make, budget: Budget, kind: str, steps: int
) -> None:
    agent = code_agent(model=endless(), tools=[ping], budget=budget)
    with pytest.raises(AgentBudgetError, match=f"budget of {kind} is used up") as caught:
        agent.run("x")
    assert caught.value.kind == kind
    result = caught.value.result
    assert result is not None
    assert result.state == "budget_error"
    assert len([s for s in result.steps if s["kind"] == "action"]) == steps


def test_a_budget_of_seconds_takes_effect_inside_a_tool(code_agent: Make) -> None:
    released = threading.Event()

    def hang() -> bool:
        """Waits."""
        return released.wait(300)

    result = code_agent("hang()", tools=[hang], budget=Budget(seconds=0.2)).run("x", return_full_result=True)
    released.set()
    assert isinstance(result, RunResult)
    assert result.state == "budget_error"
    assert "seconds" in result.error


def test_a_managed_agents_use_counts_for_its_manager(code_agent: Make) -> None:
    team = code_agent(model=endless(), tools=[ping], name="helper", description="Never ends.")
    manager = code_agent("helper('x')", managed_agents=[team], budget=Budget(steps=3))
    with pytest.raises(AgentBudgetError) as caught:
        manager.run("x")
    assert caught.value.result is not None


def test_money_is_counted_by_the_price(code_agent: Make) -> None:
    price = Price(input_per_million=2.0, output_per_million=10.0)
    done = Completion(text=fenced("final_answer(1)"), usage=TokenUsage(input_tokens=1000, output_tokens=100))
    agent = code_agent(model=ScriptedModel([done]), budget=Budget(price=price))
    result = agent.run("x", return_full_result=True)
    assert isinstance(result, RunResult)
    assert result.money == pytest.approx(0.003)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokens": 0}, "Budget.tokens must be above 0"),
        ({"tokens": "many"}, "Budget: tokens= takes a whole number"),
        ({"token": 5}, "did you mean tokens="),
        ({"money": float("nan")}, "money= takes a number"),
        ({"money": 1.0}, "Budget.money needs Budget.price"),
        ({"money": 1.0, "price": (3, 15)}, "price= takes a Price, such as"),
    ],
)
def test_a_wrong_budget_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Budget(**options)


def test_a_wrong_price_or_compaction_is_refused() -> None:
    for price in (-1, float("nan"), "3"):
        with pytest.raises(ConfigurationError, match="output_per_million= takes a number, 0 or more"):
            Price(input_per_million=0, output_per_million=price)  # type: ignore[arg-type]
    for wrong in ({"keep_steps": 0}, {"above_tokens": "1"}, {"by": "magic"}):
        with pytest.raises(ConfigurationError, match="Compaction: "):
            Compaction(**wrong)  # type: ignore[arg-type]


def test_refused_code_does_not_run_and_the_model_sees_why(code_agent: Make) -> None:
    called: list[int] = []

    def touch() -> None:
        """Leaves a trace."""
        called.append(1)

    def before(code: str, agent: object) -> object:
        return refuse("touching is forbidden") if "touch" in code else allow()

    agent = code_agent("touch()", "final_answer('ok')", tools=[touch], before_run=before)
    assert agent.run("x") == "ok"
    assert not called
    seen = agent.model.requests[-1].messages[-1].content  # type: ignore[attr-defined]
    assert "this code was not run, it was refused: touching is forbidden" in seen


def test_code_may_be_replaced(code_agent: Make) -> None:
    agent = code_agent("final_answer(1)", before_run=lambda code, agent: replace(code.replace("1", "2")))
    assert agent.run("x") == 2


def test_a_hook_that_says_false_refuses(code_agent: Make) -> None:
    answers = iter([False, True])
    agent = code_agent("final_answer(1)", "final_answer(2)", before_run=lambda code, agent: next(answers))
    assert agent.run("x") == 2
    assert "it was not approved" in agent.model.requests[-1].messages[-1].content  # type: ignore[attr-defined]


def test_a_hook_that_gives_no_decision_does_not_pass_for_allowed(code_agent: Make) -> None:
    with pytest.raises(TypeError, match="a hook must return allow"):
        code_agent("final_answer(1)", before_run=lambda code, agent: "yes").run("x")


def test_a_managers_hooks_hold_for_its_team(code_agent: Make) -> None:
    seen: list[str] = []
    team = code_agent("final_answer(1)", name="helper", description="Helps.")
    manager = code_agent(
        "final_answer(helper('x'))",
        managed_agents=[team],
        before_run=lambda code, agent: seen.append(agent.name),
    )
    manager.run("x")
    assert seen == [None, "helper"]


def test_an_async_hook_is_awaited(code_agent: Make) -> None:
    async def before(code: str, agent: object) -> object:
        await asyncio.sleep(0)
        return replace("final_answer('hooked')")

    assert code_agent("final_answer(1)", before_run=before).run("x") == "hooked"


def test_a_tool_call_may_be_refused(code_agent: Make) -> None:
    agent = code_agent(
        "ping(7)",
        "final_answer('ok')",
        tools=[ping],
        before_tool=lambda name, args, agent: refuse(f"no {args['number']}"),
    )
    assert agent.run("x") == "ok"
    assert "the call of ping was refused: no 7" in agent.model.requests[-1].messages[-1].content  # type: ignore[attr-defined]


def test_arguments_and_results_may_be_replaced(code_agent: Make) -> None:
    agent = code_agent(
        "final_answer(ping(7))",
        tools=[ping],
        before_tool=lambda name, args, agent: replace({"number": args["number"] + 1}),
        after_tool=lambda name, args, result, agent: replace(result * 100),
    )
    assert agent.run("x") == 800


def test_a_result_may_be_refused(code_agent: Make) -> None:
    agent = code_agent(
        "ping(7)",
        "final_answer('ok')",
        tools=[ping],
        after_tool=lambda name, args, result, agent: refuse("too secret"),
    )
    assert agent.run("x") == "ok"
    assert "too secret" in agent.model.requests[-1].messages[-1].content  # type: ignore[attr-defined]


def test_hooks_hold_for_json_agents_too(json_agent: Callable[..., Any]) -> None:
    agent = json_agent(
        calling(("ping", {"number": 1})),
        calling(("final_answer", {"answer": "ok"})),
        tools=[ping],
        before_tool=lambda name, args, agent: refuse("no") if name == "ping" else None,
    )
    assert agent.run("x") == "ok"
    assert "refused: no" in "\n".join(m.content for m in agent.model.requests[-1].messages)


def test_the_audit_log_has_code_calls_refusals_and_limits(code_agent: Make, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    agent = code_agent(
        "ping(3)",
        "forbidden = 1",
        "x = 2",
        tools=[ping],
        audit=file,
        before_run=lambda code, agent: refuse("no") if "forbidden" in code else None,
        budget=Budget(steps=3),
    )
    with pytest.raises(AgentBudgetError):
        agent.run("x")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["kind"] for line in lines] == [
        "code",
        "tool_call",
        "tool_return",
        "refusal",
        "code",
        "limit",
    ]
    assert lines[1]["arguments"] == {"number": 3}
    assert lines[2]["result"] == "3"
    assert lines[3]["reason"] == "no"
    assert all({"time", "run", "agent", "step"} <= set(line) for line in lines)


def test_the_audit_log_masks_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "very-secret-value")
    stream = io.StringIO()
    AuditLog(stream).write("code", code="print('very-secret-value')", arguments={"a": ["very-secret-value"]})
    assert "very-secret" not in stream.getvalue()
    assert json.loads(stream.getvalue())["kind"] == "code"


def test_the_audit_log_cuts_long_values() -> None:
    stream = io.StringIO()
    AuditLog(stream, longest=10).write("code", code="x" * 50)
    assert json.loads(stream.getvalue())["code"] == "x" * 10 + " … (50 characters)"


def test_a_tool_slower_than_its_own_limit_is_abandoned(json_agent: Callable[..., Any]) -> None:
    from pinjra.tools.base import tool

    released = threading.Event()

    @tool(seconds=0.05)
    def slow() -> bool:
        """Waits."""
        return released.wait(300)

    agent = json_agent(calling(("slow", {})), calling(("final_answer", {"answer": 1})), tools=[slow])
    assert agent.run("x") == 1
    released.set()
    assert "no answer after 0.05 s" in "\n".join(m.content for m in agent.model.requests[-1].messages)


def test_a_final_answer_is_no_call_of_a_tool(json_agent: Callable[..., Any]) -> None:
    turns = calling(("ping", {"number": 1})), calling(("final_answer", {"answer": "ok"}))
    assert json_agent(*turns, tools=[ping], budget=Budget(tool_calls=1)).run("x") == "ok"


@pytest.mark.parametrize("options", [{"max_steps": 1}, {"planning_interval": 1}, {"vote": 3}])
def test_nothing_is_asked_once_the_tokens_are_used_up(code_agent: Make, options: dict[str, Any]) -> None:
    agent = code_agent(model=endless(), tools=[ping], budget=Budget(tokens=500), **options)
    result = agent.run("x", return_full_result=True)
    assert result.state == "budget_error"
    assert len(agent.model.requests) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("limit", [Budget(tool_calls=2), Budget(tokens=1500), Budget(steps=2)])
def test_a_team_that_uses_up_its_managers_budget_ends_the_manager(code_agent: Make, limit: Budget) -> None:
    team = code_agent(model=endless(), tools=[ping], name="helper", description="Never ends.")
    went_on: list[int] = []

    def note() -> None:
        """Notes."""
        went_on.append(1)

    careless = "try:\n    helper('x')\nexcept BaseException:\n    pass\nnote()"
    manager = code_agent(careless, tools=[note], managed_agents=[team], budget=limit)
    assert manager.run("x", return_full_result=True).state == "budget_error"
    assert went_on == []


def test_attempts_of_a_vote_share_the_budget_of_calls(code_agent: Make) -> None:
    agent = code_agent(
        *["final_answer(ping(1) + ping(1))"] * 5, tools=[ping], vote=5, budget=Budget(tool_calls=3)
    )
    assert agent.run("x", return_full_result=True).state == "budget_error"
    assert len(agent.model.requests) == 2  # type: ignore[attr-defined]


def test_of_steps_that_begin_at_once_only_as_many_begin_as_are_left() -> None:
    stopped: list[AgentBudgetError] = []
    above = Meter(Budget(steps=5), stopped.append)

    def step(_: int) -> bool:
        try:
            Meter(Budget(), lambda error: None, above).add("steps")
        except AgentBudgetError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(step, range(16))) == 5
    assert len(stopped) == 11


def test_an_agent_with_an_audit_log_can_be_copied_and_pickled(code_agent: Make, tmp_path: Path) -> None:
    agent = code_agent("x = 1", audit=tmp_path / "audit.jsonl")
    for copied in (copy.deepcopy(agent), pickle.loads(pickle.dumps(agent))):
        copied.audit.write("note")
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 2
