"""How a failed call of a host function looks to guest code: an exception -> a type's name and a message -> an exception."""

from __future__ import annotations

import ast
import builtins


class ToolError(Exception):
    """What guest code sees when a host tool failed with an exception that Python does not have built in."""


# A worker elsewhere may be of a Python without groups.
GROUPS: tuple[type[BaseException], ...] = tuple(filter(None, [vars(builtins).get("BaseExceptionGroup")]))
_SHOWN = 10  # exceptions of a group


def words_of(error: BaseException) -> str:
    """Return what an exception says, its notes, and what those in a group say: two levels of it."""
    rows = _rows(error)
    for each in getattr(error, "exceptions", ())[:_SHOWN] if isinstance(error, GROUPS) else ():
        first, *more = _rows(each)
        rows += [f"  {type(each).__name__}: {first}", *(f"  {row}" for row in more)]
    return "\n".join(rows)


def _rows(error: BaseException) -> list[str]:
    notes = getattr(error, "__notes__", None)
    return (
        [str(error), *(note for note in notes if isinstance(note, str))]
        if isinstance(notes, list)
        else [str(error)]
    )


def _key(message: str) -> object:
    """Return the key that a KeyError's text shows: that exception alone shows the repr of what it holds."""
    try:
        return ast.literal_eval(message) if len(message) < 1000 else message
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return message


def guest_exception(type_name: str, message: str) -> Exception:
    """Return what a failed call raises in the guest: type and message only, nothing of the host's.

    A built-in exception keeps its class, so that `except ValueError` works; any other becomes a `ToolError` of that name.
    """
    found: object = getattr(builtins, type_name, None) if type_name.isidentifier() else None
    if (
        isinstance(found, type)
        and issubclass(found, Exception)
        and not issubclass(found, (UnicodeError, *GROUPS))
    ):
        failure: Exception = found(_key(message) if found is KeyError else message)
        return failure
    cls: type[ToolError] = (
        type(type_name, (ToolError,), {"__module__": "builtins"}) if type_name.isidentifier() else ToolError
    )
    return cls(message)
