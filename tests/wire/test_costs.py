"""What one message may cost the host: more is refused before it is paid, or comes in a plainer form."""

from __future__ import annotations

import struct
import zlib
import zoneinfo
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pinjra.core.errors import ProtocolViolation
from pinjra.core.values import Opaque
from pinjra.wire.frames import refuse
from pinjra.wire.values.codec import decode, encode
from pinjra.wire.values.coding import EncodeError

PRIME = (1 << 61) - 1  # hash() of every multiple is 0
NAMES = ["one", ["v", ["l", "a"], ""], None, ""]


def cross(value: object) -> Any:
    return decode(*encode(value))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, width: int = 1) -> bytes:
    data = chunk(b"IDAT", zlib.compress(b"\0" * (4 * width + 1)))
    return b"".join([b"\x89PNG\r\n\x1a\n", head(width, 1), *chunks, data, chunk(b"IEND", b"")])


def head(width: int, height: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))


TEXT = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"a" * 100_000))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (png(head(13_000, 13_000)), "two headers"),
        (png(head(1, 1)), "two headers"),
        (png(chunk(b"XXXX", b"")), "unknown part"),
        (png()[:-12], "without an end"),
        (png()[:8] + b"\xff\xff\xff\xff" + png()[12:], "without an end"),
        (b"".join([png()[:33], *[chunk(b"IDAT", b"")] * 10_000]), "without an end"),
    ],
)
def test_a_png_that_says_two_things_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ProtocolViolation, match=why):
        decode(["im", 0], [data])


def test_a_png_is_its_picture_and_nothing_beside_it() -> None:
    found = decode(["im", 0], [png(TEXT, chunk(b"iCCP", b"x\0\0" + zlib.compress(b"y" * 1000)), TEXT)])
    assert isinstance(found, Image.Image)
    found.load()
    assert (found.size, found.info) == ((1, 1), {})
    palette = Image.new("P", (3, 2), 1)
    palette.putpalette([1, 2, 3, 4, 5, 6])
    palette.info["transparency"] = 0
    assert cross(palette).convert("RGBA").tobytes() == palette.convert("RGBA").tobytes()


def test_the_pixels_of_all_images_of_a_message_are_counted() -> None:
    one = b"".join([b"\x89PNG\r\n\x1a\n", head(7000, 7000), chunk(b"IDAT", b""), chunk(b"IEND", b"")])
    assert decode(["im", 0], [one]).size == (7000, 7000)  # type: ignore[attr-defined]
    with pytest.raises(ProtocolViolation, match="pixels of images"):
        decode(["l", ["im", 0], ["im", 1]], [one, one])


@pytest.mark.parametrize(
    "values",
    [["r", 0, 1 << 27, 1], ["S", 0], ["B", 0], {"a": 1}, ["nd", "<U2", [1], 0], ["nd", "S8", [1], 0], ["nd", "<f8", [1, 1], 0]],
)  # fmt: skip
def test_a_column_is_as_long_in_memory_as_it_was_on_the_way(values: Any) -> None:
    rows = ["range", 0, 1 << 27 if values == ["r", 0, 1 << 27, 1] else 1, 1, None]
    for form in ("a", "v", "t", "k"):
        for tree in (
            ["se", None, [form, values, "UTC", False], rows],
            ["df", NAMES, [[form, values, "UTC", False]], rows],
        ):
            with pytest.raises(ProtocolViolation):
                decode(tree, [b"12345678"])


def test_large_fractions_are_paid_for_by_whoever_sends_many() -> None:
    large = Fraction(3**40_000, 2**60_000)
    assert cross(large) == large
    assert cross([Fraction(n, 7) for n in range(10_000)])[9] == Fraction(9, 7)
    with pytest.raises(EncodeError, match="fractions"):
        encode([large] * 5000)
    big = ["i", "f" * 16_000]
    with pytest.raises(ProtocolViolation, match="fractions"):
        decode(["l", *[["Q", big, big]] * 5000])


def test_many_small_sets_of_crafted_collisions_are_counted_together() -> None:
    one = ["s", *[["i", f"{n * PRIME:x}"] for n in range(8, 200)]]
    assert len(decode(one)) == 192  # type: ignore[arg-type]
    found = decode(["l", *[one] * 20])
    assert isinstance(found, list)
    assert [type(each) for each in found] == [*[set] * 9, *[Opaque] * 11]


BITS = 1 << 19
LARGE = (1 << (BITS - 1)) // PRIME * PRIME  # its hash is 0, and that of every sum with multiples of PRIME
BOTTOM = (1 << 5000) + 1
TOP = (1 << 65_400) // PRIME


