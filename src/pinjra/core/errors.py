"""Errors of the host side, one class per whose fault it is. A failing guest is a value (`GuestError`), not one of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pinjra.core.execution import Cause, Execution, GuestError


class PinjraError(Exception):
    """Base of all errors that Pinjra raises on the host."""


class ConfigurationError(PinjraError, ValueError):
    """The operator's fault: an argument, key or name is missing or wrong. Says what to set."""


class MissingDependency(ConfigurationError):
    """The operator's fault: an optional package or binary is not installed. Says which extra to install."""

    def __init__(self, what: str, install: str) -> None:
        super().__init__(f"{what} is not installed: {install}")
        self.what = what
        self.install = install


class ExecutorUnavailable(PinjraError):
    """The machine's fault: this executor cannot give here what was asked. Names what is missing and the choices."""


class StartupFailed(PinjraError):
    """The host's or provider's fault: the sandbox did not come up."""


class BackendError(PinjraError):
    """The provider's fault: its API, network or daemon failed in the middle of a session."""


class SessionLost(BackendError):
    """The session is gone with its state (worker died, stream cut for good). Never replaced silently."""

    def __init__(self, message: str, cause: Cause | None = None) -> None:
        super().__init__(message)
        self.cause = cause


class ProtocolViolation(PinjraError):
    """A hostile or broken worker: bytes or messages that the protocol does not allow. The session is killed."""


class ExecutorClosed(PinjraError):
    """The caller's fault: the executor was used after `close()`."""


class InternalError(PinjraError):
    """Our fault: please report it."""


class ToolRefused(PinjraError):
    """A guest's call of a tool was refused (not granted, wrong arguments, too many): goes back to the guest."""


class InterpreterError(PinjraError):
    """A guest error, raised by `executor(code)` for callers that want exceptions. `error` and `execution` are the values."""

    def __init__(
        self, message: str, error: GuestError | None = None, execution: Execution | None = None
    ) -> None:
        super().__init__(message)
        self.error = error
        self.execution = execution
