"""Values that stand for what cannot cross between guest and host as it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import GeneratorType
from typing import cast

MOST_ITEMS = 1_000_000  # of an iterator that is read to its end, and of what becomes a list


@dataclass(frozen=True, slots=True, repr=False)
class Opaque:
    """A value that cannot cross: its type's name and a safe, cut description, which is its `repr`. Never the object itself.

    Args:
        type: Class name ("Connection").
        repr: At most 10,000 characters; made where the object lives. Of a guest's function its source.
        handle: 0, or the number under which the side that owns the object keeps it, so that an Opaque given
            back to that side becomes the object again.
        methods: Names of methods that the guest may call, of an object of the host; they run there.
    """

    type: str
    repr: str
    handle: int = 0
    methods: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return self.repr or f"<{self.type}>"


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """An object with named fields on the other side: an instance of a dataclass or of a class of pydantic or attrs, or an enum's
    member. Its fields are attributes, its behaviour has stayed where it was.

    Args:
        type: Class name.
        fields: Field name → value, in order; of an enum's member "name" and "value".
        handle: As an `Opaque` has it: given back, it is the object itself again.
    """

    type: str
    fields: dict[str, object]
    handle: int = field(default=0, compare=False)

    def __getattr__(self, name: str) -> object:
        """Return a field."""
        if name in ("type", "fields", "handle") or name.startswith("__") or name not in self.fields:
            raise AttributeError(f"{name!r} is no field of this record")
        return self.fields[name]

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, Record):
            return self is other
        try:
            return self.type == other.type and self.fields == other.fields
        except ValueError:  # arrays and tables have no one answer
            return False

    def __hash__(self) -> int:
        # 0 for a field that has none, since the object on the other side has one
        return hash((self.type, *(hash_of(value) or 0 for value in self.fields.values())))

    def __repr__(self) -> str:
        return f"{self.type}({', '.join(f'{name}={value!r}' for name, value in self.fields.items())})"


def hash_of(value: object) -> int | None:
    """Return the hash of a value; None of one that has none."""
    try:
        return hash(value)
    except TypeError:
        return None


class NamedItems(tuple):  # type: ignore[type-arg]  # of anything; Python 3.10 could not make instances of tuple[object, ...]
    """A named tuple of the other side: a tuple whose items have names.

    Args:
        kind: Class name.
        fields: The items' names, in order.
    """

    _type: str
    _fields: tuple[str, ...]

    def __new__(cls, kind: str, fields: Sequence[str], items: Sequence[object]) -> NamedItems:
        """Return the items with their names."""
        made = super().__new__(cls, items)
        made._type, made._fields = kind, tuple(fields)
        return made

    def __getattr__(self, name: str) -> object:
        """Return the item of that name."""
        if name.startswith("_") or name not in self._fields:
            raise AttributeError(f"{name!r} is no item of this named tuple")
        found: object = self[self._fields.index(name)]
        return found

    def _asdict(self) -> dict[str, object]:
        return dict(zip(self._fields, self, strict=True))

    def __repr__(self) -> str:
        return f"{self._type}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    def __reduce__(self) -> tuple[object, ...]:
        return NamedItems, (self._type, self._fields, tuple(self))


class ForeignException(Exception):
    """An exception, as a value, of a class that only the other side has.

    Args:
        kind: Class name.
        args: As the exception has them.
    """

    def __init__(self, kind: str, *args: object) -> None:
        super().__init__(*args)
        self.type = kind

    def __repr__(self) -> str:
        return f"{self.type}({', '.join(map(repr, self.args))})"

    def __reduce__(self) -> tuple[object, ...]:
        return ForeignException, (self.type, *self.args)


@dataclass(frozen=True, slots=True)
class Iterated:
    """What a generator gave; an iterator on the other side."""

    items: list[object]


def drained(value: object, depth: int = 4) -> object:
    """Return what an iterator that is given away (an argument, a result, an answer) has left; anything else as it is.

    Args:
        depth: How many containers deep iterators are looked for.

    Raises:
        ValueError: It has more than a million items.
    """
    cls = type(value)
    if cls in (list, tuple, dict) and depth:
        return _with_drained_items(cast("list[object]", value), depth - 1)
    if cls is not GeneratorType and cls.__module__ not in ("builtins", "itertools"):
        return value
    if not hasattr(cls, "__next__"):
        return value
    items = list(islice(value, MOST_ITEMS + 1))  # type: ignore[call-overload]  # it is an iterator
    if len(items) > MOST_ITEMS:
        raise ValueError(
            f"an iterator of more than {MOST_ITEMS} items; return a list of those that are wanted"
        )
    return Iterated(items) if cls is GeneratorType else items


def can_be_listed(value: object) -> bool:
    """Return whether an array, column or table of numpy or pandas becomes at most a million objects; True of anything else."""
    if type(value).__module__.partition(".")[0] not in ("numpy", "pandas"):
        return True
    # SECURITY: an array of no bytes may have 2**31 empty rows, an index of a few bytes 2**27 numbers.
    shape: tuple[int, ...] = getattr(value, "shape", ())
    return math.prod(max(axis, 1) for axis in shape) <= MOST_ITEMS


_PLAIN = frozenset({int, float, bool, str, bytes, type(None)})


def _with_drained_items(
    value: list[object] | tuple[object, ...] | dict[object, object], depth: int
) -> object:
    """Return the container, or a copy where an item was an iterator. Exact builtin types: nothing of the guest's is called."""
    items = list(value.values()) if isinstance(value, dict) else value
    if _PLAIN.issuperset(map(type, items)):
        return value
    given = [drained(item, depth) for item in items]
    if all(new is old for new, old in zip(given, items, strict=True)):
        return value
    if isinstance(value, dict):
        return dict(zip(value, given, strict=True))
    return given if isinstance(value, list) else tuple(given)
