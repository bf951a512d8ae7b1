"""Run: the state of one run of an agent; AgentSpec: what a run sees of its agent, which no run writes to."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, cast

from pinjra.agents.approval import AfterTool, AuditLog, BeforeRun, BeforeTool
from pinjra.agents.errors import AgentBudgetError, AgentError
from pinjra.agents.memory.memory import AgentMemory
from pinjra.agents.memory.messages import MessageForm
from pinjra.agents.memory.steps import ActionStep, MemoryStep, NestedRun, ToolRecord
from pinjra.agents.prompts.templates import render
from pinjra.agents.run.budget import Budget, Meter, Price
from pinjra.agents.run.compaction import Compaction
from pinjra.agents.run.options import RunOptions
from pinjra.agents.run.results import RunResult
from pinjra.agents.run.sessions import LastRuns, RunSession
from pinjra.agents.run.waiting import Stop, waits_of
from pinjra.core.errors import PinjraError
from pinjra.core.events import Event
from pinjra.core.execution import Artifact
from pinjra.core.guest_files import GuestFile
from pinjra.models.base import Model, ToolOffer

Sink = Callable[[Event], None]
Outcome = tuple[RunResult, BaseException | None]  # of a run, and the error that ended it, if one did
Hook = Literal["before_run", "before_tool", "after_tool"]
_KEPT_BYTES = 64 << 20  # of files that a result holds itself

# The run that this thread or task works for: what a tool calls becomes nested below it.
CURRENT_RUN: ContextVar[Run | None] = ContextVar("pinjra_current_run", default=None)


class AgentSpec(ABC):
    """What a run sees of an agent: its configuration, and how this kind of agent does what all do."""

    name: str | None
    description: str | None
    model: Model
    max_steps: int
    planning_interval: int | None
    vote: int
    verbosity_level: int
    stream_outputs: bool
    keep_memory: bool
    provide_run_summary: bool
    budget: Budget
    compaction: Compaction | None
    audit: AuditLog | None
    before_run: BeforeRun | None
    before_tool: BeforeTool | None
    after_tool: AfterTool | None
    step_callbacks: tuple[tuple[type[MemoryStep], Callable[..., object]], ...]
    final_answer_checks: tuple[Callable[..., object], ...]
    prompt_templates: dict[str, object]
    last_runs: LastRuns
    calls_lock: threading.Lock

    @property
    def system_prompt(self) -> str:
        """Return the system prompt, rendered."""
        return render(str(self.prompt_templates["system_prompt"]), **self.prompt_variables())

    @system_prompt.setter
    def system_prompt(self, text: str) -> None:
        raise AttributeError(
            "system_prompt is rendered: change prompt_templates['system_prompt'], or instructions="
        )

    def template(self, group: str) -> dict[str, str]:
        """Return a group of prompt templates."""
        return cast("dict[str, str]", self.prompt_templates[group])

    @abstractmethod
    def act(self, run: Run, step: ActionStep) -> Awaitable[None] | None:
        """Take one step: ask the model, do what it wants, write what came of it into `step`.

        Raises:
            AgentError: Something the model should see and mend.
        """

    @abstractmethod
    def prompt_variables(self) -> dict[str, object]:
        """Return what prompt templates may name."""

    @abstractmethod
    def callables(self) -> Mapping[str, Callable[..., object]]:
        """Return what a run may call by name, at this moment."""

    def tool_schemas(self) -> Sequence[ToolOffer]:
        """Return what the model is offered for structured calls."""
        return ()

    def message_form(self) -> MessageForm:
        """Return how memory is shown to the model."""
        return MessageForm()

    def session_options(self) -> object:
        """Return what sessions are opened with now."""
        return None

    def open_session(self) -> RunSession | None:
        """Return a fresh executor session; None for an agent that runs no code."""
        return None

    @abstractmethod
    def bind_session(self, run: Run) -> None:
        """Give the run's session its tools and variables."""

    @abstractmethod
    def track(self, run: Run, *, active: bool) -> None:
        """Note that a run begins or ends."""


