"""Values <-> (JSON trees, blobs). Pure data both ways; nothing is ever called, imported or built by a name in the data.

Theory: tags are out of band. In a tree an array is always `[tag, …]` and an object is always a dict with string keys, so no
dict, list or string of a guest can be taken for a tag; scalars stand for themselves.

Encoding meets hostile objects (in the guest, and for the in-process executor in the host). It looks at `type(x)` by
identity only, never at `x.__class__`, never hashes or compares classes (a metaclass could answer), and reads
subclasses of builtin types through the builtin type's own methods. What it does not know, and what a handler raises for,
becomes `Opaque`.

Decoding trusts nothing: counts, depth and sizes were bounded by the frames, a blob may be used once, a hash table is
checked for crafted collisions (then it is told as `Opaque`), and any error of a constructor is a `ProtocolViolation`.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cache
from types import GetSetDescriptorType, ModuleType
from typing import TypeVar

from pinjra.core.errors import ProtocolViolation
from pinjra.core.values import Opaque, Record, hash_of
from pinjra.wire import frames
from pinjra.wire.frames import DICT_WEIGHT, ITEM_WEIGHT, LIST_WEIGHT, MEMORY_FACTOR, TEXT_WEIGHT, refuse
from pinjra.wire.messages import Value

INLINE_CHARS = 4096  # longer strings travel as blobs: a tree's line stays short
INLINE_BYTES = 256
REPR_CHARS = 10_000
VALUE_BYTES = 64 << 20  # of a value: text and bytes, as they are on the way
DEPTH = 50  # of a tree; containers below become `Opaque`. The frame around it needs ten of JSON's 64
# What a message costs its reader beyond bytes, items and depth, in microseconds of a slow machine.
WORK = 2_000_000
TAGGED = 1.0  # any value that is not a plain one
COLUMN = 240.0  # of a table: so 8,000 in a message
PAIR = 6.0  # of equal hashes: one comparison, as long as a message allows where there are many
PIXEL = 0.03  # when it is used; with its memory in mind

EncodeHandler = Callable[..., Value]  # (encoder, value, depth)
DecodeHandler = Callable[["Decoder", list[Value], int], object]
T = TypeVar("T")
BaseTest = tuple[Callable[[type], bool], EncodeHandler]


class EncodeError(ValueError):
    """A value is larger than the limits allow (the fault of whoever made it)."""


def type_name(cls: type) -> str:
    """Return the class's own name without asking its metaclass."""
    name: object = _TYPE_NAME(cls)
    return name[:200] if type(name) is str else "object"


TYPE: Mapping[str, GetSetDescriptorType] = type.__dict__  # type: ignore[assignment]
_TYPE_NAME: Callable[[type], object] = TYPE["__name__"].__get__
mro: Callable[[type], tuple[type, ...]] = TYPE["__mro__"].__get__


def inherits(cls: type, base: object) -> bool:
    """Return whether `base` is the class or one of its ancestors, without asking either."""
    return any(parent is base for parent in mro(cls))


def plain_opaque(value: object) -> Opaque:
    """Return what stands for a value, without a look into it."""
    name = type_name(type(value))
    return Opaque(name, f"<{name} object>")


class StandIn(Exception):
    """A value cannot be made here; its argument is the `Opaque` in its place."""


class _Budget:
    """What one message may cost its reader beyond bytes, items and depth. Both sides charge the same."""

    left: float = WORK
    fault: type[ValueError] | type[ProtocolViolation] = ProtocolViolation

    def affords(self, microseconds: float) -> bool:
        """Charge so much where the budget holds it; return whether it does."""
        is_held = microseconds <= self.left
        self.left -= microseconds if is_held else 0.0
        return is_held

    def work(self, what: str, microseconds: float) -> None:
        """Charge for what costs more than its bytes tell, before it is done; raise `fault` when the budget is used up."""
        self.left -= microseconds
        if self.left < 0:
            raise self.fault(f"{what}: more than one message may cost its reader; return less, or a file")


