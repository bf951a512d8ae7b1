"""HostFunction: what an executor needs to know of a tool. Tools and plain callables both become one."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from keyword import iskeyword

from pinjra.core.errors import ConfigurationError
from pinjra.core.signatures import call_signature


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFunction:
    """A function of the host that guest code may call by `name`; the one description of a tool, made once.

    Args:
        function: Called with plain data only. Its result crosses by the codec.
        is_async: The function returns an awaitable; the guest's stub is awaitable too.
        on_loop: Returns an awaitable of the same, for a run that is followed by an event loop: then no thread makes the call.
        is_concurrent: It may be called again before an earlier call has returned. Without, calls wait for their turn.
        doc: Shown by the guest's `help`-like text; the first lines only.
        seconds: Longest time one call may take, the wait for its turn included; None for no limit of its own.
        check: Raises `ToolRefused`, with a message for the model, where positional and keyword arguments do not fit; or None.
        methods: Names of methods of its results that guest code may call; they run here, as calls of tools.
        bind: Returns what calls such a method of an object; None: the method itself.
    """

    name: str
    function: Callable[..., object]
    is_async: bool = False
    on_loop: Callable[..., Awaitable[object]] | None = None
    is_concurrent: bool = False
    doc: str = ""
    seconds: float | None = None
    check: Callable[[tuple[object, ...], dict[str, object]], None] | None = None
    methods: tuple[str, ...] = ()
    bind: Callable[[object, str], HostFunction] | None = None

    def methods_of(self, result: object) -> dict[str, HostFunction]:
        """Return what guest code may call of an object that the function has returned."""
        bind = self.bind or (
            lambda owner, name: replace(describe(name, getattr(owner, name)), methods=self.methods)
        )
        return {name: bind(result, name) for name in self.methods if callable(getattr(result, name, None))}

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Return what the function returns; an awaitable where it is async."""
        return self.function(*args, **kwargs)


_SIMPLE = (int, float, str, bytes)


def describe(name: str, function: Callable[..., object]) -> HostFunction:
    """Return what an executor needs to know of any callable: a `Tool`, a managed agent, a function, a bound method.

    A callable may carry `seconds` (time limit), `is_async`, `concurrent`, `methods`, `description` and `check_arguments`;
    where it does
    not, its signature is what its arguments are checked against. Async functions are concurrent unless they say otherwise,
    all others only when they say so. A `HostFunction` is returned as it is, under `name`.

    Raises:
        ConfigurationError: `name` is not an identifier or `function` is not callable (the caller's fault).
    """
    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name) or name.startswith("__"):
        raise ConfigurationError(f"a tool's name must be an identifier that is no keyword, not {name!r:.200}")
    if isinstance(function, HostFunction):
        return replace(function, name=name)
    if not callable(function):
        raise ConfigurationError(f"tool {name!r} is not callable: {type(function).__name__}")
    is_async = _is_async(function)
    concurrent = getattr(function, "concurrent", None)
    seconds = getattr(function, "seconds", None)
    check = getattr(function, "check_arguments", None)
    # Attributes of other types are none of ours: somebody else's callable may have anything by these names.
    if isinstance(seconds, _SIMPLE) and not is_time_limit(seconds):
        wanted = f"seconds is {seconds!r:.200}; set a number above 0, or None for no limit"
        raise ConfigurationError(f"tool {name!r}: {wanted}")
    if isinstance(concurrent, _SIMPLE) and not isinstance(concurrent, bool):
        raise ConfigurationError(f"tool {name!r}: concurrent is {concurrent!r:.200}; set True, False or None")
    if check is not None and not callable(check):
        raise ConfigurationError(f"tool {name!r}: check_arguments is {check!r:.200}; make it a function")
    return HostFunction(
        name=name,
        function=function,
        is_async=is_async,
        is_concurrent=concurrent if isinstance(concurrent, bool) else is_async,
        doc=documentation(function)[:2000],
        methods=_methods(function),
        seconds=float(seconds) if isinstance(seconds, (int, float)) else None,
        check=check or partial(call_signature(function).check, name),
    )


def is_time_limit(seconds: object) -> bool:
    """Return whether a tool's `seconds` is None, for no limit, or a time above 0 that can be waited for."""
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    return seconds is None or (is_number and bool(0 < seconds < threading.TIMEOUT_MAX))  # type: ignore[operator]


def _methods(function: Callable[..., object]) -> tuple[str, ...]:
    said = getattr(function, "methods", ())
    return (
        tuple(said) if isinstance(said, (list, tuple)) and all(isinstance(name, str) for name in said) else ()
    )


def _is_async(function: Callable[..., object]) -> bool:
    said = getattr(function, "is_async", None)
    if isinstance(said, bool):
        return said
    own = getattr(type(function), "__call__", None)  # noqa: B004 (the class's own __call__, to see if it is async)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(own)


def documentation(function: Callable[..., object]) -> str:
    """Return the words of the callable's author; of a partial those of what it calls."""
    if isinstance(function, partial):
        return documentation(function.func)
    said = str(getattr(function, "description", None) or inspect.getdoc(function) or "")
    own = function
    with suppress(ValueError):  # an object that gives something by every name
        own = inspect.unwrap(function)
    ancestors = (own if isinstance(own, type) else type(own)).__mro__
    # SECURITY: `dataclass` writes a text of its own, with the defaults of all fields.
    made = [f"{each.__name__}(" for each in ancestors if "__dataclass_fields__" in vars(each)]
    return "" if said.startswith(tuple(made)) else said
