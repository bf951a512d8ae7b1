"""A slip of the model never ends a run, a cut answer is not run, and what is nobody's fault is told so."""

from __future__ import annotations

import asyncio
import copy
import pickle  # noqa: TID251 (of our own objects)
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pinjra import (
    ActionStep,
    AgentGenerationError,
    CodeAgent,
    Execution,
    ExecutorUnavailable,
    PythonExecutor,
    RunResult,
    TaskStep,
    tool,
)
from pinjra.agents import AgentExecutionError, AgentMemory, AgentParsingError, AgentToolCallError
from pinjra.models import ModelDelta, ScriptedModel
from pinjra.models.base import Completion, ToolCall, tool_call
from pinjra.models.chat_form import completion_of
from pinjra.models.errors import CompletionInvalid, ProviderFailed

from .conftest import code_model, fenced

Make = Callable[..., Any]


@tool
def add(a: int, b: int) -> int:
    """Add.

    Args:
        a: One.
        b: Other.
    """
    return a + b


def answered(*calls: object, text: str | None = None, reason: str = "tool_calls") -> Completion:
    """Return what comes of a provider's answer with these calls, as an SDK gives it."""
    message = SimpleNamespace(content=text, tool_calls=list(calls))
    return completion_of(
        SimpleNamespace(choices=[SimpleNamespace(message=message, finish_reason=reason)], usage=None)
    )


def called(name: object, arguments: object, id: object = "c1") -> object:
    return SimpleNamespace(id=id, type="function", function=SimpleNamespace(name=name, arguments=arguments))


DONE = answered(called("final_answer", '{"answer": "done"}'))
SLIPS = {
    "arguments that are no JSON": (called("add", '{"a": 1, '), "are no JSON"),
    "a bare text": (called("add", "one and two"), "are no JSON"),
    "a list": (called("add", "[1, 2]"), "must be a JSON object"),
    "a number": (called("add", "7"), "must be a JSON object"),
    "no such tool": (called("ad", '{"a": 1, "b": 2}'), "there is no tool 'ad'; perhaps you mean 'add'"),
    "no name": (called(None, "{}"), "there is no tool ''"),
    "no arguments": (called("add", None), "missing"),
    "arguments of another tool": (called("add", '{"x": 1}'), "add"),
}


@pytest.mark.parametrize(("call", "said"), SLIPS.values(), ids=SLIPS.keys())
def test_a_call_that_is_none_is_an_observation(json_agent: Make, call: object, said: str) -> None:
    agent = json_agent(answered(call), DONE, tools=[add])
    assert agent.run("x") == "done"
    error = agent.memory.steps[1].error
    assert isinstance(error, AgentToolCallError)
    assert said in error.message


def test_calls_without_ids_and_with_one_id_twice_are_told_apart(json_agent: Make) -> None:
    calls = [called("add", '{"a": 1, "b": 2}', id=None), called("add", '{"a": 3, "b": 4}', id=None)]
    agent = json_agent(
        answered(*calls), answered(*[called("add", '{"a": 1, "b": 1}', id="same")] * 2), DONE, tools=[add]
    )
    assert agent.run("x") == "done"
    for step in agent.memory.steps[1:3]:
        ids = [call.id for call in step.tool_calls]
        assert len(set(ids)) == 2
        assert all(ids)


def test_a_final_answer_in_bare_text_is_taken(json_agent: Make) -> None:
    assert json_agent(answered(called("final_answer", "forty-two"))).run("x") == "forty-two"


def test_a_completion_that_is_none_is_an_observation(json_agent: Make, code_agent: Make) -> None:
    agent = json_agent(CompletionInvalid("the answer holds no choice"), DONE)
    assert agent.run("x") == "done"
    assert isinstance(agent.memory.steps[1].error, AgentParsingError)
    model = ScriptedModel([CompletionInvalid("no choice"), fenced("final_answer(1)")])
    assert code_agent(model=model, planning_interval=None).run("x") == 1


def test_a_cut_answer_is_not_run(code_agent: Make, json_agent: Make) -> None:
    sent: list[int] = []

    @tool
    def send(number: int) -> str:
        """Send.

        Args:
            number: What.
        """
        sent.append(number)
        return "sent"

    cut = Completion(text="```python\nsend(1)\n```\nand then I", finish_reason="length")
    agent = code_agent(model=ScriptedModel([cut, fenced("final_answer(2)")]), tools=[send])
    assert agent.run("x") == 2
    assert "was cut" in agent.memory.steps[1].error.message
    call = called("send", '{"number": 1}')
    json = json_agent(answered(call, reason="length"), DONE, tools=[send])
    assert json.run("x") == "done"
    assert sent == []


