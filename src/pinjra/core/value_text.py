"""Any value -> its repr, or the beginning of it; the text takes no longer to make than a few million characters do.

A repr has no bound of its own: numpy writes an array of 24 axes out whole, however many items that are; a number takes the
square of its digits; texts of control characters become four times as long. So what a repr costs is counted first, at C speed
where items are alike, and of what costs more than there is room for only the beginning is written.

What does not work: cutting the repr when it is there; `reprlib`, which sorts sets and dicts and asks numpy for all of it.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sized
from decimal import Decimal
from fractions import Fraction
from typing import Protocol, cast

from pinjra.core.safe_text import cut_middle
from pinjra.core.values import Opaque, Record

MOST = 1 << 21  # characters, or what takes as long: some 20 nanoseconds
_LONGEST = 200_000  # characters of a value's text; a prompt gets far less
LONGEST_NUMBER_BITS = 10_000  # an integer of more bits has more digits than Python turns into text

_ITEM = 4  # quotes, comma and blank
_LEAF = 50  # a date, a path, a name
_FLOAT = 20
_ARRAY_ITEM = 300  # numpy formats in Python
# Items from which numpy leaves out the middle of an axis of more than six.
_ARRAY_WHOLE, _ARRAY_EDGE = 1000, 6
_TABLE = 50_000
_ROWS, _COLUMNS = 60, 20  # at either end: at least what pandas shows of a table
_LEVELS = 8  # of containers of which a beginning is written
_CONSTANT = frozenset({bool, type(None), float})
SHAPES: Mapping[type, str] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}", dict: "{}"}


def text_of(value: object, room: Room | None = None) -> str:
    """Return the repr of a value, cut where it is very long; never raises, whatever its class does.

    Args:
        room: What several texts may cost together.
    """
    if type(value) is int and value.bit_length() > LONGEST_NUMBER_BITS:
        return hex(value)  # Python refuses more than 4,300 decimal digits, because they cost quadratic time
    try:
        return encodable((room or Room(MOST)).written(value))
    except Exception as error:  # a class's own __repr__ may do anything
        return f"<{type(value).__name__}: its repr raised {type(error).__name__}>"


def describe_value(value: object, room: Room | None = None) -> str:
    """Return a value as a person or a model should read it: a text as it is; never raises."""
    room = room or Room(MOST)
    if isinstance(value, str):
        return cut_middle(encodable(value), _LONGEST)
    if isinstance(value, Record):
        return f"{value.type}({', '.join(f'{k}={describe_value(v, room)}' for k, v in value.fields.items())})"
    return cut_middle(text_of(value, room), _LONGEST)


def encodable(text: str) -> str:
    """Return text that UTF-8 can hold: half characters (lone surrogates) are written as Python writes them, `\\ud800`."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text


class _Dtype(Protocol):
    itemsize: int
    kind: str


class _Array(Protocol):
    size: int
    shape: tuple[int, ...]
    dtype: _Dtype

    def take(self, places: list[int], axis: int, /) -> _Array: ...
    def reshape(self, shape: int, /) -> _Array: ...
    def tolist(self) -> list[object]: ...


class _Column(Protocol):
    dtype: object
    name: object

    def __getitem__(self, rows: slice, /) -> Iterable[object]: ...


class _Places(Protocol):
    def __getitem__(self, place: tuple[slice, int], /) -> _Column: ...


class _Frame(Protocol):
    shape: tuple[int, int]
    columns: _Column
    iloc: _Places


class _Full(Exception):
    """A repr costs more than there is room for."""


