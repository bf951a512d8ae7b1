"""The output ring: order, wrapping, limits, and numbers that a hostile writer puts there."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinjra.core.errors import ProtocolViolation
from pinjra.worker.ring import DRAIN_NOW, NEW_TEXT, RING_BYTES, RingReader, RingWriter, make_ring


def pair(limit=None):
    ring, pokes = make_ring(), []
    reader = RingReader(ring, limit)
    received = []
    writer = RingWriter(ring, pokes.append, lambda: received.extend(reader.drain()), limit)
    writer.start(1)
    return writer, reader, pokes, received


def joined(pieces):
    """Return pieces with neighbours of one stream joined."""
    found = []
    for stream, text in pieces:
        if found and found[-1][0] == stream:
            found[-1] = (stream, found[-1][1] + text)
        else:
            found.append((stream, text))
    return found


@given(st.lists(st.tuples(st.integers(0, 1), st.text(max_size=50), st.integers(1, 3000)), max_size=30))
def test_what_is_written_comes_out_in_order_whatever_its_size(writes):
    writer, reader, _, received = pair()
    for stream, text, times in writes:
        writer.write(stream, text * times)
    received += reader.drain()
    expected = [(("stdout", "stderr")[stream], text * times) for stream, text, times in writes if text]
    assert joined(received) == joined(expected)


def test_only_the_first_text_and_a_half_full_ring_are_told():
    writer, reader, pokes, _ = pair()
    for _ in range(10):
        writer.write(0, "x")
    assert pokes == [NEW_TEXT]
    writer.write(0, "y" * (RING_BYTES // 2 - 100))
    assert pokes == [NEW_TEXT, DRAIN_NOW] or pokes == [NEW_TEXT]
    reader.drain()
    writer.write(0, "z")
    assert pokes[-1] == NEW_TEXT


def test_what_is_younger_than_the_last_look_waits_for_the_next():
    writer, reader, _, _ = pair()
    writer.write(0, "a")
    assert reader.drain(everything=False) == []
    writer.write(0, "b")
    assert reader.drain(everything=False) == [("stdout", "a")]
    assert reader.drain() == [("stdout", "b")]


def test_the_limit_is_kept_by_the_reader_and_cuts_once():
    writer, _, _, _ = pair()  # a writer that was tampered with: it knows no limit
    limited = RingReader(writer._ring, 10)
    for _ in range(5):
        writer.write(0, "1234")
    text = "".join(text for _, text in limited.drain())
    assert text == "1234123412\n[output cut at 10 bytes]\n"
    limited.start()
    writer.write(0, "again")
    assert limited.drain() == [("stdout", "again")]


@pytest.mark.parametrize("number", [1 << 60, RING_BYTES, (1 << 64) - 1])
def test_impossible_numbers_are_refused(number):
    writer, reader, _, _ = pair()
    writer._ring[:8] = struct.pack("=Q", number)
    with pytest.raises(ProtocolViolation, match="impossible"):
        reader.drain()


@given(st.binary(max_size=300))
def test_any_bytes_in_the_ring_become_text(data):
    ring = make_ring()
    reader = RingReader(ring, None)
    ring[64 : 64 + len(data)] = data
    ring[:8] = struct.pack("=Q", len(data))
    for stream, text in reader.drain():
        assert stream in ("stdout", "stderr")
        text.encode()


def test_a_character_that_is_torn_between_two_looks_stays_whole():
    ring = make_ring()
    reader = RingReader(ring, None)
    data = "é".encode()
    ring[64:66] = data
    ring[:8] = struct.pack("=Q", 1)
    assert reader.drain() == []
    ring[:8] = struct.pack("=Q", 2)
    assert reader.drain() == [("stdout", "é")]
