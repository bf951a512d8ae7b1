"""Guest errors as message fields, and those that the worker itself finds."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import fields, replace
from enum import Enum

from pinjra.core.execution import Cause, ErrorKind, GuestError
from pinjra.guard.errors import GuestStop
from pinjra.jail.spawn.forks import fork

__all__ = ["error_fields", "named", "out_of_memory", "stopped", "too_large"]

_TEXT_CHARS = 10_000  # message and traceback of one error
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
    found: dict[str, Field] = {}
    for field in fields(error):
        value = getattr(error, field.name)
        if value != field.default:
            found[field.name] = _plain(value)
    return found


def _plain(value: object) -> Field:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value
    return str(value)[:_TEXT_CHARS]


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


def stopped(stop: GuestStop) -> GuestError:
    """Return the error of a run whose stop came behind the guest's last line."""
    kind = ErrorKind.INTERRUPTED if stop.cause is Cause.INTERRUPT else ErrorKind.LIMIT
    return GuestError(kind=kind, type="Stopped", message=str(stop)[:_TEXT_CHARS], cause=stop.cause)


def out_of_memory() -> GuestError:
    """Return the error of a run that reached the memory limit outside guest code."""
    return GuestError(
        kind=ErrorKind.LIMIT, type="MemoryError", message="the memory limit was reached", cause=Cause.MEMORY
    )


def too_large(error: Exception) -> GuestError:
    """Return the error of a run whose value cannot cross."""
    return GuestError(
        kind=ErrorKind.LIMIT,
        type="ValueTooLarge",
        message=str(error)[:_TEXT_CHARS],
        hint="print or return a summary instead",
        cause=Cause.VALUE,
    )
