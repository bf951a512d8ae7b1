"""What a guest may hold and this machine has not, or not in that way, is told; the session goes on."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import zoneinfo
from collections.abc import Callable
from fractions import Fraction

import dateutil.tz
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pinjra.core.values import Opaque
from pinjra.wire.values.codec import Decoder, Encoder


class HashedList(list):  # type: ignore[type-arg]
    def __hash__(self) -> int:  # type: ignore[override]
        return 1


def crossed(value: object) -> object:
    encoder = Encoder()
    tree = encoder.add(value)
    return Decoder(encoder.blobs).take(tree)


@dataclasses.dataclass(eq=False)
class Holding:
    x: object


def made_zone(name: str) -> zoneinfo.ZoneInfo:
    """Return a zone that only the box has."""
    head = b"TZif" + bytes(16) + b"".join(n.to_bytes(4, "big") for n in (0, 0, 0, 0, 1, 4))
    return zoneinfo.ZoneInfo.from_file(io.BytesIO(head + bytes(6) + b"UTC\0"), key=name)


def without_a_bottom() -> Fraction:
    broken = Fraction(1, 2)
    broken._denominator = 0  # type: ignore[attr-defined]
    return broken


HOUR = dt.timedelta(hours=1)
# What the box may hold and this machine has not, or not in that way.
ODD: dict[str, Callable[[], object]] = {
    "a long name of a zone": lambda: dt.timezone(HOUR, "x" * 1000),
    "a time in it": lambda: dt.datetime(2020, 1, 1, tzinfo=dt.timezone(HOUR, "x" * 1000)),
    "a zone of its own": lambda: made_zone("Mars/Olympus"),
    "a time of day in it": lambda: dt.time(1, tzinfo=made_zone("Mars/Olympus")),
    "a zone whose name is long": lambda: made_zone("M" * 1000),
    "a table's zone": lambda: pd.Series(pd.date_range("2020", periods=2, tz=dt.timezone(HOUR, "Mars"))),
    "a Timestamp in it": lambda: pd.Timestamp("2020-01-01", tz=made_zone("Mars/Olympus")),
    "a Timestamp in a local zone": lambda: pd.Timestamp("2020-01-01", tz=dateutil.tz.tzlocal()),
    "a fraction without a bottom": without_a_bottom,
    "truth values of other bytes": lambda: np.array([7], dtype="u1").view("?"),
    "a table of them": lambda: pd.Series(np.array([7], dtype="u1").view("?")),
    "characters beyond Unicode": lambda: np.array([0x7FFFFFFF], dtype="u4").view("<U1"),
    "many axes": lambda: np.zeros((1,) * 33),
    "a picture without pixels": lambda: Image.new("RGB", (0, 0)),
    "a picture of a mode that no PNG has": lambda: Image.new("La", (3, 2)),
}


@pytest.mark.parametrize("name", ODD)
def test_what_this_machine_cannot_make_is_told(name: str) -> None:
    assert type(crossed(ODD[name]())) is Opaque
    found = crossed([1, ODD[name](), {"a": 2}])
    assert isinstance(found, list)
    assert (found[0], type(found[1]), found[2]) == (1, Opaque, {"a": 2})


def test_every_nan_of_a_set_crosses() -> None:
    many = {float("nan") for _ in range(2000)} | {1.5}
    found = crossed(many)
    assert isinstance(found, set)
    assert (len(found), 1.5 in found) == (2001, True)


def test_keys_with_numbers_that_python_does_not_show_cross() -> None:
    assert crossed({HashedList([10**5000]): 1}) == {Opaque("list", "value 1"): 1}
    found = crossed({HashedList([10**5000]), HashedList([10**5001])})
    assert isinstance(found, set)
    assert len(found) == 2


def test_objects_that_hold_arrays_are_members_of_a_set() -> None:
    found = crossed({Holding(np.ones(2)), Holding(np.ones(2)), Holding(pd.Series([1, 2]))})
    assert isinstance(found, set)
    assert len(found) == 3


def test_a_table_in_a_table_in_a_table_is_told_where_it_is_too_deep() -> None:
    value: object = 1
    for _ in range(30):
        value = pd.Series([value], dtype=object)
    found = crossed([value, 5])
    assert isinstance(found, list)
    assert found[1] == 5
