"""ToolCallingAgent: a model that acts by JSON tool calls; several calls of one turn run at the same time."""

from __future__ import annotations

import contextvars
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

from pinjra.agents.agent import Agent
from pinjra.agents.errors import AgentError, AgentParsingError, AgentToolCallError, AgentToolExecutionError
from pinjra.agents.memory.messages import MessageForm
from pinjra.agents.memory.observation import DEFAULT_LENGTH, describe_value
from pinjra.agents.prompts.tool_text import tool_lines
from pinjra.agents.run.completion import ask
from pinjra.agents.run.loop import conversation
from pinjra.agents.run.sessions import Session
from pinjra.agents.run.state import CURRENT_RUN
from pinjra.agents.run.tools import GrantedTool
from pinjra.agents.run.waiting import interrupting
from pinjra.core.errors import ToolRefused
from pinjra.core.execution import Execution
from pinjra.executors.registry import create_executor
from pinjra.models.base import Completion, Model, ToolCall
from pinjra.models.text_parts import after_thinking, json_objects
from pinjra.tools.library.final_answer import FinalAnswerTool
from pinjra.tools.schema import ToolSchema, json_schema

if TYPE_CHECKING:
    from pinjra.agents.run.loop import Draft
    from pinjra.agents.run.state import Run
    from pinjra.tools.base import Tool

__all__ = ["ToolCallingAgent"]

_LONGEST_TEXT = 300_000  # characters of an answer in which a call is looked for
_THREADS = 8  # calls of one turn that run at the same time
_MISSING = (
    "No tool call was found in your answer. Call a tool, or write one JSON object: "
    '{"name": "a_tool", "arguments": {"argument": "value"}}. Call final_answer when you know the answer.'
)
_PLAIN_TYPES = (str, int, float, bool, type(None), list, dict, tuple)


class ToolCallingAgent(Agent):
    """An agent that calls tools by JSON.

    A result that text cannot hold (an image, a table) is kept under a name; the model gives the name to another tool.

    Args:
        max_tool_threads: Calls of one turn that run at the same time.
        max_print_outputs_length: Characters of one result that the model sees.
        options: As `Agent`.
    """

    default_template: ClassVar[str] = "tool_calling"

    def __init__(
        self,
        tools: Iterable[Tool | Callable[..., object]] = (),
        model: Model | None = None,
        *,
        max_tool_threads: int | None = None,
        max_print_outputs_length: int | None = None,
        **options: Any,
    ) -> None:
        self._runs_python = False
        super().__init__(tools, model, **options)
        self.max_tool_threads = max_tool_threads or _THREADS
        self.max_print_outputs_length = max_print_outputs_length or DEFAULT_LENGTH
        self.tools.setdefault("final_answer", FinalAnswerTool())

    def prompt_variables(self) -> dict[str, object]:
        """Return what prompt templates may name."""
        tools = {name: tool for name, tool in self.tools.items() if name != "final_answer"}
        return {
            "tools": tools,
            "managed_agents": self.managed_agents,
            "tool_lines": tool_lines(tools, self.managed_agents),
            "custom_instructions": self.instructions or "",
        }

    def message_form(self) -> MessageForm:
        """Return how memory is shown."""
        return MessageForm(length=self.max_print_outputs_length)

    def base_tools(self) -> Sequence[Tool]:
        """Return web search, web pages and Python."""
        from pinjra.agents.arguments import web_tools
        from pinjra.tools.library.python import PythonTool

        self._runs_python = True
        return [*web_tools(), PythonTool(_RunPython())]

    def open_session(self) -> Session | None:
        """Return a session for the base tool that runs Python; None without it."""
        return Session(create_executor(), owned=True) if self._runs_python else None

    def bind_session(self, run: Run, variables: Mapping[str, object]) -> None:
        """Keep the run's variables where its calls find them."""
        run.objects.update(variables)

    def act(self, run: Run, draft: Draft) -> None:
        """Ask for calls, make them at the same time, observe in their order."""
        done = ask(run, conversation(run), tools=self.tool_schemas(), temperature=run.options.temperature)
        draft.model_output, draft.token_usage = done.text, done.usage
        calls = done.tool_calls or _parsed(done)
        draft.tool_calls = calls
        answers = [call for call in calls if call.name == "final_answer"]
        if answers and len(calls) > 1:
            draft.tool_results = ("not called",) * len(calls)
            raise AgentToolCallError("final_answer must be the only call of a turn; nothing was called")
        outcomes = self._call_all(run, calls)
        draft.tool_results = tuple(_shown(outcome) for outcome in outcomes)
        run.stop.check()
        draft.observations = "\n".join(draft.tool_results)
        if answers:
            self._answered(outcomes[0], draft)
        else:
            _raise_if_all_failed(outcomes, draft)

    def _answered(self, outcome: object, draft: Draft) -> None:
        if isinstance(outcome, AgentError):
            draft.observations = ""
            raise outcome
        draft.action_output = outcome
        draft.is_final_answer = True

    def tool_schemas(self) -> list[ToolSchema]:
        """Return tools, `final_answer` and managed agents, as the model is offered them."""
        managed = [_agent_schema(name, agent) for name, agent in self.managed_agents.items()]
        return [*(json_schema(tool) for tool in self.tools.values()), *managed]

    def _call_all(self, run: Run, calls: Sequence[ToolCall]) -> list[object]:
        """Return each call's result, or its error, in the order of the calls."""
        if len(calls) == 1:
            return [self._call(run, calls[0])]
        with ThreadPoolExecutor(
            min(self.max_tool_threads, len(calls)), thread_name_prefix="pinjra-calls"
        ) as pool:
            futures: list[Future[object]] = [
                pool.submit(contextvars.copy_context().run, self._call, run, call) for call in calls
            ]
            return [future.result() for future in futures]

    def _call(self, run: Run, call: ToolCall) -> object:
        """Return the call's result or, as a value, why there is none."""
        tool: Callable[..., object] | None = self.tools.get(call.name) or self.managed_agents.get(call.name)
        if tool is None:
            known = ", ".join([*self.tools, *self.managed_agents])
            return AgentToolCallError(f"there is no tool {call.name!r}; there are: {known}")
        arguments = _with_objects(call.arguments, run.objects)
        granted = GrantedTool(call.name, tool, run)
        try:
            granted.check_arguments((), arguments)
            value = granted.call_blocking(arguments)
        except ToolRefused as error:
            return AgentToolCallError(str(error))
        except Exception as error:  # whatever a tool of anybody's raises is for the model to see
            return AgentToolExecutionError(f"{call.name} failed: {type(error).__name__}: {error}")
        return value if call.name == "final_answer" else _kept(run, call.name, value)


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

    def close(self) -> None:
        """Do nothing: sessions belong to runs."""


