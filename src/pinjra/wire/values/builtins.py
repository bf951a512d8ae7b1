"""Builtin values <-> trees."""

from __future__ import annotations

import binascii
import builtins
import math
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping

from pinjra.core.values import ForeignException, Iterated, NamedItems, Opaque, Record
from pinjra.wire.frames import refuse
from pinjra.wire.messages import Value
from pinjra.wire.values import coding
from pinjra.wire.values.coding import Decoder, EncodeHandler, Encoder, encode_opaque, text, whole

INT_BITS = 1 << 20  # 315,000 decimal digits; int() of so much hexadecimal takes a millisecond


def _itself(encoder: Encoder, value: Value, _depth: int) -> Value:
    encoder.spend(0)
    return value


def _int(encoder: Encoder, value: int, depth: int) -> Value:
    if -(1 << 63) <= value < 1 << 63:
        return _itself(encoder, value, depth)
    if value.bit_length() > INT_BITS:
        return encode_opaque(encoder, Opaque("int", f"<an int of {value.bit_length()} bits>"), depth)
    encoder.spend(value.bit_length() // 4)
    return ["i", f"{value:x}"]


def _float(encoder: Encoder, value: float, _depth: int) -> Value:
    encoder.spend(8)
    if math.isfinite(value):
        return value
    return ["F", repr(value)]


def _complex(encoder: Encoder, value: complex, depth: int) -> Value:
    return ["c", _float(encoder, value.real, depth), _float(encoder, value.imag, depth)]


def _str(encoder: Encoder, value: str, _depth: int) -> Value:
    if len(value) > coding.INLINE_CHARS:
        return ["S", encoder.blob(value.encode("utf-8", "surrogatepass"))]
    encoder.spend(len(value))
    return value


def _bytes(encoder: Encoder, value: bytes, _depth: int) -> Value:
    if len(value) > coding.INLINE_BYTES:
        return ["B", encoder.blob(value)]
    encoder.spend(len(value))
    return ["y", binascii.b2a_base64(value, newline=False).decode()]


def _record(encoder: Encoder, value: Record, depth: int) -> Value:
    if type(value.type) is not str or type(value.fields) is not dict:
        return encoder.opaque(value)
    fields = encoder.mapping(value, list(value.fields.items()), depth + 1)
    return ["R", value.type[:200], fields, value.handle if type(value.handle) is int else 0]


def _named_items(encoder: Encoder, value: NamedItems, depth: int) -> Value:
    kind, fields = value.__dict__.get("_type"), value.__dict__.get("_fields")
    if type(kind) is not str or type(fields) is not tuple:
        return encoder.opaque(value)
    return encode_named(encoder, kind, fields, value, depth)


def encode_named(
    encoder: Encoder, kind: str, fields: tuple[object, ...], value: tuple[object, ...], depth: int
) -> Value:
    """Return the tree of a tuple whose items have names."""
    items = tuple.__getitem__(value, _ALL)
    if len(fields) != len(items) or not all(type(name) is str and name.isidentifier() for name in fields):
        return encoder.sequence("t", value, items, depth)
    names = encoder.sequence("l", fields, fields, depth + 1)
    return ["N", kind[:200], names, encoder.sequence("t", value, items, depth + 1)]


_EXCEPTIONS: Mapping[str, type[Exception]] = {
    name: cls
    for name, cls in vars(builtins).items()
    if isinstance(cls, type) and issubclass(cls, Exception) and not issubclass(cls, UnicodeError)
}
_ARGS = BaseException.__dict__["args"].__get__


def _exception(encoder: Encoder, value: BaseException, depth: int) -> Value:
    kind: object = value.type if type(value) is ForeignException else None
    name = kind[:200] if type(kind) is str else coding.type_name(type(value))
    return ["X", name, encoder.sequence("t", value, _ARGS(value), depth + 1)]


def _iterator(encoder: Encoder, value: object, depth: int) -> Value:
    """Return the tree of what an iterator of a builtin container has left; it stays as it is."""
    copied: tuple[object, ...] = value.__reduce__()  # type: ignore[assignment]  # one of `_ITERATORS`: no text
    arguments, state = copied[1], copied[2:]
    inner: object = arguments[0] if type(arguments) is tuple else None
    start = state[0] if state and type(state[0]) is int else 0
    for kind, part in _PARTS.items():
        if isinstance(inner, kind):
            return encoder.sequence("l", value, list(part(inner, slice(start, None))), depth)
    return encoder.opaque(value)


_PARTS: Mapping[type, Callable[..., Iterable[object]]] = {
    cls: vars(cls)["__getitem__"] for cls in (list, tuple, str, range)
}
_CONTAINERS: tuple[Iterable[object], ...] = (
    [], (), "", "\u0100", range(0), range(1 << 70), {}, {}.values(), {}.items(), set(),
)  # fmt: skip
_ITERATORS = tuple(type(iter(each)) for each in _CONTAINERS)
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))


