"""What the warden and a child write to each other: what a child is told first, then frames."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

Message = dict[str, Any]
FRAME_BYTES = 96 << 20  # of one answer of a child
KEPT_TEXT = 10_000  # characters of a message or traceback
CONTROL = 3  # a child's descriptor for what it says to us, and the fork server's to the warden
# What every child is told: how long source and the rest are, a seed or none, its limits. Reading JSON costs a child 100 pages.
HEAD = struct.Struct("qq?qdqqq")


def framed(message: Message) -> bytes:
    """Return a message as a line of JSON and its blobs."""
    blobs = message.pop("blobs", ())
    head = json.dumps({**message, "sizes": [len(blob) for blob in blobs]}).encode()
    return b"".join([head, b"\n", *blobs])


def unframed(buffer: bytearray) -> Message | None:
    """Take one message from the front of `buffer`; None when it is not complete, {} for what is none."""
    end = buffer.find(b"\n")
    if end < 0:
        return None
    try:
        message = json.loads(buffer[:end])
        sizes = [min(max(int(size), 0), FRAME_BYTES) for size in message.pop("sizes", ())]
    except (ValueError, TypeError, AttributeError, RecursionError):
        buffer.clear()
        return {}
    if len(buffer) < end + 1 + sum(sizes):
        return None
    blobs, begin = [], end + 1
    for size in sizes:
        blobs.append(bytes(buffer[begin : begin + size]))
        begin += size
    del buffer[:begin]
    found: Message = {**message, "blobs": blobs}
    return found


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
