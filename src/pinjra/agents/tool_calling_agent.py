"""ToolCallingAgent: a model that acts by JSON tool calls; several calls of one turn run at the same time."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any, ClassVar, NamedTuple, Unpack

from pinjra.agents.agent import Agent, AgentOptions
from pinjra.agents.arguments import check_count
from pinjra.agents.errors import AgentError, AgentParsingError, AgentToolCallError, AgentToolExecutionError
from pinjra.agents.memory.steps import ActionStep
from pinjra.agents.prompts.examples import IS_IT_KNOWN, call_turns
from pinjra.agents.run.completion import ask, check_complete, fresh_temperature
from pinjra.agents.run.loop import conversation
from pinjra.agents.run.sessions import RunSession
from pinjra.agents.run.state import CURRENT_RUN, Run
from pinjra.agents.run.tools import RunTool, granted
from pinjra.agents.run.waiting import interrupting
from pinjra.core.errors import ToolRefused
from pinjra.core.execution import Execution
from pinjra.core.nearest import nearest
from pinjra.core.tool_errors import words_of
from pinjra.core.value_text import describe_value
from pinjra.executors.registry import create_executor
from pinjra.models.base import ChatMessage, Completion, Model, ToolCall
from pinjra.models.text_calls import first_call, with_text_calls
from pinjra.tools.base import Tool
from pinjra.tools.library.python import PythonTool
from pinjra.tools.schema import ToolSchema, json_schema

_THREADS = 8  # calls of one turn that run at the same time
_MISSING = (
    "No tool call was found in your answer. Call a tool, or write one JSON object: "
    '{"name": "a_tool", "arguments": {"argument": "value"}}. Call final_answer when you know the answer.'
)
_BEGUN = '{"name": "'
_PLAIN_TYPES = (str, int, float, bool, type(None), list, dict, tuple)


class ToolCallingAgent(Agent):
    """An agent that calls tools by JSON.

    A result that text cannot hold (an image, a table) is kept under a name; the model gives the name to another tool.

    Args:
        max_tool_threads: Calls of one turn that run at the same time.
        options: As `Agent`.
    """

    default_template: ClassVar[str] = "tool_calling"
    small_template: ClassVar[str | None] = "small_calls"
    example_turns = staticmethod(call_turns)

    def __init__(
        self,
        tools: Iterable[Tool | Callable[..., object]] = (),
        model: Model | None = None,
        *,
        max_tool_threads: int | None = None,
        **options: Unpack[AgentOptions],
    ) -> None:
        self._runs_python = False
        super().__init__(tools, model, **options)
        threads = _THREADS if max_tool_threads is None else max_tool_threads
        self.max_tool_threads = check_count("max_tool_threads", threads)

    def base_tools(self) -> Sequence[Tool]:
        """Return web search, web pages and Python."""
        self._runs_python = True
        return [*super().base_tools(), PythonTool(_RunPython())]

    def open_session(self) -> RunSession | None:
        """Return a session for the base tool that runs Python; None without it."""
        return RunSession(create_executor(), owned=True) if self._runs_python else None

    def bind_session(self, run: Run) -> None:
        """Keep the run's variables where its calls find them."""
        run.objects.update(self.state | run.options.variables)

    async def act(self, run: Run, step: ActionStep) -> None:
        """Ask for calls, make them at the same time, observe in their order."""
        offered = self.tool_schemas()
        if run.options.answer is not None:
            offered = [_answering(tool, run.options.answer.schema) for tool in offered]
        done = await self._ask(run, offered)
        step.model_output, step.token_usage = done.text, done.usage
        check_complete(done)
        calls = _with_ids(done.tool_calls or filter(None, [first_call(done.text)]))
        if not calls:
            raise AgentParsingError(_MISSING)
        step.tool_calls = calls
        answers = [call for call in calls if call.name == "final_answer"]
        if answers and len(calls) > 1:
            step.tool_results = ("not called",) * len(calls)
            raise AgentToolCallError("final_answer must be the only call of a turn; nothing was called")
        outcomes = await self._call_all(run, calls)
        step.tool_results = tuple(_shown(outcome) for outcome in outcomes)
        run.stop.check()
        step.observations = "\n".join(step.tool_results)
        if answers:
            self._answered(outcomes[0], step)
            return
        _raise_if_all_failed(outcomes, step)
        if self.is_small:  # else it calls the same again until its steps are used up
            if _repeats(run, step):
                raise AgentToolCallError("the same calls gave the same results a step before")
            *others, last = step.tool_results
            step.tool_results = (*others, f"{last}\n{IS_IT_KNOWN}")

    async def _ask(self, run: Run, offered: Sequence[ToolSchema]) -> Completion:
        messages = await conversation(run)
        if not self.is_small:
            return await ask(run, messages, tools=offered, temperature=run.options.temperature)
        # Calls as text: a small model repeats without end what the chat template makes of calls.
        messages.append(ChatMessage(role="assistant", content=_BEGUN))
        done = await ask(run, messages, stop=(f"\n{_BEGUN}final_answer",), temperature=fresh_temperature(run))
        done = replace(done, text=_BEGUN + done.text)
        return replace(with_text_calls(done, offered), text=done.text)

    def _answered(self, outcome: object, step: ActionStep) -> None:
        if isinstance(outcome, AgentError):
            step.observations = ""
            raise outcome
        step.action_output = outcome
        step.is_final_answer = True

    def tool_schemas(self) -> list[ToolSchema]:
        """Return tools, `final_answer` and managed agents, as the model is offered them."""
        managed = [_agent_schema(name, agent) for name, agent in self.managed_agents.items()]
        return [*(json_schema(tool) for tool in self.tools.values()), *managed]

    async def _call_all(self, run: Run, calls: Sequence[ToolCall]) -> list[object]:
        """Return each call's result, or its error, in the order of the calls."""
        tools = granted(run)
        return await run.waits.all(
            [partial(_outcome, run, tools, call) for call in calls], self.max_tool_threads
        )


