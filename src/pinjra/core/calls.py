"""HostFunction: what an executor needs to know of a tool. Tools and plain callables both become one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["ArgumentChecker", "HostFunction", "ToolError", "describe", "guest_exception"]


@runtime_checkable
class ArgumentChecker(Protocol):
    """What a tool with a schema offers: bind and check plain arguments before the call."""

    def check_arguments(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Raise `ToolRefused` with a message for the model when the arguments do not fit the schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFunction:
    """A function of the host that guest code may call by `name`.

    Args:
        function: Called with plain data only. Its result crosses by the codec.
        is_async: The function returns an awaitable; the guest's stub is awaitable too.
        doc: Shown by the guest's `help`-like text; the first lines only.
        seconds: Longest time one call may take; None for no limit of its own.
        check: Refuses arguments before the call, or None.
    """

    name: str
    function: Callable[..., object]
    is_async: bool = False
    doc: str = ""
    seconds: float | None = None
    check: Callable[[tuple[object, ...], dict[str, object]], None] | None = None


def describe(name: str, function: Callable[..., object]) -> HostFunction:
    """Return what an executor needs to know of any callable: a `Tool`, a managed agent, a function, a bound method.

    A callable may carry `seconds` (time limit), `is_async`, `description` and `check_arguments`; where it does not, its
    signature is what its arguments are checked against.

    Raises:
        ConfigurationError: `name` is not an identifier or `function` is not callable (the caller's fault).
    """
    import inspect
    from keyword import iskeyword

    from pinjra.core.errors import ConfigurationError

    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name) or name.startswith("__"):
        raise ConfigurationError(f"a tool's name must be an identifier that is no keyword, not {name!r}")
    if not callable(function):
        raise ConfigurationError(f"tool {name!r} is not callable: {type(function).__name__}")
    is_async = getattr(function, "is_async", None)
    if not isinstance(is_async, bool):
        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(type(function), "__call__", None)  # noqa: B004 (the class's own __call__, to see if it is async)
        )
    seconds = getattr(function, "seconds", None)
    doc = getattr(function, "description", None) or inspect.getdoc(function) or ""
    check = (
        function.check_arguments
        if isinstance(function, ArgumentChecker)
        else _signature_check(name, function)
    )
    return HostFunction(
        name=name,
        function=function,
        is_async=is_async,
        doc=str(doc)[:2000],
        seconds=float(seconds) if isinstance(seconds, (int, float)) else None,
        check=check,
    )


def _signature_check(
    name: str, function: Callable[..., object]
) -> Callable[[tuple[object, ...], dict[str, object]], None] | None:
    """Return a check of arity and argument names by the function's signature; None where it has none."""
    import inspect

    from pinjra.core.errors import ToolRefused

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # builtins without a text signature
        return None

    def check(args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ToolRefused(f"{name}{signature}: {error}") from None

    return check


class ToolError(Exception):
    """What guest code sees when a host tool failed with an exception that Python does not have built in."""


def _key(message: str) -> object:
    """Return the key that a KeyError's text shows: that exception alone shows the repr of what it holds."""
    import ast

    try:
        return ast.literal_eval(message) if len(message) < 1000 else message
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return message


def guest_exception(type_name: str, message: str) -> Exception:
    """Return what a failed call raises in the guest: type and message only, nothing of the host's.

    A built-in exception keeps its class, so that `except ValueError` works; any other becomes a `ToolError` of that name.
    """
    import builtins

    found: object = getattr(builtins, type_name, None) if type_name.isidentifier() else None
    if isinstance(found, type) and issubclass(found, Exception) and not issubclass(found, UnicodeError):
        failure: Exception = found(_key(message) if found is KeyError else message)
        return failure
    cls: type[ToolError] = (
        type(type_name, (ToolError,), {"__module__": "builtins"}) if type_name.isidentifier() else ToolError
    )
    return cls(message)