_FACTORIES: Mapping[str, type] = {cls.__name__: cls for cls in (list, dict, set, int, float, str, tuple)}
_LONGEST = 1 << 40  # of a deque that says how long it may be


def _defaultdict(encoder: Encoder, value: defaultdict[object, object], depth: int) -> Value:
    """Return the tree of a dict with defaults; a factory of the guest's own is its code and stays behind."""
    factory = value.default_factory
    name = next((name for name, cls in _FACTORIES.items() if cls is factory), "")
    return ["K", "defaultdict", encoder.mapping(value, list(dict.items(value)), depth + 1), name]


def _deque(encoder: Encoder, value: deque[object], depth: int) -> Value:
    most = value.maxlen if value.maxlen is not None and value.maxlen <= _LONGEST else None
    return ["K", "deque", encoder.sequence("l", value, list(value), depth + 1), most]


def _range_parts(side: Encoder | Decoder, parts: Iterable[object], tree: object) -> list[int]:
    """Return a range's three numbers, and charge for the range."""
    found = [part if type(part) is int else refuse("not a range", tree) for part in parts]
    # SECURITY: a range knows its length from the start, by a division that takes the square of its numbers' length.
    side.work("ranges", (max(map(int.bit_length, found), default=0) / 2000) ** 2)
    return found


def _range(encoder: Encoder, value: range, depth: int) -> Value:
    parts = _range_parts(encoder, (value.start, value.stop, value.step), None)
    return ["r", *[_int(encoder, part, depth) for part in parts]]


_ALL = slice(None)

# SECURITY: base classes' own methods, so that nothing that a subclass defines is called.
INHERIT: list[tuple[type, EncodeHandler]] = [
    (OrderedDict, lambda e, v, d: e.mapping(v, list(OrderedDict.items(v)), d)),  # a dict's order is not its
    (dict, lambda e, v, d: e.mapping(v, list(dict.items(v)), d)),
    (list, lambda e, v, d: e.sequence("l", v, list.__getitem__(v, _ALL), d)),
    (tuple, lambda e, v, d: e.sequence("t", v, tuple.__getitem__(v, _ALL), d)),
    (set, lambda e, v, d: e.sequence("s", v, list(set.__iter__(v)), d)),
    (frozenset, lambda e, v, d: e.sequence("f", v, list(frozenset.__iter__(v)), d)),
    (str, lambda e, v, d: _str(e, str.__str__(v), d)),
    (int, lambda e, v, d: _int(e, int.__int__(v), d)),
    (float, lambda e, v, d: _float(e, float.__float__(v), d)),
    (complex, lambda e, v, d: _complex(e, complex.__pos__(v), d)),
    (bytes, lambda e, v, d: _bytes(e, bytes.__getitem__(v, _ALL), d)),
    (bytearray, lambda e, v, d: ["A", _bytes(e, bytes(bytearray.__getitem__(v, _ALL)), d)]),
    (BaseException, _exception),
]

ENCODE: Mapping[type, EncodeHandler] = {
    **dict(INHERIT),
    type(None): _itself,
    bool: _itself,
    int: _int,
    float: _float,
    str: _str,
    bytes: _bytes,
    Opaque: encode_opaque,
    Record: _record,
    NamedItems: _named_items,
    Iterated: lambda e, v, d: ["I", e.sequence("l", v, v.items, d + 1)],
    **dict.fromkeys(_EXCEPTIONS.values(), _exception),
    **dict.fromkeys(_ITERATORS, _iterator),
    range: _range,
    Counter: lambda e, v, d: ["K", "Counter", e.mapping(v, list(dict.items(v)), d + 1), None],
    OrderedDict: lambda e, v, d: ["K", "OrderedDict", e.mapping(v, list(OrderedDict.items(v)), d + 1), None],
    defaultdict: _defaultdict,
    deque: _deque,
    **dict.fromkeys(_VIEWS, lambda e, v, d: e.sequence("l", v, list(v), d)),
}