def alike(length: int, count: int) -> list[Any]:
    """Return tuples of one hash, equal but for their last items: the hash of -1 is that of -2."""
    last = [[-1 if number >> bit & 1 else -2 for bit in range(12)] for number in range(count)]
    return [["t", *([7] * (length - 12)), *each] for each in last]


SLOW_TO_COMPARE = {
    "long tuples": alike(10_000, 400),
    "large numbers": [["i", f"{LARGE + n * PRIME:x}"] for n in range(40)],
    "large numbers and decimals": [
        *[["i", f"{LARGE + n * PRIME:x}"] for n in range(8)],
        *[["D", str(n * PRIME)] for n in range(1, 100)],
    ],
    "fractions and decimals": [
        *[["Q", ["i", f"{BOTTOM + n * PRIME:x}"], ["i", f"{BOTTOM:x}"]] for n in range(1, 100)],
        *[["D", str(1 + n * PRIME)] for n in range(1, 100)],
    ],
    "large numbers and a decimal": [
        ["i", f"{LARGE + PRIME:x}"],
        *[["D", str(n * PRIME)] for n in range(1, 9)],
    ],
    "large fractions and decimals": [
        *[["Q", ["i", f"{(TOP + n) * PRIME + 1:x}"], ["i", f"{TOP * PRIME + 1:x}"]] for n in range(1, 20)],
        *[["D", str(1 + n * PRIME)] for n in range(1, 20)],
    ],
    "long texts that a dtype reads": [
        *[["R", "C", {"a": ["l", ["nt", "<f8"], n]}, 0] for n in range(40)],
        *[["R", "C", {"a": ["l", "," * 4000, *["a" * 4000] * 200, n]}, 0] for n in range(40)],
    ],
    "records without a hash": [["R", "C", {"a": ["l", *range(9000)], "b": ["l", n]}, 0] for n in range(400)],
}


@pytest.mark.parametrize("name", SLOW_TO_COMPARE)
def test_few_values_that_are_slow_to_compare_are_counted_by_what_they_hold(name: str) -> None:
    keys = SLOW_TO_COMPARE[name]
    pairs = [part for key in keys for part in (key, 1)]
    for tree in (["s", *keys], ["f", *keys], ["d", *pairs], ["K", "Counter", ["d", *pairs], None]):
        around = decode(["l", tree, 5])
        assert isinstance(around, list)
        assert (type(around[0]), around[1]) == (Opaque, 5)
        assert "too alike" in around[0].repr
    few = decode(["s", *keys[:2]])
    assert isinstance(few, set)
    assert len(few) == 2


def test_records_that_hold_arrays_of_numbers_are_counted_by_their_bytes() -> None:
    rows = np.arange(10_000.0).tobytes()
    for count, kind in ((20, set), (80, Opaque)):
        found = decode(
            ["s", *[["R", "C", {"a": ["nd", "<f8", [10_000], at]}, 0] for at in range(count)]], [rows] * count
        )
        assert type(found) is kind


def test_objects_with_arrays_of_objects_or_tables_are_not_compared() -> None:
    table = ["df", NAMES, [["v", ["l", 1], ""]], ["range", 0, 1, 1, None]]
    for held in (["no", [1], ["l", 1]], table, ["se", None, ["v", ["l", 1], ""], ["range", 0, 1, 1, None]]):
        one = ["R", "C", {"a": held}, 0]
        assert type(decode(["s", one, one])) is Opaque
        assert type(decode(["s", one])) is set


def test_a_column_of_texts_holds_texts() -> None:
    rows: Any = ["range", 0, 2, 1, None]
    for other in (["R", "C", {"a": ["nd", "|i1", [2] * 24, 0]}, 0], 1, ["i", "f" * 99]):
        with pytest.raises(ProtocolViolation, match="something else"):
            decode(["se", None, ["v", ["l", "a", other], "string"], rows], [bytes(1 << 24)])
    texts = pd.Series(["a", None, "\u0905"], dtype="string")
    assert cross(texts).equals(texts)


def test_categories_that_are_slow_to_compare_come_as_plain_values() -> None:
    for kinds in (alike(2000, 1000), [["R", "C", {"a": ["l", n]}, 0] for n in range(2000)]):
        column = ["k", ["nd", "|i1", [2], 0], ["v", ["l", *kinds], ""], False]
        found = decode(["se", None, column, ["range", 0, 2, 1, None]], [b"\0\xff"])
        assert isinstance(found, pd.Series)
        assert (found.dtype, len(found)) == (object, 2)


