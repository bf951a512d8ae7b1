"""Bytes <-> frames: bounded, incremental, understood or refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinjra.core.errors import ProtocolViolation
from pinjra.wire.frames import (
    CHUNK_BYTES,
    LINE_BYTES,
    Frame,
    FrameReader,
    blob_rests,
    dump,
    load,
    read_blob,
)

LINE = b'["c",1,0,"Ack",{}]\n'
RAW = b'["g",2,0,"*",0,3,1]\nx\ny["c",3,0,"Ack",{}]\n'


def read(chunks: list[bytes], *, numbered: bool = True, raw: bool = True) -> tuple[list[Frame], str]:
    reader = FrameReader(numbered=numbered, raw=raw)
    frames: list[Frame] = []
    try:
        for chunk in chunks:
            for frame in reader.feed(chunk):
                frames.append(frame)
    except ProtocolViolation as error:
        return frames, str(error)
    return frames, ""


def one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def test_a_raw_body_may_hold_newlines_and_lines_that_look_like_frames() -> None:
    frames, error = read([LINE + RAW])
    assert (frames[1].body, [f.seq for f in frames], error) == (b"x\ny", [1, 2, 3], "")


pieces = st.one_of(
    st.sampled_from(
        [
            LINE,
            RAW,
            b"\n",
            b'["g",1,1,"Output",{"run":1}]\n',
            b'["c",1,0,"*",0,9,1]\n',
            b"garbage\n",
            b'["c",',
        ]
    ),
    st.binary(max_size=40),
)


@given(st.lists(pieces, max_size=8).map(b"".join), st.booleans(), st.booleans())
def test_the_whole_and_byte_by_byte_give_the_same_frames_and_the_same_end(
    data: bytes, numbered: bool, raw: bool
) -> None:
    assert read([data], numbered=numbered, raw=raw) == read(one_by_one(data), numbered=numbered, raw=raw)


def test_a_line_without_an_end_is_refused_before_it_is_longer_than_the_limit() -> None:
    reader = FrameReader(numbered=True, raw=True)
    chunk = b"x" * 65536
    with pytest.raises(ProtocolViolation, match="a line of more than"):
        for _ in range(LINE_BYTES // len(chunk) + 1):
            list(reader.feed(chunk))


def test_after_a_violation_nothing_is_read_any_more() -> None:
    reader = FrameReader(numbered=True, raw=True)
    with pytest.raises(ProtocolViolation):
        list(reader.feed(b"nonsense\n"))
    with pytest.raises(ProtocolViolation, match="not a frame"):
        list(reader.feed(LINE))


def test_raw_bodies_are_refused_where_they_were_not_agreed_on() -> None:
    assert read([RAW], raw=False)[1].startswith("not a raw frame that was agreed on")


@pytest.mark.parametrize("size", [CHUNK_BYTES + 1, 0, 999_999])
def test_a_raw_body_of_a_wrong_size_is_refused_before_it_comes(size: int) -> None:
    assert "raw frame" in read([b'["g",1,0,"*",0,%d,1]\n' % size])[1]


@given(st.binary(max_size=600_000), st.booleans())
def test_a_blob_comes_back_from_its_frames(blob: bytes, raw: bool) -> None:
    reader = FrameReader(numbered=False, raw=True)
    data = b"".join(b'["g",' + rest + bytes(body) for rest, body in blob_rests(3, blob, raw=raw))
    parts = [read_blob(frame) for frame in reader.feed(data)]
    assert all(part is not None and part[0] == 3 for part in parts)
    assert b"".join(part[1] for part in parts if part) == blob
    assert [part[2] for part in parts if part] == [False] * (len(parts) - 1) + [True]


trees = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)


@given(trees)
def test_json_comes_back_and_is_one_ascii_line(tree: object) -> None:
    text = dump(tree)
    assert text.isascii() and b"\n" not in text
    assert load(text) == tree


@given(st.text(st.sampled_from('[]{},"\\:a1 '), max_size=60))
def test_json_text_is_understood_as_the_standard_library_does_or_refused(text: str) -> None:
    try:
        found = load(text.encode(), 100, depth=3)
    except ProtocolViolation:
        return
    assert found == json.loads(text)
    assert depth(found) <= 3


def depth(tree: object) -> int:
    if isinstance(tree, dict):
        return 1 + max(map(depth, tree.values()), default=0)
    return 1 + max(map(depth, tree), default=0) if isinstance(tree, list) else 0


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 65 + b"]" * 65,
        b"[" + b"[]," * 300_000 + b"[]]",
        b"1" * 5000,
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        "é".encode(),
        b'"\xff"',
        b"",
        b"[1,]",
    ],
)
def test_hostile_json_is_refused(text: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        load(text, 4_000_000)


def test_brackets_and_commas_in_strings_are_no_items() -> None:
    text = dump(["[" * 1000 + "\\" * 7 + '"' + "," * 1000])
    assert load(text, 500, depth=2) == ["[" * 1000 + "\\" * 7 + '"' + "," * 1000]