def _answering(tool: ToolSchema, schema: Mapping[str, Any]) -> ToolSchema:
    """Return the tool; `final_answer` with the schema of the answer that the run's caller wants."""
    if tool.name != "final_answer" or "answer" not in tool.parameters["properties"]:
        return tool
    own = {name: value for name, value in schema.items() if name != "$defs"}
    wanted = {**own, "description": tool.parameters["properties"]["answer"].get("description", "")}
    named = {"$defs": schema["$defs"]} if "$defs" in schema else {}  # its references are to the root
    return replace(tool, parameters={**tool.parameters, "properties": {"answer": wanted}, **named})


async def _outcome(run: Run, tools: Mapping[str, RunTool], call: ToolCall) -> object:
    """Return the call's result or, as a value, why there is none."""
    tool = tools.get(call.name)
    if tool is None:
        return AgentToolCallError(f"there is no tool {call.name!r}; {nearest(call.name, tools)}")
    if call.problem and not (call.name == "final_answer" and call.written):
        return AgentToolCallError(call.problem)
    arguments: dict[str, object] = (
        {"answer": call.written} if call.problem else _with_objects(call.arguments, run.objects)
    )
    try:
        value = await tool.checked_call(arguments)
    except ToolRefused as error:
        return AgentToolCallError(str(error))
    except Exception as error:  # whatever a tool of anybody's raises is for the model to see
        return AgentToolExecutionError(f"{call.name} failed: {type(error).__name__}: {words_of(error)}")
    return value if call.name == "final_answer" else _kept(run, call.name, value)


def _repeats(run: Run, step: ActionStep) -> bool:
    """Return whether the last step that did not fail made the same calls, with the same results."""
    before = [s for s in run.memory.steps if isinstance(s, ActionStep) and s.error is None]
    return bool(before) and _calls_of(before[-1]) == _calls_of(step)


def _calls_of(step: ActionStep) -> tuple[object, str]:
    return [(call.name, call.arguments) for call in step.tool_calls], step.observations


def _with_ids(calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    """Return calls with ids that differ: providers match results by them, and models forget them."""
    seen: set[str] = set()
    made = []
    for call in calls:
        new = call.id if call.id and call.id not in seen else f"call_{uuid.uuid4().hex[:8]}"
        seen.add(new)
        made.append(replace(call, id=new))
    return tuple(made)


class _RunPython:
    """Runs Python in the session of the run that calls: the base tool is one for all runs, their variables are not."""

    def run(self, code: str, *, wall_seconds: float | None = None) -> Execution:
        """Return what came of the code."""
        run = CURRENT_RUN.get()
        if run is None or run.session is None:
            raise AgentError("this tool runs Python for an agent's run only")
        executor = run.session.executor
        with interrupting(executor.interrupt, run.stop):
            return executor.run(code, wall_seconds=wall_seconds)


class _Kept(NamedTuple):
    """A result that text cannot hold, and the name under which calls find it."""

    name: str
    value: object


_NAMING = threading.Lock()


def _kept(run: Run, tool: str, value: object) -> object:
    if isinstance(value, _PLAIN_TYPES):
        return value
    with _NAMING:
        names = (f"{tool}_{number}" for number in count(len(run.objects) + 1))
        name = next(each for each in names if each not in run.objects)
        run.objects[name] = value
    return _Kept(name, value)


def _with_objects(arguments: Mapping[str, object], objects: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments with names of kept objects replaced by the objects."""
    return {
        key: objects[value] if isinstance(value, str) and value in objects else value
        for key, value in arguments.items()
    }


def _shown(outcome: object) -> str:
    if isinstance(outcome, AgentError):
        return f"Error: {outcome}"
    if isinstance(outcome, _Kept):
        kind = type(outcome.value).__name__
        return f"An object of type {kind}, kept under the name {outcome.name!r}: {describe_value(outcome.value)[:500]}"
    return describe_value(outcome)


def _raise_if_all_failed(outcomes: Sequence[object], step: ActionStep) -> None:
    """Make the step a failed one where no call succeeded; the results already show why."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, AgentError)]
    if errors and len(errors) == len(outcomes):
        step.observations = ""
        raise errors[0]


def _agent_schema(name: str, agent: Agent) -> ToolSchema:
    parameters = {"type": "object", "properties": {"task": agent.inputs["task"]}, "required": ["task"]}
    return ToolSchema(name=name, description=agent.description or "", parameters=parameters)
