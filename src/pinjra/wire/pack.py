"""Frames <-> messages: blobs are put before their message, and found again."""

from __future__ import annotations

from collections.abc import Iterator

from pinjra.wire.frames import (
    BLOBS,
    CHUNK_BYTES,
    Frame,
    WireLimits,
    blob_rests,
    dump,
    load,
    read_blob,
    refuse,
)
from pinjra.wire.messages import Message
from pinjra.wire.shapes import Kinds, from_fields, to_fields

__all__ = ["Assembler", "pack", "parse"]

SPILL_BYTES = 256 << 10  # fields longer than this as JSON travel as the message's last blob


def pack(message: Message, *, raw: bool) -> Iterator[tuple[bytes, bytes | memoryview]]:
    """Yield (rest with line end, raw body) of the frames of `message`, to be put behind a lane and numbers."""
    for position, blob in enumerate(message.blobs):
        yield from blob_rests(position, blob, raw=raw)
    fields = dump(to_fields(message))
    if len(fields) > SPILL_BYTES:
        yield from blob_rests(len(message.blobs), fields, raw=raw)
        fields = b"null"
    yield b'"%s",%s]\n' % (type(message).__name__.encode(), fields), b""


def parse(rest: bytes, blobs: list[bytes], kinds: Kinds, limits: WireLimits) -> Message:
    """Return the message that a line and the blobs before it spell.

    Raises:
        ProtocolViolation: They spell none of `kinds` (the worker's fault).
    """
    tree = load(b"[" + rest, limits)
    if type(tree) is not list or len(tree) != 2 or type(tree[0]) is not str:
        refuse("a message is a kind and its fields", rest)
    kind, fields = tree
    if fields is None:
        if not blobs:
            refuse("a message without fields", rest)
        fields = load(blobs.pop(), limits)
    return from_fields(kind, fields, tuple(blobs), kinds)


class Assembler:
    """Collects the frames of one lane until a message is whole. Each lane has its own, so blobs never change lanes."""

    def __init__(self, kinds: Kinds, limits: WireLimits) -> None:
        self._kinds = kinds
        self._limits = limits
        self._blobs: list[bytes] = []
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, frame: Frame) -> Message | None:
        """Return the message that `frame` completes, or None.

        Raises:
            ProtocolViolation: The frame does not fit (the worker's fault).
        """
        blob = read_blob(frame)
        if blob is not None:
            self._collect(*blob)
            return None
        if self._chunks:
            refuse("a message in the middle of a blob", frame.rest)
        blobs, self._blobs, self._size = self._blobs, [], 0
        return parse(frame.rest, blobs, self._kinds, self._limits)

    def clear(self) -> None:
        """Forget a message that will not be completed."""
        self._blobs, self._chunks, self._size = [], [], 0

    def _collect(self, position: int, chunk: bytes, last: bool) -> None:
        self._size += len(chunk)
        # SECURITY: the sum is checked before the chunk is kept; chunks are full but the last, so their number is bounded.
        if self._size > self._limits.message_bytes or position >= BLOBS:
            refuse(f"a message of more than {self._limits.message_bytes} bytes or {BLOBS} blobs")
        if position != len(self._blobs) or not (last or len(chunk) == CHUNK_BYTES):
            refuse("a blob out of order", position)
        self._chunks.append(chunk)
        if last:
            self._blobs.append(self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks))
            self._chunks = []