def _take_dict(decoder: Decoder, tree: list[Value], depth: int) -> object:
    parts = decoder.values(tree, depth)
    if len(parts) % 2:
        refuse("a key without a value")
    return dict(zip(decoder.hashables(parts[::2]), parts[1::2], strict=True))


def _take_float(_decoder: Decoder, tree: list[Value], _depth: int) -> object:
    name = text(tree[1], 4)
    # Each NaN is an object of its own, as it was: a set holds many, whose hashes differ.
    return float(name) if name in ("nan", "inf", "-inf") else refuse("not a number", name)


def _take_opaque(decoder: Decoder, tree: list[Value], _depth: int) -> object:
    _tag, name, shown, handle, *more = tree
    found = decoder.value(more[0], _depth) if more else []
    methods = tuple(text(each, 100) for each in found) if type(found) is list else ()
    value = Opaque(text(name, 200), text(shown), whole(handle, 0, 1 << 53), methods)
    return value if decoder.resolve is None else decoder.resolve(value)


def _take_record(decoder: Decoder, tree: list[Value], depth: int) -> object:
    _tag, name, fields, *handles = tree
    found, kind = decoder.expect(dict, fields, depth), text(name, 200)
    if not all(type(key) is str for key in found):
        refuse("not a record", tree)
    handle = whole(handles[0], 0, 1 << 53) if handles else 0
    if handle and decoder.resolve is not None:
        own = decoder.resolve(Opaque(kind, "", handle))
        if type(own) is not Opaque:  # an object of this side's own comes back
            return own
    return Record(kind, found, handle)


def _take_collection(decoder: Decoder, tree: list[Value], depth: int) -> object:
    _tag, name, inner, extra = tree
    if name == "deque":
        items = decoder.expect(list, inner, depth)
        return deque(items, None if extra is None else whole(extra, len(items), _LONGEST))
    found = decoder.expect(dict, inner, depth)
    if name == "defaultdict":
        return defaultdict(_FACTORIES.get(text(extra, 20)), found)
    if name == "OrderedDict":
        return OrderedDict(found)
    if name != "Counter":
        refuse("not a collection", tree)
    # Not by its constructor, which counts: the values are as they were, numbers or not.
    counted: Counter[object] = Counter()
    dict.update(counted, found)
    return counted


def _take_named_items(decoder: Decoder, tree: list[Value], depth: int) -> object:
    _tag, name, fields, items = tree
    found, names = decoder.expect(tuple, items, depth), decoder.expect(list, fields, depth)
    if len(names) != len(found) or not all(type(each) is str and each.isidentifier() for each in names):
        refuse("not the names of a tuple's items", tree)
    return NamedItems(text(name, 200), names, found)


def _take_exception(decoder: Decoder, tree: list[Value], depth: int) -> object:
    _tag, name, args = tree
    found, kind = decoder.expect(tuple, args, depth), text(name, 200)
    try:
        return _EXCEPTIONS[kind](*found)
    except (KeyError, TypeError, ValueError):  # of a class that is not here, or wants other arguments
        return ForeignException(kind, *found)


DECODE: Mapping[str, coding.DecodeHandler] = {
    "K": _take_collection,
    "l": lambda d, tree, depth: d.values(tree, depth),
    "t": lambda d, tree, depth: tuple(d.values(tree, depth)),
    "s": lambda d, tree, depth: set(d.hashables(d.values(tree, depth))),
    "f": lambda d, tree, depth: frozenset(d.hashables(d.values(tree, depth))),
    "d": _take_dict,
    "i": lambda _d, tree, _depth: int(text(tree[1], INT_BITS // 4 + 2), 16),
    "F": _take_float,
    "c": lambda d, tree, depth: complex(*[d.expect(float, part, depth) for part in tree[1:]]),
    "S": lambda d, tree, _depth: d.blob(tree[1]).decode("utf-8", "surrogatepass"),
    "y": lambda _d, tree, _depth: binascii.a2b_base64(text(tree[1], 2 * coding.INLINE_BYTES)),
    "B": lambda d, tree, _depth: d.blob(tree[1]),
    "A": lambda d, tree, depth: bytearray(d.expect(bytes, tree[1], depth)),
    "r": lambda d, tree, depth: range(*_range_parts(d, d.values(tree, depth), tree)),
    "o": _take_opaque,
    "R": _take_record,
    "N": _take_named_items,
    "X": _take_exception,
    "I": lambda d, tree, depth: iter(d.expect(list, tree[1], depth)),
}
