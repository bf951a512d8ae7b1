"""The text of a value costs no more than its length, whatever shape a guest gave it."""

from __future__ import annotations

from collections import Counter, deque
from fractions import Fraction
from typing import Any

import pytest

from pinjra.agents.memory.observation import glimpse
from pinjra.core.json_data import text_of
from pinjra.core.value_text import describe_value
from pinjra.core.values import NamedItems, Opaque, Record

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

SMALL: list[Any] = [
    None, True, 7, -(10**40), 1.5, "a'b", b"\x00", [], (1,), {1, 2}, {}, {"a": [1, {"b": (2.5, None)}]}, deque([1], 3),
    Counter("aab"), range(3), Fraction(1, 3), Record("P", {"x": 1}), NamedItems("N", ["a"], [1]), Opaque("C", "<C>"),
    ValueError("no"), np.arange(10), np.zeros((2, 3, 4)), np.arange(10_000), np.float32(1.5), pd.Series([1, "a"]),
    pd.DataFrame({"a": range(100), "b": ["x"] * 100}), pd.RangeIndex(1 << 27), pd.Series(["a", "b"], dtype="category"),
    pd.MultiIndex.from_tuples([("a", 1)], names=["x", None]),
    pd.Series([1], ["columns"], name="names"), pd.Timestamp("2020-01-01"), list(range(100_000)), ["word"] * 50_000,
]  # fmt: skip


@pytest.mark.parametrize("value", SMALL, ids=lambda value: type(value).__name__)
def test_what_is_small_is_shown_as_python_shows_it(value: object) -> None:
    assert text_of(value) == repr(value)


ARRAY = Record("R", {"a": np.zeros((2,) * 24, np.int8)})
# Each takes between seconds and hours as `repr` writes it, or hundreds of megabytes.
LARGE: dict[str, Any] = {
    "many axes": np.zeros((2,) * 26, np.int8),
    "many axes in a cell": pd.Series([np.zeros((2,) * 24, np.int8)]),
    "many axes in a column's name": pd.DataFrame([[1]], columns=pd.Index([(np.zeros((2,) * 24, np.int8),)], tupleize_cols=False)),
    "many axes in a name": pd.Series([1], name=ARRAY),
    "many axes in an index's name": pd.Series([1], index=pd.RangeIndex(1, name=ARRAY)),
    "many axes in a level's name": pd.MultiIndex.from_arrays([[1]], names=[ARRAY]),
    "many axes in the name of columns": pd.DataFrame([[1]], columns=pd.Index(["a"], name=ARRAY)),
    "one long item": np.frombuffer(b"\x01" * (30 << 20), f"S{30 << 20}"),
    "long numbers": (1 << 14_000,) * 30_000,
    "long numbers as keys": {(1 << 14_000) - n: 0 for n in range(5000)},
    "long numbers in a cell": pd.DataFrame({"a": [[1 << 14_000] * 30_000]}),
    "long numbers as categories": pd.Series(pd.Categorical.from_codes([0], [((1 << 14_000),) * 30_000])),
    "texts in an array": np.array(["x" * (1 << 20)] * 6, dtype=object),
    "long numbers in an array": np.array([[1 << 14_000] * 30_000, None], dtype=object),
    "control characters": {"\x00" * (30 << 20)},
    "arrays in a record": Record("R", {"a": [np.zeros((2,) * 24, np.int8)]}),
    "arrays in an exception": ValueError(np.zeros((2,) * 24, np.int8)),
    "arrays in a deque": deque([np.zeros((2,) * 24, np.int8)]),
    "a counter of lists": Counter({n: [1.5] * 1000 for n in range(2000)}),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_of_what_is_large_only_the_beginning_is_written(name: str) -> None:
    for shown in (text_of(LARGE[name]), describe_value(LARGE[name])):
        is_cut = "…" in shown or "too large to be shown" in shown
        assert (is_cut, len(shown) < 10_000_000) == (True, True)
    assert len(glimpse(LARGE[name])) <= 500


def test_a_long_list_shows_its_first_items_and_how_many_there_are() -> None:
    shown = text_of({"rows": list(range(2_000_000)), "name": "x"})
    assert shown.startswith("{'rows': [0, 1, 2, 3,")
    assert "(2000000 in all)" in shown


def test_the_records_of_a_long_record_share_the_room() -> None:
    arrays = [np.zeros((2,) * 12, np.int8) for _ in range(500)]
    shown = describe_value(Record("R", {f"f{n}": each for n, each in enumerate(arrays)}))
    assert shown.startswith("R(f0=array(")
    assert shown.count("array(") < 5


def test_a_glimpse_of_a_large_set_or_dict_shows_some_of_it() -> None:
    assert glimpse({(n,) for n in range(1000)}).count("(") == 20
    assert glimpse({n: n for n in range(1000, 0, -1)}).count(": ") == 20
    assert glimpse([1 << 14_000]) == "[<an int of 14001 bits>]"


def test_of_the_objects_of_a_long_array_those_that_are_shown_count():
    objects = np.array(["a"] * 3 + ["b" * (1 << 20)] * 5000 + ["c"] * 3, dtype=object)
    assert text_of(objects) == repr(objects)


def test_what_cannot_cross_reads_as_it_does_where_it_lives_also_in_a_list():
    line = Opaque("Line2D", "<Line2D object at 0x7f>", handle=3)
    assert text_of([line, Opaque("Unnamed", "")]) == "[<Line2D object at 0x7f>, <Unnamed>]"
