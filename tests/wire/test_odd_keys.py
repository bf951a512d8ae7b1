"""What a guest's program may hold crosses, or is told as a value: it never breaks the session that it is a value of."""

from __future__ import annotations

import collections
import dataclasses
import enum
from fractions import Fraction
from uuid import UUID

import pytest

from pinjra.core.values import Opaque, Record
from pinjra.wire.values.codec import Decoder, EncodeError, Encoder


class Colour(enum.Enum):
    RED = 1
    LISTED = [2]


@dataclasses.dataclass(frozen=True)
class Point:
    x: object = 1


class HashedList(list):  # type: ignore[type-arg]
    def __hash__(self) -> int:  # type: ignore[override]
        return 1


class HashedDict(dict):  # type: ignore[type-arg]
    def __hash__(self) -> int:  # type: ignore[override]
        return 1


class HashedBytes(bytearray):
    def __hash__(self) -> int:  # type: ignore[override]
        return 1


class OddTuple(tuple):  # type: ignore[type-arg]
    _fields = ("not a name",)


Named = collections.namedtuple("Named", "a")
KEYS = (
    *(Colour.RED, Colour.LISTED, Point(), Point((1,)), Point(Colour.RED), Named(Point()), (1, (Point(),))),
    *(HashedList([1]), HashedDict(a=1), HashedBytes(b"a"), (1, HashedList([1])), frozenset([Point()])),
    OddTuple([1]),
)


def crossed(value: object) -> object:
    encoder = Encoder()
    tree = encoder.add(value)
    return Decoder(encoder.blobs).take(tree)


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_whatever_has_a_hash_in_the_guest_can_be_a_key_here(key: object) -> None:
    pairs = crossed({key: 1, "other": 2})
    assert isinstance(pairs, dict)
    assert len(pairs) == 2
    assert pairs[next(iter(pairs))] == 1
    assert len(crossed({key})) == 1  # type: ignore[arg-type]
    counted = crossed(collections.Counter([key, key]))
    assert isinstance(counted, collections.Counter)
    assert list(counted.values()) == [2]
    assert crossed({(1, key): 5}) is not None


def test_records_are_keys_by_their_fields_and_what_can_have_no_hash_is_told() -> None:
    assert crossed({Colour.RED: "r"}) == {Record("Colour", {"name": "RED", "value": 1}): "r"}
    assert crossed({Point(Colour.RED)}) == {
        Record("Point", {"x": Record("Colour", {"name": "RED", "value": 1})})
    }
    (told,) = crossed({HashedList([1])})  # type: ignore[misc]
    assert told == Opaque("list", "[1]")


def test_many_members_and_points_are_no_crafted_collisions() -> None:
    assert len(crossed({Point(number): number for number in range(2000)})) == 2000  # type: ignore[arg-type]


LEAST = ("pd.Timestamp.min", "pd.Timedelta.min")  # below the first microsecond that pandas can make


@pytest.mark.parametrize(
    "code",
    [
        "pd.RangeIndex(10**9 - 3, 10**9)", "pd.Series([1, 2], index=pd.RangeIndex(10**12, 10**12 + 2))", "pd.Timestamp.min",
        "pd.Timestamp.max", "pd.Timestamp.min.tz_localize('UTC')", "pd.Timedelta.min", "pd.Timedelta.max",
        "pd.Series([pd.Timedelta.min])", "pd.Timestamp(1, unit='ns')", "pd.Timestamp(-1, unit='ns')",
        "pd.Timedelta(-1, unit='ns')",
    ],
)  # fmt: skip
def test_the_ends_of_what_pandas_has_come_back(code: str) -> None:
    pd = pytest.importorskip("pandas")
    value = eval(code, {"pd": pd})
    back = crossed(value)
    if isinstance(value, (pd.Index, pd.Series)):
        assert (list(back), type(back)) == (
            list(value),
            pd.Index if isinstance(value, pd.Index) else pd.Series,
        )  # type: ignore[call-overload]
    else:
        assert back == value or (isinstance(back, Opaque) and code.startswith(LEAST))


def test_what_pandas_holds_beyond_is_told() -> None:
    pd, np = pytest.importorskip("pandas"), pytest.importorskip("numpy")
    for value in (pd.Timestamp(np.datetime64(1 << 40, "s")), pd.Timedelta(np.timedelta64(1 << 50, "s"))):
        assert isinstance(crossed(value), Opaque)
    for series in (
        pd.Series(pd.cut([1, 2, 3], 2)),
        pd.Series(pd.Categorical([Point(), Point(2)])),
        pd.Series(pd.Categorical([HashedList([1])])),
        pd.Series(np.array([1, 2], dtype="g")),
        pd.Series([1], name=Point()),
        pd.Series([1], index=pd.Index([1], name=HashedDict())),
    ):
        assert isinstance(crossed(series), (pd.Series, Opaque))


class NoDataclass:
    __dataclass_fields__ = 3


class Unreadable(NoDataclass):
    def __getattribute__(self, name: str) -> object:
        raise KeyError(name)


def test_what_is_half_made_is_told_and_what_stands_beside_it_comes() -> None:
    halved = Fraction(1, 2)
    del halved._numerator  # type: ignore[attr-defined]
    for value in (halved, UUID.__new__(UUID), NoDataclass(), Unreadable()):
        assert isinstance(crossed(value), Opaque)
        around, told, beside = crossed([{"a": [value]}, value, 5])  # type: ignore[misc]
        assert (type(around["a"][0]), type(told), beside) == (Opaque, Opaque, 5)


def test_images_without_a_pixel_or_closed_and_torn_tables_are_told() -> None:
    pd, image = pytest.importorskip("pandas"), pytest.importorskip("PIL.Image")
    closed = image.new("RGB", (2, 2))
    closed.close()
    assert isinstance(crossed(closed), Opaque)
    assert isinstance(crossed(image.new("RGB", (9, 9)).crop((0, 0, 0, 9))), Opaque)
    assert isinstance(crossed(object.__new__(pd.DataFrame)), Opaque)


def test_a_value_beyond_the_limits_is_no_description() -> None:
    with pytest.raises(EncodeError):
        Encoder(1000).add([[b"x" * 2000]])
