"""Errors of a run, under the names that users of agents know. Most become observations; the typed stops end the run."""

from __future__ import annotations

from typing import Any

from pinjra.core.errors import PinjraError
from pinjra.core.json_data import encodable
from pinjra.core.redaction import redact


class AgentError(PinjraError):
    """Something in a run went wrong. Recorded in the step's `error`; the model sees it as an observation.

    Args:
        message: Kept with secrets masked, because errors reach models, logs and files.

    Attributes:
        type: The class's name, also of an error that is no AgentError and was recorded.
        result: The `RunResult` of what the run had reached, where the error ended it. (Results are made of steps and steps of
            errors, so its class is not named here.)
    """

    result: Any = None

    def __init__(self, message: str) -> None:
        super().__init__(redact(encodable(message)))
        self.message: str = self.args[0]
        self.type = type(self).__name__

    def dict(self) -> dict[str, str]:
        """Return it as a dictionary."""
        return {"type": self.type, "message": self.message}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AgentError) and self.dict() == other.dict()

    def __hash__(self) -> int:
        return hash((self.type, self.message))

    def __reduce__(self) -> tuple[object, ...]:
        return _made, (type(self), self.message), dict(vars(self))


class AgentParsingError(AgentError):
    """The model's fault: its text has no code, or no tool call, or was cut."""


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


def recorded_error(error: BaseException | tuple[str, str]) -> AgentError:
    """Return an error for a step to keep: without traceback, cause and result, which would hold on to the run.

    Args:
        error: An error, or class and message as they were saved.
    """
    name, message = (type(error).__name__, str(error)) if isinstance(error, BaseException) else error
    found = globals().get(name)
    made = _made(found if isinstance(found, type) and issubclass(found, AgentError) else AgentError, message)
    made.type = name
    if isinstance(error, AgentBudgetError):
        vars(made).update(kind=error.kind, limit=error.limit, used=error.used)
    return made


def _made(cls: type[AgentError], message: str) -> AgentError:
    """Return an error by its message, whatever the class's own parameters are."""
    made = cls.__new__(cls)
    AgentError.__init__(made, message)
    return made