class Room:
    """What texts may cost together."""

    def __init__(self, most: int) -> None:
        self._left = most

    def holds(self, value: object) -> bool:
        """Charge for the repr of a value; return whether there was room for it."""
        try:
            self._take(value)
        except _Full:
            return False
        return True

    def written(self, value: object, levels: int = _LEVELS) -> str:
        """Return the repr of a value, or of its beginning where there is no room for more."""
        before = self._left
        try:
            self._take(value)
        except _Full:
            self._left = before
            return self._beginning(value, levels)
        return repr(value)

    def _beginning(self, value: object, levels: int) -> str:
        if type(value) is str or type(value) is bytes:
            shown, self._left = repr(value[: self._left]), 0
            # SECURITY: the mark stands at the cut itself, where whoever masks looks for the piece of a secret.
            return f"{shown[:-1]}…{shown[-1]} ({len(value)} in all)"
        if type(value) is Record and levels:
            return f"{value.type}({self.written(value.fields, levels - 1)})"
        shape = SHAPES.get(type(value))
        if shape is None or not levels:
            size = getattr(value, "shape", None) or (len(value) if isinstance(value, Sized) else "")
            return f"<{type(value).__name__}{f' of {size}' if size else ''}: too large to be shown>"
        parts = []
        items = cast("Collection[object]", value)
        for item in items:
            if self._left <= 0:
                break
            self._left -= _ITEM
            shown = self.written(item, levels - 1)
            if type(value) is dict:
                shown += f": {self.written(value[item], levels - 1)}"
            parts.append(shown)
        left = f", … ({len(items)} in all)" if len(items) > len(parts) else ""
        return f"{shape[0]}{', '.join(parts)}{left}{shape[1]}"

    def _spend(self, cost: int) -> None:
        self._left -= cost
        if self._left < 0:
            raise _Full

    def _take(self, value: object) -> None:
        """Charge for the repr of a value."""
        for classes, price in _PRICES:
            if isinstance(value, classes):
                price(self, value)
                return
        library = type(value).__module__.partition(".")[0]
        if library in ("numpy", "pandas") and hasattr(value, "shape"):
            take: Callable[..., None] = _take_array if library == "numpy" else _take_table
            take(self, value)
        else:
            self._spend(_LEAF)

    def _take_all(self, items: Collection[object]) -> None:
        self._spend(_ITEM * len(items))  # before all of them are looked at
        kinds = set(map(type, items))
        if kinds <= _CONSTANT:
            self._spend(_FLOAT * len(items))
        elif kinds in ({str}, {bytes}):
            self._spend(sum(map(len, cast("Collection[str]", items))))
        elif kinds == {int} and (bits := _most_bits(items)) <= 64:
            self._spend(len(items) * _digits(bits))
        else:
            for item in items:
                self._take(item)


def _most_bits(numbers: Collection[object]) -> int:
    return max(map(int.bit_length, cast("Collection[int]", numbers)))


def _digits(bits: int) -> int:
    return bits // 3 + bits * bits // 20_000


def _take_number(room: Room, *parts: int) -> None:
    for part in parts:
        room._spend(_digits(min(part.bit_length(), 2 * LONGEST_NUMBER_BITS)))  # beyond, Python raises at once


def _take_mapping(room: Room, value: dict[object, object]) -> None:
    room._take_all(value.keys())
    for _time in range(20 if isinstance(value, Counter) else 1):  # it is sorted to be shown
        room._take_all(value.values())


def _take_array(room: Room, value: _Array) -> None:
    is_whole = value.size <= _ARRAY_WHOLE
    shown = value.size if is_whole else math.prod(min(axis, _ARRAY_EDGE) for axis in value.shape)
    room._spend(shown * (_ARRAY_ITEM + 4 * value.dtype.itemsize))
    if value.dtype.kind == "O":
        for axis, length in enumerate(value.shape):
            if not is_whole and length > _ARRAY_EDGE:
                value = value.take([0, 1, 2, -3, -2, -1], axis)
        room._take_all(value.reshape(-1).tolist())


def _take_table(room: Room, value: object) -> None:
    room._spend(_TABLE)
    for cell in _shown_cells(value):
        room._spend(_ITEM)
        room._take(cell)


def _shown_cells(table: object) -> Iterator[object]:
    """Yield at least those objects that pandas shows of a table; numbers and times cost little."""
    parts = [cast("_Column", table)]
    if hasattr(type(table), "columns"):  # not of a column that has a row of this name
        frame = cast("_Frame", table)
        count = frame.shape[1]
        shown = sorted({*range(min(_COLUMNS, count)), *range(max(0, count - _COLUMNS), count)})
        parts = [frame.columns, *(frame.iloc[:, at] for at in shown)]
    index: _Column | None = getattr(table, "index", None)
    for part in [*parts, *([] if index is None else [index])]:
        yield from getattr(part, "names", ()) if hasattr(type(part), "names") else (part.name,)
        kinds: _Column | None = getattr(part.dtype, "categories", None)
        holds_objects = part.dtype == object or str(part.dtype) in ("category", "string", "str")
        for each in (part if holds_objects else None, kinds):
            if each is not None:
                rows: _Column = getattr(each, "iloc", each)
                yield from rows[:_ROWS]
                yield from rows[-_ROWS:]


_PRICES: tuple[tuple[type | tuple[type, ...], Callable[..., None]], ...] = (
    ((bool, float, complex, type(None)), lambda room, _value: room._spend(_FLOAT)),
    (int, _take_number),
    ((str, bytes, bytearray), lambda room, value: room._spend(len(value) + _ITEM)),
    (dict, _take_mapping),
    ((list, tuple, set, frozenset, deque), Room._take_all),
    (Record, lambda room, value: room._take_all(value.fields.values())),
    (Opaque, lambda room, value: room._spend(len(value.repr) + _LEAF)),
    (BaseException, lambda room, value: room._take_all(value.args)),
    (range, lambda room, value: _take_number(room, value.start, value.stop, value.step)),
    (Fraction, lambda room, value: _take_number(room, value.numerator, value.denominator)),
    (Decimal, lambda room, _value: room._spend(10_000)),
)
