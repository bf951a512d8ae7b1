"""What came of an action -> the text that the model sees. Tool and program output is marked as data."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, TypeVar

from pinjra.core.execution import Execution
from pinjra.core.json_data import encodable
from pinjra.core.redaction import begun
from pinjra.core.safe_text import cut_middle, settled
from pinjra.core.value_text import Room, describe_value

T = TypeVar("T")

_MARK = re.compile(r"<(?P<rest>\s*(?:/\s*)?observation)", re.IGNORECASE)  # linear: no two runs of blanks meet
_GLIMPSE = 500
_GLIMPSE_COST = 1 << 18  # of one glimpse, in characters
_GLIMPSE_ITEMS = 20
_MOST_FILES = 20  # told by name; a program may write thousands
DEFAULT_LENGTH = 10_000  # characters of an observation in a prompt: about 2,500 tokens


def describe_execution(done: Execution) -> str:
    """Return what an execution printed, showed and wrote, its value and its notes; the error is told apart."""
    parts = []
    if done.stdout:
        parts.append(f"Printed:\n{settled(done.stdout).rstrip()}")
    if done.stderr:
        parts.append(f"Printed to stderr:\n{settled(done.stderr).rstrip()}")
    if done.value is not None:
        parts.append(f"Value of the last expression:\n{describe_value(done.value)}")
    if done.artifacts:
        parts.append(
            "Displayed: " + ", ".join(f"{a.name or 'artifact'} ({a.media_type})" for a in done.artifacts)
        )
    if done.files:
        written = [f"{encodable(name)} ({file.size} bytes)" for name, file in sorted(done.files.items())]
        more = f" and {len(written) - _MOST_FILES} more" if len(written) > _MOST_FILES else ""
        parts.append(f"Files written: {', '.join(written[:_MOST_FILES])}{more}")
    parts += [f"Note: {note}" for note in done.notes]
    if not parts and done.error is None:
        parts.append("The code ran and printed nothing.")
    return "\n".join(parts)


class _Short(reprlib.Repr):
    """Looks at a few items only, and at nothing that takes long: a list of a million costs nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = _GLIMPSE_ITEMS
        self.maxstring = self.maxother = _GLIMPSE
        self._room = Room(_GLIMPSE_COST)

    def repr_int(self, x: int, level: int) -> str:
        return (
            super().repr_int(x, level) if x.bit_length() < _GLIMPSE else f"<an int of {x.bit_length()} bits>"
        )

    # SECURITY: the middle of a text is left out; of half a secret nobody could tell what it is.
    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(begun(x, _GLIMPSE), level)

    def repr_instance(self, x: object, level: int) -> str:
        return begun(self._room.written(x), _GLIMPSE)

    # SECURITY: reprlib sorts all of them to show the first.
    def repr_set(self, x: set[Any], level: int) -> str:
        return super().repr_set(_few(x, set), level)

    def repr_frozenset(self, x: frozenset[Any], level: int) -> str:
        return super().repr_frozenset(_few(x, frozenset), level)

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        return super().repr_dict(
            {key: x[key] for key in _few(x, list)} if len(x) > _GLIMPSE_ITEMS else x, level
        )


def _few(items: Iterable[Any], make: Callable[[Iterable[Any]], T]) -> T:
    return make(islice(items, _GLIMPSE_ITEMS + 1))


def glimpse(value: object) -> str:
    """Return a short text of a value of any size, cheaply; never raises."""
    try:
        return begun(value if isinstance(value, str) else _Short().repr(value), _GLIMPSE)
    except Exception as error:  # a tool's own objects may do anything in their repr
        return f"<{type(value).__name__}: no text of it ({type(error).__name__})>"


def as_data(text: str, length: int) -> str:
    """Return text for a prompt: cut, and marked as data that is not to be obeyed."""
    # SECURITY: output must not be able to close the mark and go on as if the user spoke; readers forgive case and spaces.
    safe = _MARK.sub(r"<\\\g<rest>", encodable(text))
    return f"<observation>\n{cut_middle(safe, length)}\n</observation>"