class Run:
    """One run: its memory, session, counters and stop flag.

    Args:
        sink: Takes every event of this run and of those below it.
        parent: The run that this one works for.

    Attributes:
        callables: What it may call: what its agent had when it began.
        is_over: Nothing is granted any more.
        failures: Failed steps in a row.
        objects: What a JSON agent's calls may name.
        turns: Which calls of a tool, by its name, wait for each other.
        files: What its code has written, by name.
        artifacts: What its code has displayed.
        none_below: Set while no run works for this one.
    """

    def __init__(
        self, agent: AgentSpec, options: RunOptions, memory: AgentMemory, sink: Sink, parent: Run | None
    ) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.agent = agent
        self.options = options
        self.memory = memory
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.budget = options.budget or agent.budget
        self.streams: bool = (
            options.streams or agent.stream_outputs or (parent is not None and parent.streams)
        )
        self.loop: asyncio.AbstractEventLoop | None = options.loop or (parent.loop if parent else None)
        self.stop = options.stop or Stop()
        self.waits = waits_of(self.stop, options.loop, self.loop)
        self.meter: Meter = Meter(self.budget, self.stop.set, parent.meter if parent else None)
        self.step_number = (
            max((getattr(s, "step_number", 0) for s in options.memory.steps), default=0)
            if options.memory
            else 0
        )
        self.started = time.time()
        self.session: RunSession | None = None
        self.callables = dict(agent.callables())
        self.is_over = False
        self.failures = 0
        self.objects: dict[str, object] = {}
        self.turns: dict[str, threading.Lock] = {name: threading.Lock() for name in self.callables}
        self.files: dict[str, GuestFile] = {}
        self.artifacts: list[Artifact] = []
        self.result: RunResult | None = None
        self._sink = sink
        self._lock = threading.Lock()
        self._nested: list[NestedRun] = []
        self._records: list[ToolRecord] = []
        self._below = 0
        self.none_below = threading.Event()
        self.none_below.set()

    @property
    def label(self) -> str:
        """Return the agent's name, or its class's."""
        return self.agent.name or type(self.agent).__name__

    @property
    def price(self) -> Price | None:
        """Return what the model costs: by the own budget's price, or that of a run above."""
        own = self.budget.price
        return own if own is not None or self.parent is None else self.parent.price

    @property
    def audit(self) -> AuditLog | None:
        """Return the nearest audit log: the agent's own, or that of a run above."""
        if self.agent.audit is not None:
            return self.agent.audit
        return self.parent.audit if self.parent else None

    def hook(self, name: Hook) -> Callable[..., object] | None:
        """Return the agent's own hook, or that of the nearest run above: a team is approved like its manager."""
        own: Callable[..., object] | None = getattr(self.agent, name)
        return own if own is not None or self.parent is None else self.parent.hook(name)

    def emit(self, kind: type[Event], **details: object) -> None:
        """Send an event of this run to whoever listens."""
        parent = self.parent.id if self.parent else None
        where = {
            "run_id": self.id,
            "agent": self.label,
            "depth": self.depth,
            "parent": parent,
            "step": self.step_number,
        }
        self._sink(kind(**where, **details))  # type: ignore[arg-type]  # one call site for all events

    def forward(self, event: Event) -> None:
        """Pass on an event of a run below this one."""
        self._sink(event)

    def note(self, kind: str, **details: object) -> None:
        """Write a line to the audit log, where there is one."""
        if self.audit is not None:
            self.audit.write(kind, run=self.id, agent=self.label, step=self.step_number, **details)

    def files_kept(self) -> dict[str, GuestFile]:
        """Return the files that are still there, read as far as 64 MiB go, so that they outlive the session."""
        left, kept = _KEPT_BYTES, {}
        for name, file in self.files.items():
            left -= file.size
            try:
                kept[name] = file.kept() if left >= 0 else file
            except (OSError, PinjraError):  # removed by a later step, or the session is lost
                continue
        return kept

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Let the run above see that this one is not over yet."""
        if self.parent is not None:
            self.parent._count_below(1)
        try:
            yield
        finally:
            if self.parent is not None:
                self.parent._count_below(-1)

    def _count_below(self, change: int) -> None:
        with self._lock:
            self._below += change
            (self.none_below.clear if self._below else self.none_below.set)()

    def add_nested(self, nested: NestedRun) -> None:
        """Remember a managed agent's run under the current step."""
        with self._lock:
            self._nested.append(nested)

    def add_record(self, record: ToolRecord) -> None:
        """Remember a tool call under the current step."""
        with self._lock:
            self._records.append(record)

    def take_below(self) -> tuple[tuple[NestedRun, ...], tuple[ToolRecord, ...]]:
        """Return and forget what happened under the step that ends."""
        with self._lock:
            below = tuple(self._nested), tuple(self._records)
            self._nested, self._records = [], []
        return below

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Stop this run when the run above stops and when its time is over."""
        seconds, above = self.budget.seconds, self.parent.stop if self.parent else Stop()
        cancel = (
            self.waits.later(seconds, lambda: self._out_of_time(seconds)) if seconds is not None else None
        )
        try:
            with above.calling(lambda: self.stop.set(above.reason or AgentError("stopped"))):
                yield
        finally:
            if cancel is not None:
                cancel()

    def _out_of_time(self, seconds: float) -> None:
        self.stop.set(AgentBudgetError("seconds", seconds, time.time() - self.started))

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make this the run that the thread or task works for."""
        token = CURRENT_RUN.set(self)
        try:
            yield
        finally:
            CURRENT_RUN.reset(token)
