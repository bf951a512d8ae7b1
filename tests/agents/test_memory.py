"""Memory is append-only, survives JSON, never holds secrets, and shrinks in the prompt without losing its prefix."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pinjra.agents import (
    ActionStep,
    AgentMemory,
    CodeAgent,
    Compaction,
    CompactionStep,
    FinalAnswerStep,
    PlanningStep,
    RunResult,
    TaskStep,
    Timing,
)
from pinjra.agents.errors import AgentExecutionError
from pinjra.agents.memory.messages import MessageForm, to_messages
from pinjra.agents.memory.steps import NestedRun, ToolRecord
from pinjra.core.errors import ConfigurationError
from pinjra.core.json_data import plain
from pinjra.core.redaction import redact
from pinjra.core.values import Opaque
from pinjra.models.base import TokenUsage, ToolCall
from pinjra.models.scripted import ScriptedModel

from .conftest import fenced

Make = Callable[..., CodeAgent]
NOW = Timing(start_time=1.0, end_time=2.5)


def full_memory() -> AgentMemory:
    usage = TokenUsage(input_tokens=5, output_tokens=2)
    nested = NestedRun(
        run_id="r",
        agent="helper",
        task="t",
        state="success",
        steps=(TaskStep(task="t"),),
        token_usage=usage,
        timing=NOW,
    )
    memory = AgentMemory("be good")
    memory.append(TaskStep(task="count", task_images=(b"\x89PNG",), variables=("a",)))
    memory.append(PlanningStep(plan="1. go", step_number=0, timing=NOW, token_usage=usage))
    memory.append(
        ActionStep(
            step_number=1,
            timing=NOW,
            model_output="text",
            code_action="x = 1",
            observations="seen",
            observations_images=(b"img",),
            error=AgentExecutionError("bad"),
            tool_calls=(ToolCall(id="1", name="f", arguments={"a": 1}),),
            tool_results=("r",),
            tool_records=(ToolRecord(call="1", name="f", arguments={"a": 1}, result="r"),),
            nested=(nested,),
            token_usage=usage,
            action_output=[1, {"a": None}],
            notes=("n",),
        )
    )
    memory.append(CompactionStep(summary="short", covers=2, token_usage=usage))
    memory.append(FinalAnswerStep(output="done"))
    return memory


def test_memory_survives_json() -> None:
    memory = full_memory()
    assert AgentMemory.from_json(memory.to_json()).all_steps == memory.all_steps


def test_saved_memory_says_its_version() -> None:
    data = json.loads(full_memory().to_json())
    assert (data["format"], data["version"]) == ("pinjra.memory", 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "this is no saved memory"),
        ("{}", "this is no saved memory"),
        ('{"format": "other", "version": 1, "steps": []}', "no saved memory of Pinjra"),
        ('{"format": "pinjra.memory", "version": 99, "steps": []}', "version 99; this Pinjra reads 1"),
        ('{"format": "pinjra.memory", "version": 1, "steps": []}', "begins with its system prompt"),
        ('{"format": "pinjra.memory", "version": 1, "steps": [{"kind": "odd"}]}', "unknown kind 'odd'"),
        ('{"format": "pinjra.memory", "version": 1, "steps": [{"kind": "task"}]}', "this is no saved memory"),
    ],
)
def test_what_is_no_saved_memory_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AgentMemory.from_json(text)


def test_objects_that_json_cannot_hold_are_described() -> None:
    assert plain({1, 2}) == {"type": "set", "repr": "{1, 2}"}
    assert plain(Opaque("Counter", "Counter({'a': 1})")) == {"type": "Counter", "repr": "Counter({'a': 1})"}
    assert plain({"a": (1, [2.5, None])}) == {"a": [1, [2.5, None]]}


def test_an_object_whose_repr_fails_is_described_too() -> None:
    class Bad:
        def __repr__(self) -> str:
            raise RuntimeError

    assert plain(Bad()) == {"type": "Bad", "repr": "<Bad: its repr raised RuntimeError>"}


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "correct-horse-battery")
    memory = AgentMemory("x")
    memory.append(TaskStep(task="use correct-horse-battery and hf_" + "a" * 30 + " and sk-" + "b" * 40))
    text = memory.to_json()
    assert "correct-horse" not in text
    assert "hf_aaa" not in text
    assert "sk-bbb" not in text
    assert text.count("[secret]") == 3


def test_ordinary_words_are_not_masked() -> None:
    text = "The key idea of task-based tokens: ask-for-more, hf_x, sk-1."
    assert redact(text) == text


def test_a_copy_of_a_memory_changes_by_itself() -> None:
    memory = full_memory()
    copied = memory.copy()
    copied.steps[0].task = "other"  # type: ignore[attr-defined]
    copied.steps.clear()
    assert memory.steps[0].task != "other"  # type: ignore[attr-defined]


def test_token_usage_counts_every_kind_of_step() -> None:
    assert full_memory().token_usage() == TokenUsage(input_tokens=20, output_tokens=8)


def test_full_code_is_all_that_ran(code_agent: Make) -> None:
    agent = code_agent("x = 1", "final_answer(x)")
    agent.run("x")
    assert agent.memory.return_full_code() == "x = 1\n\nfinal_answer(x)"


def long_model() -> ScriptedModel:
    def answer(messages: object) -> str:
        last = messages[-1].content  # type: ignore[index]
        if last.startswith("Sum up the work"):
            return "x counts up; so far fine."
        done = sum("x = " in m.content for m in messages if m.role == "assistant")  # type: ignore[attr-defined]
        return (
            fenced("final_answer(x)")
            if "x = 9\n" in last
            else fenced(f"x = globals_seen({done})\nprint('x =', x)\nprint('long ' * 300)")
        )

    return ScriptedModel(answer)


@pytest.mark.parametrize("by", ["summary", "truncation"])
def test_a_long_conversation_is_compacted_with_its_prefix_kept(code_agent: Make, by: str) -> None:
    codes = [f"x = {n}\nprint('word ' * 400)" for n in range(8)]
    script = [fenced(code) for code in codes] + [fenced("final_answer(x)")]
    pieces = iter(script)

    def answer(messages: object) -> str:
        asked = messages[-1].content.startswith("Sum up the work")  # type: ignore[index]
        return "the summary" if asked else next(pieces)

    model = ScriptedModel(answer)
    agent = code_agent(model=model, compaction=Compaction(above_tokens=2500, keep_steps=2, by=by))
    result = agent.run("count up", return_full_result=True)
    assert isinstance(result, RunResult)
    assert result.output == 7
    compactions = [s for s in result.memory.steps if isinstance(s, CompactionStep)]
    assert compactions
    assert len([s for s in result.memory.steps if isinstance(s, ActionStep)]) == 9
    last = [r for r in model.requests if not r.messages[-1].content.startswith("Sum up")][-1].messages
    assert last[:2] == model.requests[0].messages[:2]
    assert any(m.content.startswith("Summary of the steps so far") for m in last)
    assert "x = 0" not in "\n".join(m.content for m in last if m.role == "assistant")
    assert ("the summary" in compactions[-1].summary) is (by == "summary")


def test_without_compaction_nothing_is_left_out(code_agent: Make) -> None:
    agent = code_agent("print('word ' * 400)", "final_answer(1)", compaction=None)
    agent.run("x")
    assert not [s for s in agent.memory.steps if isinstance(s, CompactionStep)]


def test_a_compaction_hides_only_the_steps_it_covers() -> None:
    memory = AgentMemory("system")
    memory.append(TaskStep(task="task"))
    for number in range(1, 5):
        memory.append(ActionStep(step_number=number, timing=NOW, model_output=f"step {number}"))
    memory.append(CompactionStep(summary="short", covers=4))
    memory.append(ActionStep(step_number=5, timing=NOW, model_output="step 5"))
    shown = [m.content for m in to_messages(memory.all_steps, MessageForm())]
    assert shown[:2] == ["system", "New task:\ntask"]
    assert "short" in shown[2]
    assert shown[3:] == ["step 3", "step 4", "step 5"]


def test_a_saved_run_is_resumed_at_its_next_step(code_agent: Make, tmp_path: Path) -> None:
    from pinjra.agents import AgentGenerationError

    first = code_agent(model=ScriptedModel([fenced("total = 3\ndef f(): pass"), fenced("other: int = 4")]))
    with pytest.raises(AgentGenerationError) as caught:
        first.run("count", additional_args={"prices": [1]})
    assert caught.value.result is not None
    file = tmp_path / "run.json"
    file.write_text(caught.value.result.memory.to_json())
    second = code_agent("total = 3\nfinal_answer(total)")
    result = second.resume(file)
    assert result.output == 3
    actions = [s for s in result.memory.steps if isinstance(s, ActionStep)]
    assert [a.step_number for a in actions] == [1, 2, 3, 4]
    told = second.model.requests[0].messages[-1].content  # type: ignore[attr-defined]
    assert "These names could not be restored: total, f, other, prices." in told
    assert "total = 3" in second.model.requests[0].messages[2].content  # type: ignore[attr-defined]


def test_a_resumed_run_may_be_given_variables_again(code_agent: Make) -> None:
    from pinjra.agents import AgentGenerationError

    with pytest.raises(AgentGenerationError) as caught:
        code_agent(model=ScriptedModel([])).run("add", additional_args={"prices": [1, 2]})
    assert caught.value.result is not None
    agent = code_agent("final_answer(sum(prices))")
    assert agent.resume(caught.value.result.memory, additional_args={"prices": [3, 4]}).output == 7
    assert "given again: prices" in agent.model.requests[0].messages[-1].content  # type: ignore[attr-defined]


def test_a_finished_run_cannot_be_resumed(code_agent: Make) -> None:
    result = code_agent("final_answer(1)").run("x", return_full_result=True)
    with pytest.raises(ConfigurationError, match="this run has its final answer"):
        code_agent("x").resume(result.memory)  # type: ignore[attr-defined]
