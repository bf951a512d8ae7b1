"""What happens in a run, as it happens: one frozen dataclass an event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pinjra.core.execution import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events: where in the tree of runs something happened.

    Args:
        run_id: The run that it belongs to.
        agent: The agent's name; its class name where it has none.
        depth: 0 for the run that the caller started, 1 for a managed agent's, and so on.
        parent: The run that called this one; None at depth 0.
        step: 1-based number of the step in this run; 0 before the first.
    """

    run_id: str
    agent: str
    depth: int = 0
    parent: str | None = None
    step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run begins."""

    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """A step begins: the model is asked next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDelta(Event):
    """The model wrote more text (only from models that stream)."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMade(Event):
    """A planning step is done."""

    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeReady(Event):
    """The code that will run, after approval."""

    code: str
    thought: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputText(Event):
    """Guest code printed something."""

    stream: Literal["stdout", "stderr"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalled(Event):
    """A tool or managed agent is about to be called. `arguments` are the live objects: do not change them."""

    call: str
    name: str
    arguments: dict[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolReturned(Event):
    """A tool call ended. `error` is "" when it went well."""

    call: str
    name: str
    value: object = field(default=None, repr=False)
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(Event):
    """A step is done and recorded.

    Args:
        observation: What the model will see of it.
        error: Type and message; "" when it went well.
        money: What its completions cost, by the price of the agent's budget; 0 without one.
        record: The memory's own step (`pinjra.agents.ActionStep`).
    """

    observation: str = ""
    error: str = ""
    is_final_answer: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    money: float = 0.0
    record: object = field(default=None, repr=False)

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """What its code displayed."""
        found: tuple[Artifact, ...] = getattr(self.record, "artifacts", ())
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalAnswer(Event):
    """The run has its answer: the object itself."""

    value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """A run ended. `state` is that of its `RunResult`; tokens and money include managed agents."""

    state: str
    output: object = field(default=None, repr=False)
    error: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    money: float = 0.0