class Encoder(_Budget):
    """Collects the values of one message: `add` returns each one's tree, `blobs` are the bytes beside them.

    Args:
        value_bytes: What they may have together; the reader's objects may take `MEMORY_FACTOR` times as much. None: the wire's
            own limit.
        opaque: Returns what stands for a value that cannot cross; the place to make a safe repr and to keep a handle.
        number: Keeps an object that crosses as a record; returns the handle by which it is that object when it comes back.
    """

    fault = EncodeError

    def __init__(
        self,
        value_bytes: int | None = VALUE_BYTES,
        opaque: Callable[[object], Opaque] = plain_opaque,
        number: Callable[[object], int] | None = None,
    ) -> None:
        self._most = math.inf if value_bytes is None else value_bytes
        self._opaque = opaque
        self._number = number
        self._weight = 0
        self._bytes = 0
        self._active: set[int] = set()
        self._blobs: list[bytes] = []

    @property
    def blobs(self) -> tuple[bytes, ...]:
        """The blobs that the trees so far refer to, by position."""
        return tuple(self._blobs)

    def add(self, value: object, depth: int = 0) -> Value:
        """Return the tree of `value`.

        Raises:
            EncodeError: It is beyond the limits.
        """
        # SECURITY: by identity of the exact type; a lookup by the type itself would call its metaclass' __hash__.
        handler = ENCODERS.get(id(type(value)))
        try:
            if handler is None:
                handler = self._inherited(type(value))
            tree: Value = handler(self, value, depth)
        except (EncodeError, MemoryError, RecursionError):
            raise
        except Exception:  # empty, closed or half made: classes of libraries raise what they like
            tree = self.opaque(value)
        if type(tree) is list:
            self.work("values with a tag", TAGGED)
            self._weigh(LIST_WEIGHT + ITEM_WEIGHT * len(tree))
        elif type(tree) is dict:
            self._weigh(DICT_WEIGHT + (ITEM_WEIGHT + TEXT_WEIGHT) * len(tree))
        elif type(tree) is str:
            self._weigh(TEXT_WEIGHT)
        return tree

    def _weigh(self, memory_bytes: int) -> None:
        """Charge for what the reader's objects take."""
        self._weight += memory_bytes
        if self._weight > MEMORY_FACTOR * self._most:
            much = f"{MEMORY_FACTOR} times {self._most} bytes"
            raise EncodeError(f"a value that takes {much} to read; return less, an array or a file")

    def spend(self, size: int) -> None:
        """Charge for bytes on the way."""
        self._bytes += size
        if self._bytes > self._most:
            raise EncodeError(f"a value of more than {self._most} bytes; return less, or a file")

    def blob(self, data: bytes) -> int:
        """Keep `data` beside the tree and return its position."""
        self.spend(len(data))
        self._blobs.append(data)
        return len(self._blobs) - 1

    def sequence(self, tag: str, value: object, items: Sequence[object], depth: int) -> Value:
        """Return the tree of a container that holds `items`."""
        if depth >= DEPTH or id(value) in self._active:
            return self.opaque(value, depth)
        self.spend(8 * len(items))
        self._weigh(ITEM_WEIGHT * len(items))  # before anything as long is made
        self._weight -= ITEM_WEIGHT * len(items)
        plain = _plain_items(items)
        if plain is not None:
            self.spend(plain)
            self._weigh(TEXT_WEIGHT * len(items) if items and type(items[0]) is str else 0)
            return [tag, *items]  # type: ignore[list-item]
        self._active.add(id(value))
        try:
            add, below = self.add, depth + 1
            return [tag, *[add(item, below) for item in items]]
        finally:
            self._active.discard(id(value))

    def mapping(self, value: object, pairs: list[tuple[object, object]], depth: int) -> Value:
        """Return the tree of a dict with these items."""
        if depth >= DEPTH or id(value) in self._active:
            return self.opaque(value, depth)
        keys = [key for key, _ in pairs if type(key) is str and len(key) <= INLINE_CHARS]
        if len(keys) != len(pairs):
            return self.sequence("d", value, [part for pair in pairs for part in pair], depth)
        self.spend(sum(map(len, keys)))
        self._active.add(id(value))
        try:
            add, below = self.add, depth + 1
            return {key: add(item, below) for key, item in pairs}  # type: ignore[misc]
        finally:
            self._active.discard(id(value))

    def record(self, value: object, pairs: list[tuple[object, object]], depth: int) -> Value:
        """Return the tree of an object with named fields."""
        fields = self.mapping(value, pairs, depth + 1)
        return ["R", type_name(type(value)), fields, *([] if self._number is None else [self._number(value)])]

    def opaque(self, value: object, _depth: int = 0) -> Value:
        """Return the tree of the `Opaque` that stands for `value`."""
        return encode_opaque(self, self._opaque(value), 0)

    def _inherited(self, cls: type) -> EncodeHandler:
        """Return the handler of the nearest known base class of an unknown class."""
        for name, learn in LEARNERS.items():
            module = loaded(name)
            if module is not None and module not in _LEARNED:
                _LEARNED.append(module)
                learn()
        fitting = (handler for is_it, handler in BASE_TESTS if is_it(cls))
        return ENCODERS.get(id(cls)) or next(fitting, Encoder.opaque)


