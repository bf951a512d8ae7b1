"""Values <-> trees: pure data comes back; hostile objects are never called, hostile trees are refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
import subprocess
import sys
from collections import OrderedDict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinjra.core.errors import ProtocolViolation
from pinjra.core.values import Opaque, Record
from pinjra.wire.frames import dump, load
from pinjra.wire.values.codec import Decoder, EncodeError, decode, encode

ZONES = [dt.UTC, dt.timezone(dt.timedelta(hours=-5), "EST"), ZoneInfo("Europe/Berlin"), None]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(st.characters(codec=None), max_size=30),
    st.binary(max_size=600),
    st.datetimes(timezones=st.sampled_from(ZONES)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False).filter(lambda d: -9000 < d.adjusted() < 9000),
    st.fractions(),
    st.uuids(),
    st.sampled_from([Path("a/b"), PurePosixPath("/x"), PureWindowsPath("c:\\y"), range(1, 9, 2), "x" * 5000]),
)
hashable = st.one_of(st.integers(), st.text(max_size=5), st.tuples(st.integers(), st.binary(max_size=3)))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.sets(hashable, max_size=5),
        st.frozensets(hashable, max_size=5),
        st.dictionaries(hashable, inner, max_size=5),
        st.dictionaries(st.text(max_size=5), inner, max_size=5),
    ),
    max_leaves=20,
)


def cross(value: object) -> object:
    tree, blobs = encode(value)
    return decode(load(dump(tree)), blobs)


@given(values)
def test_a_value_comes_back_with_its_types(value: object) -> None:
    found = cross(value)
    assert found == value
    assert shape(found) == shape(value)


def shape(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return (type(value), [shape(v) for v in value])
    if isinstance(value, dict):
        return (dict, [(shape(k), shape(v)) for k, v in value.items()])
    if isinstance(value, (set, frozenset)):
        return (type(value), sorted(map(str, map(shape, value))))
    return type(value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, -0.0, 1e-320])
def test_odd_floats_come_back(value: float) -> None:
    assert str(cross([value])) == str([value])
    assert math.isnan(cross(math.nan))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", [{"l": 1}, ["l", 1], ["o", "x", "y", 0], {"$": "x"}, [["B", 0]], {"": ["R"]}, {1: "d"}]
)
def test_nothing_in_a_value_is_taken_for_a_tag(value: object) -> None:
    assert cross(value) == value


class Colour(enum.IntEnum):
    RED = 3


@dataclasses.dataclass
class Point:
    x: int
    y: object


@dataclasses.dataclass(slots=True)
class Slotted:
    x: int
    y: object


def test_enum_members_and_dataclasses_become_records() -> None:
    assert cross(Colour.RED) == Record("Colour", {"name": "RED", "value": 3})
    assert cross(Point(1, [2])) == Record("Point", {"x": 1, "y": [2]})
    assert cross(Slotted(1, (2,))) == Record("Slotted", {"x": 1, "y": (2,)})
    assert cross(cross(Point(1, 2))) == Record("Point", {"x": 1, "y": 2})


class Trap(type):
    """A metaclass that answers every question with a scream."""

    def _scream(cls, *args: object) -> object:
        raise AssertionError("a method of the guest was called")

    __hash__ = __eq__ = __instancecheck__ = __subclasscheck__ = __call__ = _scream  # type: ignore[assignment]

    def mro(cls) -> list[type]:
        return type.mro(cls)


def trapped(*bases: type) -> type:
    scream = Trap._scream
    names = (
        "len iter getitem contains eq hash repr str int index float bool getattr getattribute format lt reduce "
        "reduce_ex array complex bytes buffer"
    )
    methods = [f"__{name}__" for name in names.split()] + [
        "items",
        "keys",
        "values",
        "encode",
        "name",
        "value",
        "dtype",
    ]
    body: dict[str, object] = dict.fromkeys(methods, scream)
    body["__class__"] = property(scream)
    return type.__new__(Trap, "Evil", bases, body)


def make(base: type, *args: object) -> object:
    return base.__new__(trapped(base), *args)  # type: ignore[call-arg]


def test_no_method_of_a_hostile_object_is_called() -> None:
    items = make(list)
    list.extend(items, [1, "a"])  # type: ignore[arg-type]
    pairs = make(dict)
    dict.update(pairs, {"k": 1})  # type: ignore[arg-type]
    moved = make(OrderedDict)
    for key in "ab":
        OrderedDict.__setitem__(moved, key, 1)  # type: ignore[index]
    OrderedDict.move_to_end(moved, "a")  # type: ignore[arg-type]
    members = make(set)
    set.add(members, 5)  # type: ignore[arg-type]
    hostile = [items, pairs, members, make(tuple, (1, 2)), make(frozenset, [3]), make(str, "s"), make(int, 7)]
    hostile += [make(float, 1.5), make(complex, 2j), make(bytes, b"b"), make(object), moved]
    tree, blobs = encode(hostile)
    plain = [
        [1, "a"],
        {"k": 1},
        {5},
        (1, 2),
        frozenset([3]),
        "s",
        7,
        1.5,
        2j,
        b"b",
        Opaque("Evil", "<Evil object>"),
        {"b": 1, "a": 1},
    ]
    assert decode(tree, blobs) == plain
    assert list(decode(tree, blobs)[-1]) == ["b", "a"]  # type: ignore[index]
    assert shape(decode(tree, blobs)) == shape(plain)


def test_an_instance_dictionary_that_lies_is_not_asked() -> None:
    class Lies(dict):  # type: ignore[type-arg]
        def items(self) -> object:
            raise AssertionError("called")

        __iter__ = get = __getitem__ = items  # type: ignore[assignment]

    point = Point(1, 2)
    point.__dict__ = Lies({"x": 5})
    assert cross(point) == Record("Point", {"x": 5})


def test_cycles_and_depth_end_in_opaque_and_never_in_a_recursion_error() -> None:
    cycle: list[object] = [1]
    cycle.append(cycle)
    assert cross(cycle) == [1, Opaque("list", "<list object>")]
    deep: object = 0
    for _ in range(100_000):
        deep = [deep]
    assert "[[<list object>]]" in str(cross(deep))
    shared = [1]
    assert cross([shared, shared]) == [[1], [1]]


def test_sizes_are_bounded() -> None:
    with pytest.raises(EncodeError, match="takes 5 times 100 bytes to read"):
        encode(list(range(11)), 100)
    with pytest.raises(EncodeError, match="more than 100 bytes"):
        encode(["x" * 60] * 2, 100)
    with pytest.raises(EncodeError, match="more than 100 bytes"):
        encode(np.zeros(100), 100)
    assert cross(1 << (1 << 21)) == Opaque("int", "<an int of 2097153 bits>")


TAGS = "l t s f d i F c S y B A o R r dt tm da td tz D Q U P nd ns im df se ix one range a v".split()  # noqa: SIM905
junk = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from(["<f8", "UTC", "1"]),
    ),
    lambda inner: st.one_of(
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.tuples(
            st.sampled_from(TAGS),
            st.lists(inner, max_size=10),
        ).map(lambda pair: [pair[0], *pair[1]]),
    ),
)


@given(junk, st.lists(st.binary(max_size=20), max_size=2))
def test_any_tree_is_understood_or_refused(tree: object, blobs: list[bytes]) -> None:
    try:
        decode(tree, blobs)  # type: ignore[arg-type]
    except ProtocolViolation:
        return


HOSTILE_TREES = [
    (["nd", "|O", [1], 0], "dtype"),
    (["nd", "<f8", [1 << 40, 1 << 40], 0], "whose shape is"),
    (["nd", "<f8", [2], 0], "whose shape is"),
    (["nd", "|b1", [8], 0], "neither 0 nor 1"),
    (["nd", "<U2", [1], 0], "beyond Unicode"),
    (["nd", "V8", [1], 0], "dtype"),
    (["nd", "<f8,<f8", [1], 0], "dtype"),
    (["no", [2], ["l", 1]], "whose shape is"),
    (["no", [1 << 40, 1 << 40], ["l"]], "whose shape is"),
    (["no", [1], ["t", 1]], "not a list"),
    (["no", 1, ["l", 1]], "not a shape"),
    (["im", 0], "not a PNG"),
    (["tz", "../../etc/passwd"], "not a time zone"),
    (["D", "1e999999999"], "not a decimal"),
    (["l", ["B", 0], ["B", 0]], "used twice"),
    (["B", 1], "not a whole number"),
    (["B", True], "not a whole number"),
    (["B", -1], "not a whole number"),
    (
        ["df", ["range", 0, 1, 1, None], [["v", ["l", 1], ""]], ["range", 0, 1 << 27, 1, None]],
        "another length",
    ),
    (["unknown"], "unknown tag"),
    ([], "not a tagged value"),
]


@pytest.mark.parametrize(("tree", "why"), HOSTILE_TREES)
def test_hostile_trees_are_refused(tree: object, why: str) -> None:
    with pytest.raises(ProtocolViolation, match=why):
        decode(tree, [b"\xff" * 8])  # type: ignore[arg-type]


def test_crafted_hash_collisions_are_told() -> None:
    found = decode(["s", *[["i", f"{n * (2**61 - 1):x}"] for n in range(1, 20_000)]])
    assert found == Opaque("set or dict", "its keys are too alike to be compared: many have one hash")


def test_a_few_equal_hashes_are_no_attack() -> None:
    powers = {1 << n: n for n in range(3000)}  # of which only 61 have hashes of their own
    tree, blobs = encode(powers)
    assert decode(tree, blobs) == powers


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_read() -> None:
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (100_000).to_bytes(4, "big") * 2
    with pytest.raises(ProtocolViolation, match="pixels"):
        decode(["im", 0], [header])


def test_an_opaque_goes_to_its_owner() -> None:
    tree, blobs = encode(object(), opaque=lambda value: Opaque("object", "it", 6))
    assert Decoder(blobs, lambda found: {6: "mine"}[found.handle]).take(tree) == "mine"


def test_the_codec_imports_no_library_that_is_not_there_already() -> None:
    code = (
        "import sys, pinjra.wire.values.codec as c; c.encode([1, object(), 'x']); "
        "print({'numpy', 'pandas', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_exact_numbers_keep_their_form() -> None:
    assert str(cross(Decimal("1.500"))) == "1.500"
    assert str(cross(Decimal("-Infinity"))) == "-Infinity"
    assert cross(Fraction(2, 6)) == Fraction(1, 3)
    assert cross(UUID(int=5)) == UUID(int=5)
