"""What a run may still print: the first part at once, the last part at its end, and between them how much is missing.

The one place in the box where `Limits.output_bytes` is kept.
"""

from __future__ import annotations

import codecs
from collections import deque

__all__ = ["STREAMS", "Allowance"]

STREAMS = ("stdout", "stderr")
_MARK_BYTES = 120  # kept free for the marks
_MOST_TAIL_BYTES = 4 << 20  # which wait in memory
_WITHIN_CHARACTERS = bytes(range(0x80, 0xC0))  # UTF-8
_Decoder = codecs.getincrementaldecoder("utf-8")


class Allowance:
    """What one run may print to both streams together; None: all."""

    def __init__(self, limit_bytes: float | None) -> None:
        self._decoders: dict[int, codecs.IncrementalDecoder] = {}  # most runs print nothing
        half = 0 if limit_bytes is None else int(limit_bytes) // 2
        self._tail_room = max(0, min(half - _MARK_BYTES, _MOST_TAIL_BYTES))
        self._room = (
            None if limit_bytes is None else max(half, int(limit_bytes) - self._tail_room - _MARK_BYTES)
        )
        self._tail: deque[tuple[int, bytes]] = deque()
        self._tail_bytes = 0
        self._missing = [0, 0]

    def admit(self, stream: int, data: bytes) -> str:
        """Return what of `data` goes out at once."""
        head = data if self._room is None else data[: self._room]
        if self._room is not None:
            self._room -= len(head)
            if len(head) < len(data):
                self._keep(stream, data[len(head) :])
        if stream not in self._decoders:
            self._decoders[stream] = _Decoder("replace")
        return self._decoders[stream].decode(head)

    def _keep(self, stream: int, data: bytes) -> None:
        """Keep what is printed last, without what it drives out."""
        self._tail.append((stream, data))
        self._tail_bytes += len(data)
        while (over := self._tail_bytes - self._tail_room) > 0:
            stream, data = self._tail.popleft()
            out = min(over, len(data))
            self._missing[stream] += out
            self._tail_bytes -= out
            if out < len(data):
                self._tail.appendleft((stream, data[out:]))

    @property
    def is_cut(self) -> bool:
        """Whether something is missing in what goes out."""
        return any(self._missing)

    def rest(self, stream: int) -> str:
        """Return the mark and the last part, at the end of the run."""
        if stream not in self._decoders:
            return ""
        tail = b"".join(data for owner, data in self._tail if owner == stream)
        if not self._missing[stream]:
            return self._decoders[stream].decode(tail, final=True)
        mark = f"\n… {self._missing[stream]} bytes of output are missing here …\n"
        return mark + tail.lstrip(_WITHIN_CHARACTERS).decode("utf-8", "replace")
