"""What came of a run -> what messages carry: errors as fields, those that the worker itself finds, and values.

What cannot cross is described by the guest's own `__repr__`.
"""

from __future__ import annotations

import errno
import os
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from enum import Enum
from functools import partial
from itertools import islice
from types import FunctionType
from typing import cast

from pinjra.core.execution import Cause, ErrorKind, GuestError
from pinjra.core.values import MOST_ITEMS, Opaque
from pinjra.guard.errors import GuestStop
from pinjra.jail.spawn.forks import fork
from pinjra.wire.messages import Value
from pinjra.wire.values.codec import Encoder, type_name
from pinjra.wire.values.coding import inherits

_TEXT_CHARS = 10_000  # message and traceback of one error, and what stands for a value
_NUMBER = re.compile(r"\[Errno (\d+)\]")  # how str() of an OSError begins
_CAUSES = {
    errno.ENOSPC: Cause.DISK,
    errno.EDQUOT: Cause.DISK,
    errno.EFBIG: Cause.DISK,
    errno.ENOMEM: Cause.MEMORY,
}

Field = str | int | bool | None


def error_fields(error: GuestError) -> dict[str, Field]:
    """Return the fields of `error` as a message carries them, without what has its default."""
    found = {field.name: (getattr(error, field.name), field.default) for field in fields(error)}
    return {name: _plain(value) for name, (value, default) in found.items() if value != default}


def _plain(value: object) -> Field:
    value = value.value if isinstance(value, Enum) else value
    return value if value is None or isinstance(value, int) else str(value)[:_TEXT_CHARS]


def named(error: GuestError) -> GuestError:
    """Return `error`, with the limit that it comes of where it comes of one."""
    cause = _cause_of(error) if error.kind is ErrorKind.EXCEPTION else None
    return error if cause is None else replace(error, kind=ErrorKind.LIMIT, cause=cause)


def _cause_of(error: GuestError) -> Cause | None:
    if error.type == "MemoryError":
        return Cause.MEMORY
    if error.type == "RuntimeError" and error.message == "can't start new thread":
        return None if _can_fork() else Cause.PROCESSES
    found = _NUMBER.match(error.message)
    number = int(found[1]) if found is not None else 0
    if number == errno.EAGAIN and error.type in ("BlockingIOError", "OSError"):
        # a read that would have to wait has the same number: whether it is the limit shows in another try
        return None if _can_fork() else Cause.PROCESSES
    return _CAUSES.get(number)


def _can_fork() -> bool:
    try:
        pid = fork()
    except OSError:
        return False
    except AttributeError:  # WASI has neither processes nor a limit of them
        return True
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True


def stopped(stop: GuestStop | KeyboardInterrupt) -> GuestError:
    """Return the error of a run whose stop, or a signal of its own, came behind the guest's last line."""
    if isinstance(stop, KeyboardInterrupt):
        return GuestError(kind=ErrorKind.EXCEPTION, type="KeyboardInterrupt", message="")
    kind = ErrorKind.INTERRUPTED if stop.cause is Cause.INTERRUPT else ErrorKind.LIMIT
    return GuestError(kind=kind, type="Stopped", message=str(stop)[:_TEXT_CHARS], cause=stop.cause)


OUT_OF_MEMORY = GuestError(
    kind=ErrorKind.LIMIT, type="MemoryError", message="the memory limit was reached", cause=Cause.MEMORY
)
"""The error of a run that reached the memory limit outside guest code."""


def too_large(error: Exception) -> GuestError:
    """Return the error of a run whose value cannot cross."""
    return GuestError(
        kind=ErrorKind.LIMIT,
        type="ValueTooLarge",
        message=str(error)[:_TEXT_CHARS],
        hint="print or return a summary instead",
        cause=Cause.VALUE,
    )


def guest_encoder(value_bytes: float | None) -> Callable[[], Encoder]:
    """Return what makes an encoder for the values of one message, which may have so many bytes."""
    return partial(_GuestEncoder, None if value_bytes is None else int(value_bytes), _describe)


class _GuestEncoder(Encoder):
    """Takes of a container of the guest's own class what `list` and `dict` do: what it inherits may be empty or in another order.

    Its `__iter__` is guest code and runs while the run, with its limits, is still open.
    """

    def sequence(self, tag: str, value: object, items: Sequence[object], depth: int) -> Value:
        base = _CONTAINERS.get(tag)
        if base is not None and _iterates_otherwise(type(value), base):
            items = list(islice(cast("Iterable[object]", value), MOST_ITEMS + 1))
            if len(items) > MOST_ITEMS:
                return self.opaque(value, depth)
        return super().sequence(tag, value, items, depth)

    def mapping(self, value: object, pairs: list[tuple[object, object]], depth: int) -> Value:
        if _iterates_otherwise(type(value), dict):
            pairs = list(dict(cast("dict[object, object]", value)).items())
        return super().mapping(value, pairs, depth)


_CONTAINERS: Mapping[str, type] = {"l": list, "s": set, "f": frozenset}


def _iterates_otherwise(cls: type, base: type) -> bool:
    return cls is not base and inherits(cls, base) and cls.__iter__ is not base.__iter__  # type: ignore[attr-defined]


def _source_of(function: FunctionType) -> str:
    """Return the text that defines a function of the program: that is what says what the function is. Of others the `repr`."""
    if not function.__code__.co_filename.startswith("<guest:"):
        return repr(function)
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
        shown = _source_of(value) if type(value) is FunctionType else repr(value)
    except (GuestStop, MemoryError):
        raise
    except BaseException as error:  # guest code raises what it likes
        shown = f"<{name} object; its repr raised {type(error).__name__}>"
    return Opaque(name, str.__str__(shown)[:_TEXT_CHARS])