class _Kept:
    """A result that text cannot hold, and the name under which calls find it."""

    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self.value = value


_NAMING = threading.Lock()


def _kept(run: Run, tool: str, value: object) -> object:
    if isinstance(value, _PLAIN_TYPES):
        return value
    with _NAMING:
        name = f"{tool}_{len(run.objects) + 1}"
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


def _raise_if_all_failed(outcomes: Sequence[object], draft: Draft) -> None:
    """Make the step a failed one where no call succeeded; the results already show why."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, AgentError)]
    if errors and len(errors) == len(outcomes):
        draft.observations = ""
        raise errors[0]


def _parsed(done: Completion) -> tuple[ToolCall, ...]:
    """Return the calls that a model wrote as text.

    Raises:
        AgentParsingError: There are none; the message tells the model what to write.
    """
    for value in json_objects(after_thinking(done.text[:_LONGEST_TEXT])):
        call = _as_call(value)
        if call is not None:
            return (call,)
    raise AgentParsingError(_MISSING)


def _as_call(value: Mapping[str, object]) -> ToolCall | None:
    name = value.get("name") or value.get("tool") or value.get("tool_name")
    arguments = value.get("arguments", value.get("parameters", value.get("tool_arguments", {})))
    if not isinstance(name, str) or not name:
        return None
    if not isinstance(arguments, dict):
        arguments = {"answer": arguments} if name == "final_answer" else {}
    return ToolCall(id=f"call_{uuid.uuid4().hex[:8]}", name=name, arguments=arguments)


def _agent_schema(name: str, agent: Agent) -> ToolSchema:
    properties = {"task": {"type": "string", "description": "What to do, with everything needed to know."}}
    parameters: dict[str, Any] = {"type": "object", "properties": properties, "required": ["task"]}
    return ToolSchema(name=name, description=agent.description or "", parameters=parameters)
