"""What one message may cost the host: more is refused before it is paid, or comes in a plainer form."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
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
    with pytest.raises(ProtocolViolation, match="collisions"):
        decode(["l", *[one] * 20])


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
