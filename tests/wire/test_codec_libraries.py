"""Values of numpy, pandas and Pillow <-> trees: arrays, tables and pictures come back as they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pinjra.core.errors import ProtocolViolation
from pinjra.core.values import Opaque
from pinjra.wire.frames import dump, load
from pinjra.wire.values.codec import decode, encode
from pinjra.wire.values.coding import EncodeError


def cross(value: object) -> object:
    tree, blobs = encode(value)
    return decode(load(dump(tree)), blobs)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.arange(12).reshape(3, 4).T,
        np.array(5),
        np.zeros((0, 3), dtype=np.int8),
        np.array([True, False]),
        np.array(["a", "bcd"]),
        np.array([b"x"]),
        np.array(["2020-01-01", "NaT"], dtype="M8[s]"),
        np.array([1, 2], dtype=">i4"),
        np.array([1j], dtype=np.complex64),
        np.arange(5, dtype=np.float16)[::2],
    ],
    ids=lambda a: a.dtype.str,
)
def test_arrays_come_back_and_may_be_written(array: np.ndarray) -> None:
    found = cross(array)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, array)
    assert (found.dtype, found.flags.writeable) == (array.dtype, True)


@pytest.mark.parametrize(
    "scalar", [np.float64(1.5), np.int8(-3), np.bool_(True), np.datetime64("2020-01-01"), np.complex64(1j)]
)
def test_numpy_scalars_come_back(scalar: np.generic) -> None:
    assert (type(cross(scalar)), cross(scalar)) == (type(scalar), scalar)


def test_arrays_of_objects_come_back_with_what_of_them_can_cross() -> None:
    assert isinstance(cross(np.array([object()]))[0], Opaque)
    objects = np.array([["a", None], [(1,), {"b": 2}]], dtype=object)
    found = cross(objects)
    assert (found.dtype, found.shape, found.tolist()) == (object, (2, 2), [["a", None], [(1,), {"b": 2}]])
    objects[0, 0] = objects  # in itself
    assert isinstance(cross(objects)[0, 0], Opaque)
    lists = np.empty(2, dtype=object)
    lists[:] = [np.arange(2), [3, 4]]
    assert cross(lists)[0].tolist() == [0, 1] and cross(lists)[1] == [3, 4]
    assert cross(np.empty((0, 3), dtype=object)).shape == (0, 3)
    assert isinstance(cross(np.array(object())), Opaque)
    assert isinstance(cross(np.zeros(1, dtype=[("a", "f8")])), Opaque)


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "i": [1, 2, 3],
            "f": [1.0, np.nan, 3.0],
            "s": ["a", None, "c"],
            "b": [True, False, True],
            "t": pd.date_range("2020", periods=3),
            "z": pd.date_range("2020", periods=3, tz="Europe/Berlin"),
            "n": pd.array([1, None, 3], dtype="Int64"),
            "S": pd.array(["a", None, "b"], dtype="string"),
            "o": [[1], {"a": 2}, (3,)],
        },
        index=pd.Index(["p", "q", "r"], name="key"),
    )


@pytest.mark.parametrize(
    "frame",
    [
        table(),
        table().set_index(["i", "s"]),
        pd.DataFrame(),
        pd.DataFrame({"a": []}),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)])),
        table().loc[["q"]],
    ],
)
def test_tables_come_back(frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(cross(frame), frame, check_column_type=False)


def test_series_and_indexes_come_back() -> None:
    series = pd.Series([1, 2], index=[5, 6], name="n")
    pd.testing.assert_series_equal(cross(series), series)
    for index in (pd.RangeIndex(3), pd.Index(["a"], name="x"), pd.date_range("2020", periods=2, tz="UTC")):
        pd.testing.assert_index_equal(cross(index), index, exact="equiv")
    kinds = pd.Series(pd.Categorical(["x", "y", "x"], ["y", "x", "z"], ordered=True))
    pd.testing.assert_series_equal(cross(kinds), kinds)
    assert cross(pd.date_range("2020", periods=3, freq="B")).freqstr == "B"


@pytest.mark.parametrize(
    "value",
    [
        pd.NaT,
        pd.NA,
        pd.Timestamp("2020-01-01 00:00:00.000000001"),
        pd.Timestamp("2020-01-01", tz="Europe/Oslo"),
        pd.Timedelta("-1ns"),
        pd.Timedelta("3 days"),
        np.dtype("int16"),
        np.dtype("O"),
    ],
    ids=repr,
)
def test_single_values_of_data_libraries_look_the_same(value: object) -> None:
    assert repr(cross(value)) == repr(value)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "1", "P", "CMYK", "F"])
def test_pictures_come_back_as_png(mode: str) -> None:
    found = cross(Image.new(mode, (5, 4)))
    assert isinstance(found, Image.Image)
    assert (found.size, found.format) == ((5, 4), "PNG")
    found.load()


_PRIME = (1 << 61) - 1  # hash() of every multiple is 0


def test_tables_with_crafted_hash_collisions_cost_the_host_no_time():
    ints = [["i", f"{k * _PRIME:x}"] for k in range(16, 30_016)]
    index = decode(["ix", ["multi", ["l", *[["t", each] for each in ints]], ["l", None]]])
    assert isinstance(index, Opaque)
    assert "too alike" in index.repr
    codes = np.arange(30_000, dtype="<i8").tobytes()
    column = ["k", ["nd", "<i8", [30_000], 0], ["v", ["l", *ints], ""], False]
    found = decode(["se", None, column, ["range", 0, 30_000, 1, None]], [codes])
    assert (found.dtype, found[3]) == (object, 19 * _PRIME)  # plain values: categories would be hashed


def test_codes_of_many_categories_are_checked():
    kinds = ["v", ["l", *map(str, range(10_000))], ""]
    good = ["se", None, ["k", ["nd", "<i8", [3], 0], kinds, False], ["range", 0, 3, 1, None]]
    found = decode(good, [np.array([3, 9999, -1]).tobytes()])
    assert found.isna().tolist() == [False, False, True]
    for code in (10_000, -2, 1 << 40):
        bad = ["se", None, ["k", ["nd", "<i8", [1], 0], kinds, False], ["range", 0, 1, 1, None]]
        with pytest.raises(ProtocolViolation, match="codes of no category"):
            decode(bad, [np.array([code]).tobytes()])


def test_tables_of_very_many_columns_do_not_cross():
    tree = ["df", ["range", 0, 20_000, 1, None], [["v", ["l", 0], ""]] * 20_000, ["range", 0, 1, 1, None]]
    with pytest.raises(ProtocolViolation, match="columns"):
        decode(tree)
    with pytest.raises(EncodeError, match="columns"):
        encode(pd.DataFrame([[0] * 20_000]))


@pytest.mark.parametrize(
    "zone", ["dateutil//etc/hostname", "dateutil/Europe/Berlin", "../x", "/etc/x", "tzlocal()"]
)
def test_no_name_of_a_time_zone_makes_the_host_open_a_file_of_the_guests_choice(zone: str) -> None:
    times = np.array(["2020-01-01"], dtype="datetime64[ns]").tobytes()
    tree = ["se", None, ["t", ["nd", "<M8[ns]", [1], 0], zone], ["range", 0, 1, 1, None]]
    with pytest.raises(ProtocolViolation, match="not a time zone"):
        decode(tree, (times,))


def test_an_index_of_tuples_comes_back_with_what_is_missing() -> None:
    index = pd.MultiIndex.from_tuples([("b", 1), ("a", None), (None, 2.5), ("b", 1)], names=["x", None])
    tree, blobs = encode(index)
    pd.testing.assert_index_equal(decode(tree, blobs), index)


def test_texts_of_pandas_3_keep_their_type_and_are_objects_in_pandas_2():
    pd = pytest.importorskip("pandas")
    tree = ["se", "n", ["v", ["l", "a", None], "str"], ["range", 0, 2, 1, None]]
    found = decode(tree, ())
    is_new = int(pd.__version__.split(".")[0]) >= 3
    assert str(found.dtype) == ("str" if is_new else "object") and found[0] == "a" and pd.isna(found[1])
    if is_new:
        frame = pd.DataFrame({"a": ["x", None], "n": [1, 2]}, index=["r", "s"])
        pd.testing.assert_frame_equal(decode(*encode(frame)), frame)
    with pytest.raises(ProtocolViolation):
        decode(["se", "n", ["v", ["l", 1], "str"], ["range", 0, 1, 1, None]], ())