HALF = "half \ud83d of a pair"


def test_half_characters_reach_model_log_and_file_written_out(code_agent: Make, tmp_path: Any) -> None:
    @tool
    def page() -> str:
        """Give a page."""
        return HALF

    audit = tmp_path / "audit.jsonl"
    agent = code_agent("page()", "final_answer(page())", tools=[page], audit=audit)
    result = agent.run(f"Read {HALF}", additional_args={"given": HALF}, return_full_result=True)
    assert result.state == "success"
    for request in agent.model.requests:
        for message in request.messages:
            message.content.encode("utf-8")
    assert "half \\ud83d of a pair" in agent.model.requests[1].messages[-1].content
    agent.memory.to_json().encode("utf-8")
    audit.read_text("utf-8").encode("utf-8")
    AgentMemory.from_json(agent.memory.to_json())


def test_half_characters_in_the_models_own_answer_are_written_out(json_agent: Make, code_agent: Make) -> None:
    assert json_agent(answered(called("final_answer", '{"answer": "a\\ud800"}'))).run("x") == "a\\ud800"
    assert code_agent(model=ScriptedModel([fenced("final_answer(len('a\ud800'))")])).run("x") == 2


def test_going_on_after_the_providers_failure_does_not_blame_the_model(code_agent: Make) -> None:
    model = ScriptedModel([fenced("x = 1"), ProviderFailed("the server is down"), fenced("final_answer(x)")])
    agent = code_agent(model=model)
    with pytest.raises(AgentGenerationError) as caught:
        agent.run("x")
    again = code_agent(model=ScriptedModel([fenced("final_answer(3)")]))
    assert again.resume(caught.value.result.memory).output == 3
    seen = "\n".join(message.content for message in again.model.requests[0].messages)
    assert "server is down" not in seen
    assert "do not repeat the same code" not in seen


@pytest.mark.parametrize(
    "code", ["final_answer(work())", "final_answer([1]) if 0 else final_answer(work())", "work()"]
)
def test_a_coroutine_is_no_answer(code_agent: Make, code: str) -> None:
    first = f"async def work():\n    return 5\n{code}"
    agent = code_agent(first, "final_answer(await work())", tools=[])
    assert agent.run("x") == 5
    assert isinstance(agent.memory.steps[1].error, AgentExecutionError)
    assert "`await`" in agent.memory.steps[1].error.message


def test_the_last_steps_error_is_an_exception_and_callbacks_may_change_steps(code_agent: Make) -> None:
    def forget(step: ActionStep, agent: CodeAgent) -> None:
        step.observations = "changed"
        for earlier in agent.memory.steps:
            if isinstance(earlier, ActionStep):
                earlier.observations_images = None  # type: ignore[assignment]  # as the guides of others have it

    agent = code_agent("1 / 0", "final_answer(1)", step_callbacks=[forget])
    result = agent.run("x", return_full_result=True)
    first, last = result.memory.steps[1:]
    assert isinstance(first.error, Exception)
    assert (first.step_number, last.step_number, last.is_final_answer) == (1, 2, True)
    assert first.observations == "changed"
    assert "changed" in agent.model.requests[1].messages[-1].content
    with pytest.raises(AgentExecutionError, match="ZeroDivisionError"):
        raise first.error


def test_results_memory_and_agents_can_be_pickled_and_copied(code_agent: Make) -> None:
    agent = code_agent("1 / 0", "final_answer({'a': 1})", tools=[add])
    result = agent.run("x", return_full_result=True)
    for made in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert isinstance(made, RunResult)
        assert made.output == {"a": 1}
        assert made.dict() == result.dict()
        assert made.memory.steps[1].error == result.memory.steps[1].error
        assert made.memory is not result.memory


