"""Run: the state of one run of an agent. The agent is configuration and is never written to by a run."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from pinjra.agents.errors import AgentBudgetError, AgentError
from pinjra.agents.memory.steps import NestedRun, Timing, ToolRecord
from pinjra.agents.run.budget import Budget, Meter, Price
from pinjra.agents.run.stop import Stop
from pinjra.core.events import Event
from pinjra.models.base import TokenUsage

if TYPE_CHECKING:
    from pinjra.agents.agent import Agent
    from pinjra.agents.approval import AuditLog
    from pinjra.agents.memory.memory import AgentMemory
    from pinjra.agents.run.sessions import Session

__all__ = ["CURRENT_RUN", "Options", "Run", "RunResult", "RunState"]

RunState = Literal["success", "max_steps_error", "budget_error", "interrupted", "error"]
Sink = Callable[[Event], None]
T = TypeVar("T")

# The run that this thread or task works for: what a tool calls becomes nested below it.
CURRENT_RUN: ContextVar[Run | None] = ContextVar("pinjra_current_run", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What came of a run.

    Args:
        output: The final answer: the object itself; None where there is none.
        state: "success"; "max_steps_error" (then `output` is the model's last answer); "budget_error", "interrupted" or
            "error" (then `error` says more).
        memory: The steps themselves; `agent.resume(result.memory)` goes on with them.
        token_usage: Of the whole run, managed agents included.
        money: By the budget's price; 0 without one.
    """

    output: object
    state: RunState
    memory: AgentMemory = field(repr=False)
    token_usage: TokenUsage
    timing: Timing
    money: float = 0.0
    error: str = ""
    run_id: str = ""

    @property
    def steps(self) -> list[dict[str, object]]:
        """Return the memory's steps as plain data."""
        return self.memory.get_full_steps()

    def dict(self) -> dict[str, object]:
        """Return everything as a dictionary; `output` as it is."""
        return {
            "output": self.output,
            "state": self.state,
            "steps": self.steps,
            "token_usage": self.token_usage.dict(),
            "timing": self.timing.dict(),
            "money": self.money,
            "error": self.error,
            "run_id": self.run_id,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a caller asked of one run."""

    max_steps: int
    budget: Budget = field(default_factory=Budget)
    streams: bool = False
    loop: asyncio.AbstractEventLoop | None = None  # of `arun`: awaitables of hooks and tools run there
    temperature: float | None = None
    first_step: int = 0


class Run:
    """One run: its memory, session, counters and stop flag.

    Args:
        sink: Takes every event of this run and of those below it.
        parent: The run that this one works for.
    """

    def __init__(
        self, agent: Agent, task: str, memory: AgentMemory, options: Options, sink: Sink, parent: Run | None
    ) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.agent = agent
        self.task = task
        self.memory = memory
        self.options = options
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.stop = Stop()
        self.meter: Meter = Meter(options.budget, parent.meter if parent else None)
        self.step_number = options.first_step
        self.started = time.time()
        self.thread = threading.current_thread()
        self.session: Session | None = None
        self.failures = 0  # failed steps in a row
        self.variables: dict[str, object] = {}  # what the caller gave
        self.objects: dict[str, object] = {}  # what a JSON agent's calls may name
        self._sink = sink
        self._lock = threading.Lock()
        self._nested: list[NestedRun] = []
        self._records: list[ToolRecord] = []

    @property
    def label(self) -> str:
        """Return the agent's name, or its class's."""
        return self.agent.name or type(self.agent).__name__

    @property
    def price(self) -> Price | None:
        """Return what the model costs: by the own budget's price, or that of a run above."""
        own = self.options.budget.price
        return own if own is not None or self.parent is None else self.parent.price

    @property
    def audit(self) -> AuditLog | None:
        """Return the nearest audit log: the agent's own, or that of a run above."""
        if self.agent.audit is not None:
            return self.agent.audit
        return self.parent.audit if self.parent else None

    def hook(self, name: Literal["before_run", "before_tool", "after_tool"]) -> Callable[..., object] | None:
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
        timer: threading.Timer | None = None
        seconds = self.options.budget.seconds
        if seconds is not None:
            timer = threading.Timer(seconds, self._out_of_time, (seconds,))
            timer.daemon = True
            timer.start()
        try:
            if self.parent is None:
                yield
                return
            above = self.parent.stop
            with above.calling(lambda: self.stop.set(above.reason or AgentError("stopped"))):
                yield
        finally:
            if timer is not None:
                timer.cancel()

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

    def resolve(self, value: T | Awaitable[T]) -> T:
        """Return `value`; where it is awaitable, what it gives: on the loop of `arun`, else on a loop of its own."""
        if not inspect.isawaitable(value):
            return value
        awaitable = cast("Awaitable[T]", value)

        async def wait() -> T:
            return await awaitable

        loop = self.options.loop
        if loop is not None and loop.is_running():
            return asyncio.run_coroutine_threadsafe(wait(), loop).result()
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(wait())
        with ThreadPoolExecutor(1) as pool:  # `run` was called on an event loop, which it blocks
            return pool.submit(asyncio.run, wait()).result()
