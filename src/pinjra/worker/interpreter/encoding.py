"""InterpreterProcess values -> codec trees, with descriptions of what cannot cross, made by the guest's own `__repr__`."""

from __future__ import annotations

import textwrap
from types import FunctionType

from pinjra.core.values import Opaque
from pinjra.guard.errors import GuestStop
from pinjra.wire.values.codec import Encoder, ValueLimits, type_name

__all__ = ["GuestEncoder"]

_REPR_CHARS = 10_000


class GuestEncoder:
    """Makes an encoder for each message.

    Args:
        value_bytes: What one message may carry.
    """

    def __init__(self, value_bytes: float | None) -> None:
        self._limits = ValueLimits(value_bytes=None if value_bytes is None else int(value_bytes))

    def new(self) -> Encoder:
        """Return an encoder for the values of one message."""
        return Encoder(self._limits, _describe)


def source_of(function: FunctionType) -> str:
    """Return the text that defines a function, where it is known: that is what says what the function is."""
    import inspect

    try:
        return textwrap.dedent(inspect.getsource(function)).rstrip()
    except (OSError, TypeError, SyntaxError, IndentationError):  # made by exec, or its run is long ago
        return repr(function)


def _describe(value: object) -> Opaque:
    """Return what stands for `value`. Its `__repr__` is guest code and runs while the run, with its limits, is still open."""
    name = type_name(type(value))
    stands_for = getattr(value, "_opaque", None) if name == "HostObject" else None
    if type(stands_for) is Opaque:
        return stands_for
    try:
        shown = source_of(value) if type(value) is FunctionType else repr(value)
    except (GuestStop, MemoryError):
        raise
    except BaseException as error:  # guest code raises what it likes
        shown = f"<{name} object; its repr raised {type(error).__name__}>"
    return Opaque(name, str.__str__(shown)[:_REPR_CHARS])