def test_agents_are_copied_without_their_runs(code_agent: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sample_tools", raising=False)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import sample_tools  # type: ignore[import-not-found]

    agent = code_agent(
        "final_answer(1)",
        tools=[sample_tools.shout, sample_tools.Greeter()],
        name="worker",
        description="Works.",
    )
    agent.run("x")
    for other in (copy.deepcopy(agent), pickle.loads(pickle.dumps(agent))):
        assert (other.name, other.memory.steps, list(other.tools)) == ("worker", [], list(agent.tools))
        other.model = ScriptedModel([fenced("final_answer(shout('a'))")])
        with other:
            assert other.run("y") == agent.tools["shout"]("a")


def test_an_agent_has_the_attributes_that_guides_name(code_agent: Make) -> None:
    agent = code_agent("final_answer(given + own)")
    assert (agent.task, agent.step_number) == (None, 0)
    agent.state["own"] = 2
    assert agent.run("Add.", additional_args={"given": 1}) == 3
    assert agent.task.startswith("Add.")
    assert agent.step_number == 1
    assert "math" in agent.authorized_imports


def test_the_executor_is_there_before_the_first_run(code_agent: Make) -> None:
    agent = code_agent("final_answer(prepared + 1)")
    agent.python_executor.send_variables({"prepared": 6})
    assert agent.run("x") == 7


def test_the_value_of_a_last_line_that_keeps_a_tools_result_is_seen(code_agent: Make) -> None:
    agent = code_agent("total = add(\n    2,\n    3,\n)", "final_answer(total)", tools=[add])
    assert agent.run("x") == 5
    assert "Value of the last expression:\n5" in agent.model.requests[1].messages[-1].content


def test_a_tool_call_keeps_what_was_written() -> None:
    assert tool_call(None, "f", "x y") == ToolCall(
        id="",
        name="f",
        arguments={},
        problem="the arguments of 'f' are no JSON: Expecting value: line 1 column 1 (char 0): 'x y'",
        written="x y",
    )


def test_a_run_on_an_event_loop_survives_slips(code_agent: Make) -> None:
    agent = code_agent(model=ScriptedModel([CompletionInvalid("?"), "no code", fenced("final_answer(1)")]))
    assert asyncio.run(agent.arun("x")) == 1


def test_an_executor_of_three_methods_drives_an_agent() -> None:
    class Own(PythonExecutor):
        def __init__(self) -> None:
            self.names: dict[str, Any] = {}

        def run(self, code: str, *, wall_seconds: float | None = None) -> Execution:
            answers: list[Any] = []
            exec(code, self.names | {"final_answer": answers.append})
            return Execution(value=answers[0] if answers else None, is_final_answer=bool(answers))

        def send_tools(self, tools: Any) -> None:
            self.names.update(tools)

        def send_variables(self, variables: Any) -> None:
            self.names.update(variables)

    own = Own()
    for agent in (CodeAgent([add], code_model("final_answer(add(x, 1))"), executor=own, verbosity_level=0),
                  CodeAgent([add], code_model("final_answer(add(x, 1))"), executor=Own, verbosity_level=0)):  # fmt: skip
        with agent:
            assert agent.run("x", additional_args={"x": 4}) == 5
    assert own.guarantees.boundary == "none"
    with pytest.raises(ExecutorUnavailable, match="Own has no files"):
        own.put_file("a", b"")


def test_an_async_tool_that_is_not_awaited_gives_its_result_where_it_is_used(code_agent: Make) -> None:
    @tool
    async def fetch(key: str) -> dict[str, int]:
        """Fetch.

        Args:
            key: Which.
        """
        return {"length": len(key)}

    agent = code_agent("found = fetch('abc')\nfinal_answer(found['length'] + len(found))", tools=[fetch])
    assert agent.run("x") == 4
    agent = code_agent("final_answer(fetch('abc'))", "final_answer(await fetch('abc'))", tools=[fetch])
    assert agent.run("x") == {"length": 3}


def test_steps_can_be_taken_one_at_a_time_as_the_memory_guide_does(code_agent: Make) -> None:
    agent = code_agent("x = 20", "1 / 0", "final_answer(x + 1)", tools=[add])
    agent.python_executor.send_tools({**agent.tools})
    agent.memory.steps.append(TaskStep(task="What is it?", task_images=[]))  # type: ignore[arg-type]  # as the guide has it
    answer, number = None, 1
    while answer is None and number <= 5:
        step = ActionStep(step_number=number, observations_images=[])  # type: ignore[arg-type]
        answer = agent.step(step)
        agent.memory.steps.append(step)
        number += 1
    assert answer == 21
    assert [step.step_number for step in agent.memory.steps[1:]] == [1, 2, 3]
    assert "ZeroDivisionError" in str(agent.memory.steps[2].error)
    assert "What is it?" in agent.model.requests[0].messages[-1].content


def test_callbacks_may_put_pictures_into_steps(code_agent: Make) -> None:
    images = pytest.importorskip("PIL.Image")

    def look(step: ActionStep, agent: CodeAgent) -> None:
        step.observations_images = [images.new("RGB", (2, 2))]

    agent = code_agent("x = 1", "final_answer(1)", step_callbacks=[look])
    agent.run("x", images=[images.new("RGB", (2, 2))])
    seen = agent.model.requests[1].messages
    assert [image[:4] for message in seen for image in message.images] == [b"\x89PNG"] * 2
    again = AgentMemory.from_json(agent.memory.to_json())
    assert again.steps[1].observations_images[0][:4] == b"\x89PNG"


def test_a_model_that_gives_no_completion_is_told_so(code_agent: Make) -> None:
    class Odd:
        given: Any = iter([None, 5, {"role": "assistant", "content": fenced("final_answer(3)")}])

        def generate(self, messages: object, **options: object) -> object:
            return next(self.given)

    agent = code_agent(model=Odd())
    assert agent.run("x") == 3
    errors = [str(step.error) for step in agent.memory.steps if isinstance(step, ActionStep) and step.error]
    assert [error.rpartition("gave ")[2] for error in errors] == [
        "NoneType instead of a message or a text",
        "int instead of a message or a text",
    ]


def test_an_async_tool_that_is_not_awaited_and_fails_says_why(code_agent: Make) -> None:
    @tool
    async def search(words: str) -> str:
        """Search.

        Args:
            words: What for.
        """
        raise LookupError(f"nothing about {words}")

    agent = code_agent("search('a')", "final_answer(search('b'))", "final_answer(1)", tools=[search])
    assert agent.run("x") == 1
    assert [
        str(step.error) for step in agent.memory.steps if isinstance(step, ActionStep) and step.error
    ] == [
        "the last line is a call that nobody awaited; it raised LookupError: nothing about a",
        "final_answer was given a call that nobody awaited; it raised LookupError: nothing about b",
    ]


def test_an_error_is_said_once_with_the_tool_that_was_meant(code_agent: Make) -> None:
    agent = code_agent("ad(1, 2)", "def f():\n    return 1 / 0\nf()", "final_answer(1)", tools=[add])
    agent.run("x")
    first, second, _ = (str(step.error) for step in agent.memory.steps if isinstance(step, ActionStep))
    assert first == "NameError: name 'ad' is not defined (line 1: ad(1, 2))\ndid you mean add?"
    assert second.count("ZeroDivisionError") == 1 and second.count("\n") == 2


def test_a_callback_may_note_something_of_its_own_on_a_step(code_agent: Make) -> None:
    def mark(step: Any) -> None:
        step.seen_by = "me"

    agent = code_agent("final_answer(1)", step_callbacks=[mark])
    agent.run("x")
    assert agent.memory.steps[-1].seen_by == "me"
    assert pickle.loads(pickle.dumps(agent.memory)).steps[-1].seen_by == "me"


def test_a_model_of_ones_own_may_stream_pieces_only_and_read_messages_as_dicts(code_agent: Make) -> None:
    class Streams:
        def generate(self, messages: Any, **options: object) -> str:
            return fenced(f"final_answer({messages[-1]['content'].split()[-1]})")

        def stream(self, messages: Any, **options: object) -> Any:
            yield from map(ModelDelta, ("```python\nfinal_", "answer(4)\n```"))

    assert code_agent(model=Streams(), stream_outputs=True).run("say 4") == 4
    assert code_agent(model=Streams()).run("say 5") == 5


@pytest.mark.parametrize(
    "written", ['{"x": NaN}', '{"x": [-Infinity]}', '{"x": 1e999}', '{"x": "' + "a" * 400_000 + '"}']
)
def test_arguments_that_could_not_be_sent_on_as_json_are_a_problem(written):
    call = tool_call("1", "f", written)
    assert call.problem.startswith("the arguments of 'f' are no JSON: ")
    assert call.arguments == {}
    assert tool_call("1", "f", '{"x": [1.5, 1e9]}').arguments == {"x": [1.5, 1e9]}
