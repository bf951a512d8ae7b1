"""Agent: the configuration that every kind of agent shares, checked when it is made; and the ways to run it."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import UnionType
from typing import (
    IO,
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    Self,
    TypedDict,
    Unpack,
    _SpecialForm,
    cast,
    overload,
)

from pinjra.agents.approval import AfterTool, AuditLog, BeforeRun, BeforeTool
from pinjra.agents.arguments import callback_pairs, check_count, check_names, managed_by_name, tools_by_name
from pinjra.agents.errors import AgentInterrupted
from pinjra.agents.memory.memory import AgentMemory
from pinjra.agents.memory.messages import MessageForm
from pinjra.agents.memory.observation import DEFAULT_LENGTH
from pinjra.agents.memory.steps import ActionStep, TaskStep
from pinjra.agents.prompts.templates import PromptTemplates, complete_templates, render, shipped
from pinjra.agents.resuming import load_memory, resumed
from pinjra.agents.run import driver
from pinjra.agents.run.answers import AnswerType
from pinjra.agents.run.budget import Budget
from pinjra.agents.run.compaction import Compaction
from pinjra.agents.run.options import RunArguments, RunOptions, encode_image
from pinjra.agents.run.results import RunResult
from pinjra.agents.run.sessions import LastRuns
from pinjra.agents.run.state import CURRENT_RUN, AgentSpec, Run
from pinjra.agents.run.streaming import aexecute, astream
from pinjra.agents.run.streaming import stream as events_of
from pinjra.agents.run.team import call_managed
from pinjra.agents.saving import Savable
from pinjra.core.coroutines import at_once
from pinjra.core.errors import ConfigurationError
from pinjra.core.events import Event
from pinjra.core.files import GivenFiles, given_files
from pinjra.executors.parameters import CheckedConstructor, checked
from pinjra.models.base import ChatMessage, Model
from pinjra.tools.base import Tool
from pinjra.tools.library.final_answer import FinalAnswerTool
from pinjra.tools.library.visit_webpage import VisitWebpageTool
from pinjra.tools.library.web_search import WebSearchTool

if TYPE_CHECKING:  # a default for type variables came with Python 3.13
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

# Type hints as type checkers see them: classes, and what is none: int | None, Literal["a"].
Hint = type[T] | UnionType | _SpecialForm | None
On = Literal[True]
Off = Literal[False]


class AgentOptions(TypedDict, total=False):
    """What every agent takes by name, for type checkers; see `Agent`."""

    prompt_templates: PromptTemplates | None
    instructions: str | None
    max_steps: int
    add_base_tools: bool
    verbosity_level: int
    managed_agents: Iterable[Agent] | None
    step_callbacks: Sequence[Callable[..., object]] | Mapping[type, object] | None
    planning_interval: int | None
    name: str | None
    description: str | None
    provide_run_summary: bool
    final_answer_checks: Sequence[Callable[..., object]] | None
    return_full_result: bool
    stream_outputs: bool
    budget: Budget | None
    before_run: BeforeRun | None
    before_tool: BeforeTool | None
    after_tool: AfterTool | None
    audit: AuditLog | str | Path | IO[str] | None
    compaction: Compaction | None
    keep_memory: bool
    vote: int
    max_print_outputs_length: int | None


class Agent(AgentSpec, Savable, metaclass=CheckedConstructor):
    """An agent: a model, tools, and how to work with them. It is configuration only: each run has its own state, so one
    agent may run in several threads at once.

    Args:
        tools: `Tool` objects or functions with type hints and docstrings.
        prompt_templates: Texts instead of the shipped ones; those left out stay.
        instructions: Added to the system prompt.
        max_steps: Steps of one run; then the model is asked for a last answer.
        add_base_tools: Also web search, web pages and, for JSON agents, Python.
        verbosity_level: 0 or below writes nothing; 1 writes steps to stderr; 2 also the model's text.
        managed_agents: Agents with `name` and `description`, which this one may call like tools.
        step_callbacks: Called with each recorded action step and `agent=`; or a dict of step class to callback(s). One that
            returns a step of the same class replaces it.
        planning_interval: Make a plan before the first step and after so many.
        provide_run_summary: As a managed agent, answer with a summary of the work too.
        final_answer_checks: Called with the answer, the memory and `agent=`; a false result or an exception goes back to the
            model.
        return_full_result: `run` gives a `RunResult`.
        stream_outputs: Stream the model's text, also in runs that are not streamed to the caller.
        budget: What a run may use; reaching it ends the run with `AgentBudgetError`.
        before_run: Called with code and agent before code runs: allow, refuse(reason) or replace(code).
        before_tool: Called with name, arguments and agent before a tool call: the same, replace(arguments).
        after_tool: Called with name, arguments, result and agent: the same, replace(result).
        audit: Where to append the audit log.
        compaction: When older steps are summed up in the prompt; None for never.
        keep_memory: As a managed agent, go on with the memory and session of the call before.
        vote: Make so many independent attempts and take the answer most of them give.
        max_print_outputs_length: Characters of one observation, or result of a call, that the model sees; its head and tail
            are kept.

    Attributes:
        state: Variables that every run is given besides its own `additional_args`. No run writes to it.

    An agent can be copied and pickled: without runs, memory and executor, which stay with the original.
    """

    default_template: ClassVar[str]
    small_template: ClassVar[str | None] = None  # for small models; None: the same
    # As a tool: what a manager's prompt tells of it.
    inputs: ClassVar[dict[str, dict[str, object]]] = {
        "task": {"type": "string", "description": "What to do, with everything needed to know."},
        "additional_args": {
            "type": "object",
            "description": "Variables to hand over, by name.",
            "nullable": True,
        },
    }
    output_type: ClassVar[str] = "any"
    runs_code: ClassVar[bool] = False
    example_turns: ClassVar[Callable[..., tuple[ChatMessage, ...]]]  # of tools and team, for a small model
    concurrent: ClassVar[bool] = True  # as a tool: every call has a run of its own
    not_copied: ClassVar[frozenset[str]] = frozenset({"last_runs", "_active", "_lock", "calls_lock"})

    def __init__(
        self,
        tools: Iterable[Tool | Callable[..., object]] = (),
        model: Model | None = None,
        prompt_templates: PromptTemplates | None = None,
        instructions: str | None = None,
        max_steps: int = 20,
        *,
        add_base_tools: bool = False,
        verbosity_level: int = 1,
        managed_agents: Iterable[Agent] | None = None,
        step_callbacks: Sequence[Callable[..., object]] | Mapping[type, object] | None = None,
        planning_interval: int | None = None,
        name: str | None = None,
        description: str | None = None,
        provide_run_summary: bool = False,
        final_answer_checks: Sequence[Callable[..., object]] | None = None,
        return_full_result: bool = False,
        stream_outputs: bool = False,
        budget: Budget | None = None,
        before_run: BeforeRun | None = None,
        before_tool: BeforeTool | None = None,
        after_tool: AfterTool | None = None,
        audit: AuditLog | str | Path | IO[str] | None = None,
        compaction: Compaction | None = Compaction(),  # noqa: B008 (frozen)
        keep_memory: bool = False,
        vote: int = 1,
        max_print_outputs_length: int | None = None,
    ) -> None:
        if model is None:
            raise ConfigurationError(f"{type(self).__name__} needs a model: pass model=...")
        self.model = model
        self.prompt_style = getattr(model, "prompt_style", "full")
        self.name, self.description, self.instructions = name, description, instructions
        self.tools = tools_by_name(tools, base=self.base_tools() if add_base_tools else ())
        self.managed_agents = managed_by_name(managed_agents or ())
        check_names(self.name, self.tools, self.managed_agents)
        self.tools.setdefault("final_answer", FinalAnswerTool())
        self.prompt_templates = complete_templates(
            cast("Mapping[str, object] | None", prompt_templates), self._template_name()
        )
        self.max_steps = check_count("max_steps", max_steps)
        self.planning_interval = (
            None if planning_interval is None else check_count("planning_interval", planning_interval)
        )
        self.vote = check_count("vote", vote)
        self.verbosity_level = int(verbosity_level)
        self.step_callbacks = callback_pairs(step_callbacks)
        self.final_answer_checks = tuple(final_answer_checks or ())
        self.provide_run_summary = provide_run_summary
        self.return_full_result = return_full_result
        self.stream_outputs = stream_outputs
        self.budget = budget or Budget()
        self.before_run, self.before_tool, self.after_tool = before_run, before_tool, after_tool
        self.audit = audit if audit is None or isinstance(audit, AuditLog) else AuditLog(audit)
        self.compaction = compaction
        self.keep_memory = keep_memory
        length = DEFAULT_LENGTH if max_print_outputs_length is None else max_print_outputs_length
        self.max_print_outputs_length = check_count("max_print_outputs_length", length)
        self.state: dict[str, object] = {}
        self._set_up()

    def _set_up(self) -> None:
        """Make what belongs to this object alone and is not copied with it."""
        self.last_runs = LastRuns()
        self._active: set[Run] = set()
        self._lock = threading.Lock()
        self.calls_lock = threading.Lock()  # one call at a time where memory is kept

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name not in self.not_copied}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._set_up()

    # ------------------------------------------------------------------ what each kind of agent is

    def disk_bytes(self) -> float | None:
        """Return what the files of a run may hold; None for no limit."""
        return None

    def prompt_variables(self) -> dict[str, object]:
        """Return what prompt templates may name."""
        tools = {name: tool for name, tool in self.tools.items() if name != "final_answer"}
        known = {"tools": tools, "managed_agents": self.managed_agents}
        words = {
            name: render(shipped(name), **known) for name in ("signatures", "brief_signatures", "tool_lines")
        }
        return known | words | {"custom_instructions": self.instructions or ""}

    def callables(self) -> dict[str, Callable[..., object]]:
        """Return what a run may call by name, at this moment."""
        return {**self.tools, **self.managed_agents}

    def base_tools(self) -> Sequence[Tool]:
        """Return what `add_base_tools` adds."""
        return [WebSearchTool(), VisitWebpageTool()]

    def message_form(self) -> MessageForm:
        """Return how memory is shown: to a small model with examples, actions as it is to write them, without failures."""
        examples = self.example_turns(self.tools, self.managed_agents) if self.is_small else ()
        return MessageForm(length=self.max_print_outputs_length, plain=self.is_small, examples=examples)

    @property
    def is_small(self) -> bool:
        """Whether prompts are made for a small model."""
        return self.prompt_style == "small"

    def _template_name(self) -> str:
        return (self.small_template if self.is_small else None) or self.default_template

    # ------------------------------------------------------------------ running

    @overload
    def run(
        self, task: str, stream: On, *, output_type: object = None, **more: Unpack[RunArguments]
    ) -> Iterator[Event]: ...
    @overload
    def run(
        self, task: str, *, return_full_result: On, output_type: Hint[T] = None, **more: Unpack[RunArguments]
    ) -> RunResult[T]: ...
    @overload
    def run(
        self,
        task: str,
        stream: bool = False,
        reset: bool = True,
        images: Sequence[object] | None = None,
        additional_args: Mapping[str, object] | None = None,
        max_steps: int | None = None,
        return_full_result: bool | None = None,
        files: GivenFiles | None = None,
        output_type: Hint[T] = None,
    ) -> T: ...
    @functools.partial(checked, is_method=True)
    def run(
        self,
        task: str,
        stream: bool = False,
        reset: bool = True,
        images: Sequence[object] | None = None,
        additional_args: Mapping[str, object] | None = None,
        max_steps: int | None = None,
        return_full_result: bool | None = None,
        files: GivenFiles | None = None,
        output_type: object = None,
    ) -> Any:
        """Return the final answer; a `RunResult` with `return_full_result`; an iterator of events with `stream`.

        Args:
            reset: False goes on with the memory and the variables of the last run.
            images: PIL images, bytes or paths, for the model to see.
            additional_args: Variables for the code, or objects that a JSON agent may name.
            files: Put into the folder that code works in, and told to the model: ["a.csv", Path, {"name": b"…"}].
            output_type: What the answer must be: a pydantic model, a dataclass, a TypedDict or any type hint. It is converted
                to that; what does not fit goes back to the model. Without an answer of the type, there is an error.

        Raises:
            AgentInterrupted, AgentBudgetError: The run was stopped; `error.result` says how far it came. Not raised, but
                told in the result's `state`, with `return_full_result`.
            AgentMaxStepsError: The same, where all steps are used up and the last word is not of `output_type`.
            AgentGenerationError: The model or its provider failed.
        """
        more = RunArguments(
            reset=reset, images=images, additional_args=additional_args, max_steps=max_steps, files=files
        )
        options = self._options(task, output_type, **more)
        if stream:
            return events_of(self, options)
        return driver.outcome(*at_once(driver.execute(self, options)), full=self._is_full(return_full_result))

    @overload
    def arun(
        self, task: str, stream: On, *, output_type: object = None, **more: Unpack[RunArguments]
    ) -> AsyncIterator[Event]: ...
    @overload
    def arun(
        self, task: str, *, return_full_result: On, output_type: Hint[T] = None, **more: Unpack[RunArguments]
    ) -> Coroutine[Any, Any, RunResult[T]]: ...
    @overload
    def arun(
        self,
        task: str,
        stream: Off = False,
        *,
        return_full_result: Off | None = None,
        output_type: Hint[T] = None,
        **more: Unpack[RunArguments],
    ) -> Coroutine[Any, Any, T]: ...
    @functools.partial(checked, is_method=True, rest=run)
    def arun(
        self,
        task: str,
        stream: bool = False,
        *,
        return_full_result: bool | None = None,
        output_type: object = None,
        **more: Unpack[RunArguments],
    ) -> Any:
        """Return an awaitable of what `run` returns; with `stream`, an async iterator of events. It takes what `run` takes.

        Async callbacks, checks and hooks run on the caller's event loop, and async tools of a JSON agent; those of code
        run on the executor's. Cancelling interrupts the run.
        """
        options = self._options(task, output_type, **more)
        if stream:
            return astream(self, options)
        return aexecute(self, options, full=self._is_full(return_full_result))

    def resume(
        self,
        memory: AgentMemory | str | Path,
        additional_args: Mapping[str, object] | None = None,
        output_type: object = None,
    ) -> RunResult[Any]:
        """Go on with a saved run at its next step; the model is told which variables are gone.

        Args:
            memory: A memory, its JSON, or the path of a file with it.
        """
        own = load_memory(memory)
        options = replace(
            resumed(own, self.max_steps, additional_args, has_session=self.runs_code),
            answer=None if output_type is None else AnswerType(output_type),
        )
        return cast("RunResult[Any]", driver.outcome(*at_once(driver.execute(self, options)), full=True))

    def step(self, memory_step: ActionStep) -> object:
        """Take one step on `memory` and write it into `memory_step`, which is the caller's to append; return the final answer,
        or None. For loops of one's own: `memory.steps` must hold a `TaskStep`."""
        return at_once(driver.take_step(self, memory_step, self.task or ""))

    def __call__(self, task: str, additional_args: dict[str, object] | None = None) -> object:
        """Answer as a managed agent: the task in the words of the managed-agent template, the answer likewise."""
        return at_once(call_managed(self, task, additional_args))

    async def acall(self, task: str, additional_args: dict[str, object] | None = None) -> object:
        """As a call, without a thread: how a team works whose manager does `arun`."""
        return await call_managed(self, task, additional_args, asyncio.get_running_loop())

    def interrupt(self) -> None:
        """Stop all runs of this agent at once: in a step, a model call or a tool. From any thread."""
        with self._lock:
            active = list(self._active)
        for run in active:
            run.stop.set(AgentInterrupted("the run was interrupted"))

    def track(self, run: Run, *, active: bool) -> None:
        """Note that a run begins or ends."""
        with self._lock:
            (self._active.add if active else self._active.discard)(run)

    def _options(self, task: str, output_type: object, **given: Unpack[RunArguments]) -> RunOptions:
        max_steps = given.get("max_steps")
        return RunOptions(
            task=task,
            reset=given.get("reset", True),
            images=tuple(map(encode_image, given.get("images") or ())),
            variables=dict(given.get("additional_args") or {}),
            max_steps=self.max_steps if max_steps is None else check_count("max_steps", max_steps),
            files=given_files(given.get("files"), self.disk_bytes()),
            answer=None if output_type is None else AnswerType(output_type),
        )

    def _is_full(self, asked: bool | None) -> bool:
        return self.return_full_result if asked is None else asked

    # ------------------------------------------------------------------ looking

    @property
    def memory(self) -> AgentMemory:
        """Return the memory of the run that this thread works for, else of the last run to end."""
        run = self._current_run()
        if run is not None:
            return run.memory
        return self.last_runs.memory(lambda: self.system_prompt)

    @property
    def task(self) -> str | None:
        """Return the task of the run that this thread works for, else of the last run to end; None before the first."""
        run = self._current_run()
        tasks = [step.task for step in self.memory.steps if isinstance(step, TaskStep)]
        return run.options.task if run is not None else tasks[-1] if tasks else None

    @property
    def step_number(self) -> int:
        """Return the number of the step that this thread works for, else of the last one; 0 before the first."""
        run = self._current_run()
        numbers = [step.step_number for step in self.memory.steps if isinstance(step, ActionStep)]
        return run.step_number if run is not None else max(numbers, default=0)

    @property
    def last_result(self) -> RunResult[Any] | None:
        """Return what came of the last run to end, however it was followed; None before."""
        last = self.last_runs.last
        return last.result if last else None

    def _current_run(self) -> Run | None:
        run = CURRENT_RUN.get()
        return run if run is not None and run.agent is self else None

    def replay(self, detailed: bool = False) -> None:
        """Print the steps of the last run."""
        self.memory.replay(detailed=detailed)

    def visualize(self) -> str:
        """Print and return the tree of this agent, its tools and its managed agents."""
        text = _tree(self)
        print(text)
        return text

    # ------------------------------------------------------------------ ending

    def close(self) -> None:
        """End the kept session, and those of managed agents. Runs in progress end theirs; a later run opens a new one."""
        self.last_runs.close()
        for agent in self.managed_agents.values():
            agent.close()

    cleanup = close

    async def aclose(self) -> None:
        """Do what `close` does, without holding up the event loop."""
        await asyncio.to_thread(self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"<{type(self).__name__}{name}, {len(self.tools)} tools, {len(self.managed_agents)} managed agents>"

    def events(self, task: str, **options: Unpack[RunArguments]) -> Iterator[Event]:
        """Return the events of `run(task, stream=True, ...)`."""
        return self.run(task, True, **options)


def _tree(agent: Agent, indent: str = "") -> str:
    """Return an agent, its tools and its managed agents as a tree of text."""
    model = getattr(agent.model, "model_id", type(agent.model).__name__)
    lines = [f"{indent}{type(agent).__name__}{f' {agent.name}' if agent.name else ''} ({model})"]
    if agent.description:
        lines.append(f"{indent}  {agent.description}")
    for tool in agent.tools.values():
        lines.append(f"{indent}  • {tool.name}: {tool.description.strip().splitlines()[0]}")
    lines += [_tree(managed, indent + "  ") for managed in agent.managed_agents.values()]
    return "\n".join(lines)
