"""Errors of a run, under the names that users of agents know. Most become observations; the typed stops end the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinjra.core.errors import PinjraError
from pinjra.core.json_data import encodable
from pinjra.core.redaction import redact

if TYPE_CHECKING:
    from pinjra.agents.run.state import RunResult

__all__ = [
    "AgentBudgetError",
    "AgentError",
    "AgentExecutionError",
    "AgentGenerationError",
    "AgentInterrupted",
    "AgentMaxStepsError",
    "AgentParsingError",
    "AgentToolCallError",
    "AgentToolExecutionError",
]


class AgentError(PinjraError):
    """Something in a run went wrong. Recorded in the step's `error`; the model sees it as an observation.

    Args:
        result: What the run had reached, where the error ended it.
    """

    result: RunResult | None = None

    def __init__(self, message: str) -> None:
        safe = redact(encodable(message))  # errors reach models, logs and files
        super().__init__(safe)
        self.message = safe


class AgentParsingError(AgentError):
    """The model's fault: its text has no code, or no tool call."""


class AgentExecutionError(AgentError):
    """The code's fault: it raised, was refused, or reached a limit."""


class AgentToolCallError(AgentExecutionError):
    """The model's fault: no such tool, or arguments that do not fit."""


class AgentToolExecutionError(AgentExecutionError):
    """The tool's fault: it raised."""


class AgentMaxStepsError(AgentError):
    """The run used all its steps without a final answer."""


class AgentGenerationError(AgentError):
    """The model's or its provider's fault: no completion came. Ends the run."""


class AgentInterrupted(AgentError):
    """`interrupt()` was called. Ends the run; memory and session are kept for `run(..., reset=False)`."""


class AgentBudgetError(AgentError):
    """A budget is used up. Ends the run; memory and session are kept.

    Args:
        kind: "tokens", "money", "seconds", "steps" or "tool_calls".
    """

    def __init__(self, kind: str, limit: float, used: float) -> None:
        super().__init__(f"the run's budget of {kind} is used up: {used:.6g} of {limit:.6g}")
        self.kind = kind
        self.limit = limit
        self.used = used
