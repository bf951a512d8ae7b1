"""What a run prints -> what is said of it: the first part at once, the last part at its end, and how much is missing between.

Where something is missing, all of it is in a file of the scratch folder. The one place where `Limits.output_bytes` is kept.
"""

from __future__ import annotations

import codecs
from collections import deque

from pinjra.wire.messages import Output
from pinjra.worker.scratch.files import Files

STREAMS = ("stdout", "stderr")
FILE_NAME = "printed-output.txt"
_MARK_BYTES = 120  # kept free for the marks
_MOST_TAIL_BYTES = 4 << 20  # which wait in memory
_WITHIN_CHARACTERS = bytes(range(0x80, 0xC0))  # UTF-8
_Decoder = codecs.getincrementaldecoder("utf-8")

_PIECE_BYTES = 1 << 20  # of one writing of the file
_MOST_FILE_BYTES = 256 << 20  # where the folder has no quota
_SHARE = 4  # of the quota: a guest that prints for ever must not take the room of its own files
_END = "\n… what was printed after this did not fit into the file …\n".encode()


class RunOutput:
    """What one run may print to both streams together.

    Args:
        limit_bytes: None: all of it is said.
        files: Where the file is written, when something is missing. None: nowhere.
    """

    def __init__(self, limit_bytes: float | None, files: Files | None = None) -> None:
        self._decoders: dict[int, codecs.IncrementalDecoder] = {}  # most runs print nothing
        half = 0 if limit_bytes is None else int(limit_bytes) // 2
        self._tail_room = max(0, min(half - _MARK_BYTES, _MOST_TAIL_BYTES))
        self._room = (
            None if limit_bytes is None else max(half, int(limit_bytes) - self._tail_room - _MARK_BYTES)
        )
        self._tail: deque[tuple[int, bytes]] = deque()
        self._tail_bytes = 0
        self._missing = [0, 0]
        self._file = None if files is None or limit_bytes is None else _OutputFile(files)

    def add(self, stream: int, data: bytes) -> list[Output]:
        """Take what was printed to `stream`, 0 or 1; return what of it is said at once."""
        head = data if self._room is None else data[: self._room]
        if self._room is not None:
            self._room -= len(head)
            if len(head) < len(data):
                self._keep(stream, data[len(head) :])
        if self._file is not None:
            self._file.add(data, is_needed=any(self._missing))
        if stream not in self._decoders:
            self._decoders[stream] = _Decoder("replace")
        return _said(stream, self._decoders[stream].decode(head))

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

    def end(self) -> list[Output]:
        """Return what is said at the end of the run: the marks, the last part, and where the file is."""
        said = [message for stream in sorted(self._decoders) for message in _said(stream, self._rest(stream))]
        size = self._file.end() if self._file is not None and any(self._missing) else 0
        if size:
            said.append(Output(stream=STREAMS[0], text="", file=FILE_NAME, file_bytes=size))
        return said

    def _rest(self, stream: int) -> str:
        tail = b"".join(data for owner, data in self._tail if owner == stream)
        if not self._missing[stream]:
            return self._decoders[stream].decode(tail, final=True)
        mark = f"\n… {self._missing[stream]} bytes of output are missing here …\n"
        return mark + tail.lstrip(_WITHIN_CHARACTERS).decode("utf-8", "replace")


def _said(stream: int, text: str) -> list[Output]:
    return [Output(stream=STREAMS[stream], text=text)] if text else []


class _OutputFile:
    """All that a run prints, in the order in which it was read. It waits in memory as long as nothing is missing."""

    def __init__(self, files: Files) -> None:
        self._files = files
        quota = files.quota_bytes
        self._room = _MOST_FILE_BYTES if quota is None else int(quota) // _SHARE
        self._waiting = bytearray()
        self._written = 0

    def add(self, data: bytes, *, is_needed: bool) -> None:
        room = self._room - self._written - len(self._waiting)
        self._waiting += data[: max(room, 0)]
        if 0 <= room < len(data):
            self._waiting += _END
        if is_needed and len(self._waiting) >= _PIECE_BYTES:
            self._write()

    def end(self) -> int:
        """Write what waits; return how many bytes the file has, 0 where it could not be written."""
        self._write()
        return self._written

    def _write(self) -> None:
        piece = bytes(self._waiting)
        self._waiting.clear()
        if piece:
            try:
                self._files.put(FILE_NAME, piece, self._written)
            except Exception:  # no room, or the guest has laid something else there
                self._room, self._written = -1, 0
            else:
                self._written += len(piece)