class Decoder(_Budget):
    """Turns trees of one message into values.

    Args:
        blobs: The message's blobs.
        resolve: Returns what stands for an `Opaque` (its owner gives the object back); as it is, without.
    """

    def __init__(
        self, blobs: Sequence[bytes] = (), resolve: Callable[[Opaque], object] | None = None
    ) -> None:
        self._blobs: list[bytes | None] = list(blobs)
        self.resolve = resolve
        self._shown_keys = 0

    def take(self, tree: Value) -> object:
        """Return the value of `tree`.

        Raises:
            ProtocolViolation: It is no tree of this codec (the worker's fault).
        """
        try:
            return self.value(tree, 0)
        except ProtocolViolation:
            raise
        except (Exception, RecursionError) as error:  # constructors of other libraries raise what they like
            refuse(f"not a value ({type(error).__name__})", tree)

    def value(self, tree: Value, depth: int) -> object:
        """Return the value of a tree inside another."""
        if type(tree) is list:
            if depth > frames.DEPTH or not tree or type(tree[0]) is not str:
                refuse("not a tagged value", tree)
            handler = DECODERS.get(tree[0])
            if handler is None:
                refuse("unknown tag", tree[0])
            self.work("values with a tag", TAGGED)
            try:
                return handler(self, tree, depth + 1)
            except StandIn as error:
                found: object = error.args[0]
                return found
        if type(tree) is dict:
            if depth > frames.DEPTH:
                refuse("a value nested too deep")
            return {key: self.value(item, depth + 1) for key, item in tree.items()}
        return tree

    def expect(self, kind: type[T], tree: Value, depth: int) -> T:
        """Return the value of a tree that must be exactly of this type; `StandIn` where something stands for it."""
        value = self.value(tree, depth)
        if type(value) is Opaque:
            raise StandIn(value)
        return value if type(value) is kind else refuse(f"not a {kind.__name__}", tree)

    def hashables(self, items: list[object]) -> list[object]:
        """Return `items` when they may go into one hash table; `StandIn` where they collide by design."""
        # SECURITY: number hashes are not seeded; n keys with one hash cost n² comparisons (CPython's set and dict).
        try:
            microseconds = collisions(items)
        except TypeError:  # a class of the guest's may give a list a hash: its text stands for it
            return self.hashables([self._key_for(each) for each in items])
        if not self.affords(microseconds):
            raise StandIn(Opaque("set or dict", "its keys are too alike to be compared: many have one hash"))
        return items

    def _key_for(self, value: object) -> object:
        """Return a value, or its text where it has no hash."""
        if hash_of(value) is not None:
            return value
        self._shown_keys += 1
        # SECURITY: only what is short is shown: the repr of an array takes milliseconds. The number keeps the others apart.
        shown = f"value {self._shown_keys}"
        if comparing(value) < _LARGE:
            with suppress(ValueError):  # of a number with more digits than Python shows
                shown = repr(value)[:200]
        return Opaque(type(value).__name__, shown)

    def values(self, tree: list[Value], depth: int) -> list[object]:
        """Return the values after the tag."""
        items = tree[1:]
        kinds = set(map(type, items))
        if list not in kinds and dict not in kinds:
            return items  # type: ignore[return-value]
        return [self.value(item, depth) for item in items]

    def blob(self, position: Value) -> bytes:
        """Return a blob; each may be used once, so that a small message cannot become a large one."""
        at = whole(position, 0, len(self._blobs) - 1)
        data = self._blobs[at]
        if data is None:
            refuse("a blob used twice", position)
        self._blobs[at] = None
        return data


# ---------------------------------------------------------------- tables, filled by `codec`

ENCODERS: dict[int, EncodeHandler] = {}
DECODERS: dict[str, DecodeHandler] = {}
BASE_TESTS: list[BaseTest] = []  # of classes known by their looks or their ancestors; the first that fits
# By name of a library: adds its types to ENCODERS, once it is imported.
LEARNERS: dict[str, Callable[[], None]] = {}
_LEARNED: list[ModuleType] = []


def register(types: Iterable[type], handler: EncodeHandler) -> None:
    """Encode exactly these types with `handler`. They must live as long as the process: the key is their identity."""
    for cls in types:
        ENCODERS[id(cls)] = handler
        _ALIVE.append(cls)


_ALIVE: list[type] = []


def loaded(name: str) -> ModuleType | None:
    """Return a module when it is imported already, else None; never imports (import runs code)."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    return None if getattr(spec, "_initializing", False) else module


class Late:
    """A library in whose place this stands is imported when something of it is wanted."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> object:
        found: object = getattr(importlib.import_module(self._name), name)
        vars(self)[name] = found  # found at once from then on
        return found


