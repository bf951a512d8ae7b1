"""Guest errors as message fields, and those that the worker itself finds."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum

from pinjra.core.execution import Cause, ErrorKind, GuestError
from pinjra.guard.errors import GuestStop

__all__ = ["error_fields", "out_of_memory", "stopped", "too_large"]

_TEXT_CHARS = 10_000  # message and traceback of one error

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
