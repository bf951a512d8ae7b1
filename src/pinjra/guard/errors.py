"""What the guard raises: refusals (at compile time and at run time) and stops that guest code cannot swallow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pinjra.core.execution import Cause


@dataclass(frozen=True)
class Violation:
    """One thing in the source that the policy does not allow.

    Args:
        line: 1-based, in the guest's source.
        hint: What to do instead, or "".
    """

    line: int
    message: str
    hint: str = ""


class GuardRefused(Exception):
    """The source was refused before it ran. `violations` says where and why; never empty."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__("; ".join(f"line {v.line}: {v.message}" for v in violations[:5]))
        self.violations = violations


class RefusedOperation(Exception):
    """An operation that the guard refused at run time. The guest may catch it, like any exception."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Return what makes it anew in another process of the guest's: no class is found by the name that it shows."""
        more = {"name": self.name} if isinstance(self, ImportError) else {}
        return _again, (_KINDS.index(type(self)), self.args, {**vars(self), **more})


class RefusedAttribute(RefusedOperation, AttributeError):
    """A refused attribute: an AttributeError too, so that code that probes for attributes goes on."""


class RefusedImport(RefusedOperation, ModuleNotFoundError):
    """A refused import: for the guest the module is not there, so that code which probes for it goes on."""

    def __init__(self, message: str, hint: str = "", *, name: str | None = None) -> None:
        ModuleNotFoundError.__init__(self, message, name=name)
        self.hint = hint


class RefusedAccess(RefusedOperation, PermissionError):
    """A refused file, process or socket: a PermissionError too, as from a system that does not permit it."""


_KINDS = (RefusedOperation, RefusedAttribute, RefusedImport, RefusedAccess)
for _class in _KINDS:  # what a guest prints of one that it caught names nothing of ours
    _class.__module__ = "builtins"
    _class.__name__ = _class.__qualname__ = (*_class.__bases__[1:], _class)[0].__name__


def _again(kind: int, args: tuple[str, ...], state: Mapping[str, object]) -> RefusedOperation:
    error = _KINDS[kind](*args)
    for name, value in state.items():
        setattr(error, name, value)
    return error


class GuestStop(BaseException):
    """Ends a run. Not an Exception, and raised again at every tick until the run is over."""

    def __init__(self, cause: Cause = Cause.INTERRUPT, message: str = "") -> None:
        super().__init__(message or f"the run was stopped: {cause.value}")
        self.cause = cause


class AnswerGiven(GuestStop):
    """Ends a run with an answer: `value` is the guest's own object."""

    def __init__(self, value: object) -> None:
        super().__init__(Cause.EXIT, "final answer")
        self.value = value