def test_levels_of_an_index_that_are_slow_to_sort_are_counted() -> None:
    tuples = [["t", each] for each in [["t", *([7] * 10_000), n] for n in range(600)]]
    with pytest.raises(ProtocolViolation, match="index of tuples"):
        decode(["ix", ["multi", ["l", *tuples], ["l", None]]])


def test_a_key_without_a_hash_that_is_large_is_not_shown() -> None:
    rows = np.arange(1000.0).tobytes()
    keys = decode(
        ["s", *[["nd", "<f8", [10, 10, 10], at] for at in range(3)], ["l", *range(10_000)]], [rows] * 3
    )
    assert keys == {Opaque("ndarray", f"value {n}") for n in (1, 2, 3)} | {Opaque("list", "value 4")}


def test_the_file_of_a_time_zone_is_read_once() -> None:
    found = decode(["tz", "Asia/Kathmandu"])
    zoneinfo.ZoneInfo.clear_cache()
    assert decode(["tz", "Asia/Kathmandu"]) is found


def test_paths_are_counted_as_the_python_code_that_makes_them() -> None:
    with pytest.raises(ProtocolViolation, match="paths"):
        decode(["l", *[["P", False, True, "a"]] * 400_000])
    with pytest.raises(EncodeError, match="paths"):
        encode([Path("a")] * 400_000)


def test_ranges_of_long_numbers_are_counted_as_the_division_that_measures_them() -> None:
    top, step = f"{1 << (1 << 20) - 1:x}", f"{(1 << (1 << 19)) + 1:x}"
    with pytest.raises(ProtocolViolation, match="ranges"):
        decode(["l", *[["r", 0, ["i", top], ["i", step]]] * 60])
    with pytest.raises(EncodeError, match="ranges"):
        encode([range(0, 1 << (1 << 20) - 1, (1 << (1 << 19)) + 1)] * 60)
    for few in ([range(0, 10**300, 10**150)] * 1000, range(5), range(0)):
        assert cross(few) == few


def test_categories_do_not_become_far_longer_than_they_came() -> None:
    kinds = np.arange(9000).tobytes()
    for code in (0, -1):
        rows = 4 << 20
        column = ["k", ["nd", "|i1", [rows], 0], ["a", ["nd", "<i8", [9000], 1]], False]
        blobs = [np.full(rows, code, np.int8).tobytes(), kinds]
        found = decode(["se", None, column, ["range", 0, rows, 1, None]], blobs)
        assert isinstance(found, Opaque)
        assert "too many of both" in found.repr


def test_categories_beyond_the_budget_come_as_plain_values() -> None:
    kinds = pd.Series(pd.Categorical([f"k{n}" for n in range(5000)]))
    assert cross(kinds).dtype == "category"
    frame = pd.DataFrame({f"c{n}": kinds for n in range(30)})
    found = cross(frame)
    assert {str(dtype) for dtype in found.dtypes} == {"category", "object"}
    assert found.astype(str).equals(frame.astype(str))


@pytest.mark.parametrize(("step", "count"), [("h", 1_000_000), ("B", 5000), ("D", 40_000), ("3s", 2000)])
def test_frequencies_come_back_where_they_cost_little(step: str, count: int) -> None:
    times = pd.date_range("1970", periods=count, freq=step)
    assert cross(times).freqstr == step


@pytest.mark.parametrize(
    "step", ["B", "LWOM-MON", "999999C", "CBMS", "REQ-N-DEC-MON-1", "bh", "\u0661D", "99999999999s"]
)
def test_frequencies_that_pandas_walks_along_go_unsaid_where_it_is_far(step: str) -> None:
    count = 300_000
    days = np.arange(count, dtype="<i8").astype("<M8[D]").astype("<M8[s]")
    found = decode(["ix", ["one", ["a", ["nd", "<M8[s]", [count], 0]], None, step]], [days.tobytes()])
    assert isinstance(found, pd.DatetimeIndex)
    assert (len(found), found.freq) == (count, None)


def test_a_refusal_shows_the_beginning_only() -> None:
    for sample in (
        "\x01" * 10**7,
        b"\x01" * 10**7,
        [["\x01" * 10**6] * 100] * 1000,
        {"\x01" * 10**6: 1},
        10**4000,
    ):
        with pytest.raises(ProtocolViolation) as refused:
            refuse("no", sample)
        assert len(str(refused.value)) < 300
    assert isinstance(decode(["o", "A", "a", 0]), Opaque)