@cache
def _is_installed(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def needing(name: str, handler: DecodeHandler, instead: DecodeHandler) -> DecodeHandler:
    """Return `handler` where a library is installed, else what gives something in the value's place."""

    def take(decoder: Decoder, tree: list[Value], depth: int) -> object:
        if not _is_installed(name):
            return instead(decoder, tree, depth)
        try:
            return handler(decoder, tree, depth)
        except (ProtocolViolation, StandIn):
            raise
        # It takes less than its like in the box, or what stands for it; of its own classes of exceptions.
        except Exception as error:
            return Opaque(name, f"cannot be made here: {error}"[:500])

    return take


# ---------------------------------------------------------------- shared by the handlers


def collisions(items: Sequence[object]) -> float:
    """Return the microseconds of comparing items of one hash table with equal hashes; `TypeError` where one has no hash."""
    hashes = list(map(hash, items))
    if len(hashes) == len(set(hashes)):
        return 0.0
    others = Counter(hashes)
    # SECURITY: by what is compared too: a pair of long tuples, or of large numbers of two kinds, takes milliseconds.
    pairs = zip(items, hashes)  # noqa: B905 (Python 3.10; the lengths are equal)
    return sum((others[each] - 1) * (PAIR + comparing(value)) for value, each in pairs if others[each] > 1)


def comparing(value: object) -> float:
    """Return the microseconds that it may take to compare a value with another of the same hash, whatever that is."""
    if hasattr(type(value), "T"):  # of numpy or pandas; a table, or an array of objects, holds anything
        is_plain = not getattr(getattr(value, "dtype", None), "hasobject", True)
        return _LARGE + _BYTE * value.nbytes if is_plain else math.inf  # type: ignore[attr-defined]
    if isinstance(value, (Record, dict)):
        value = tuple((value.fields if isinstance(value, Record) else value).values())
    if isinstance(value, (tuple, list, frozenset, set, deque)):
        return _ITEM * len(value) + _comparing_all(value)
    if type(value) is range:
        return _comparing_int(max(map(int.bit_length, (value.start, value.stop, value.step))))
    if isinstance(value, (str, bytes)):
        return len(value) * _BYTE
    if type(value) is int:
        return _comparing_int(value.bit_length())
    if type(value) is Fraction:  # a Decimal is multiplied by the one part and compared with the other
        return _LARGE + comparing((value.numerator, value.denominator))
    return 0.0 if type(value) in _SIMPLE else _LARGE


def _comparing_all(values: Collection[object]) -> float:
    kinds = set(map(type, values))
    if kinds == {int}:  # at C speed
        return len(values) * _comparing_int(max(map(int.bit_length, values)))  # type: ignore[arg-type]
    return 0.0 if kinds <= _SIMPLE else sum(map(comparing, values))


def _comparing_int(bits: int) -> float:
    return (bits / 800) ** 2  # with a Decimal, as which it takes the square of its length


_SIMPLE = {bool, float, complex, type(None)}
_ITEM, _BYTE = 0.05, 0.0025  # microseconds; a byte with a dtype of numpy, which tries to read it
_LARGE = 200.0


def _plain_items(items: Sequence[object]) -> int | None:
    """Return the bytes of items that all stand for themselves, found at C speed; None when one of them does not."""
    kinds = set(map(id, map(type, items)))
    if not kinds - _CONSTANTS:
        return 0
    if kinds == _STR_ONLY:
        lengths = list(map(len, items))  # type: ignore[arg-type]
        return sum(lengths) if max(lengths) <= INLINE_CHARS else None
    if kinds == _INT_ONLY:
        return 0 if min(items) >= -(1 << 63) and max(items) < 1 << 63 else None  # type: ignore[type-var, operator]
    if kinds == _FLOAT_ONLY:
        return 0 if all(map(math.isfinite, items)) else None  # type: ignore[arg-type]
    return None


_CONSTANTS = {id(type(None)), id(bool)}
_STR_ONLY, _INT_ONLY, _FLOAT_ONLY = ({id(cls)} for cls in (str, int, float))


def encode_opaque(encoder: Encoder, value: Opaque, _depth: int) -> Value:
    """Return the tree of what stands for a value."""
    name, text, handle = value.type, value.repr, value.handle
    encoder.spend(REPR_CHARS if type(text) is not str else min(len(text), REPR_CHARS))
    return [
        "o",
        name[:200] if type(name) is str else "object",
        text[:REPR_CHARS] if type(text) is str else "",
        handle if type(handle) is int and 0 <= handle < 1 << 53 else 0,
        *([encoder.sequence("l", value.methods, value.methods, 0)] if value.methods else []),
    ]


def whole(value: object, low: int, high: int) -> int:
    """Return `value` when it is an int between the bounds, which are in; otherwise refuse it."""
    if type(value) is not int or not low <= value <= high:
        refuse(f"not a whole number from {low} to {high}", value)
    return value


def text(value: object, most: int = REPR_CHARS) -> str:
    """Return `value` when it is a string of at most so many characters; otherwise refuse it."""
    if type(value) is not str or len(value) > most:
        refuse(f"not a text of at most {most} characters", value)
    return value
