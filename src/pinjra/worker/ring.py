"""Text that the interpreter prints -> memory shared with the supervisor -> (stream, text) pieces, in order.

Theory: a print costs one copy into shared memory and no system call. The first byte into an empty ring, and a ring
that is half full, is told to the supervisor by a line on the socket (a *poke*); it drains the ring at most every 20
ms, before it relays any message of the interpreter (so the order holds), and after the interpreter has died (so
nothing that was printed is lost, however it died). The limit of `Limits.output_bytes` is kept by the supervisor,
where guest code cannot reach it.

Rules: only the interpreter writes `written`, only the supervisor writes `drained`; both only rise. Guest code that is
not guarded can write anything here: the reader believes no number before it checked it. 0xFF (never a byte of UTF-8)
and a digit change the stream.

What does not work: one message a print (4 µs each, a million prints are seconds); a timer signal in the interpreter
(it does not fire while C code runs, and what was printed before a crash is lost).
"""

from __future__ import annotations

import _thread
import codecs
import mmap
import os
import struct
import tempfile
from collections.abc import Callable

from pinjra.core.errors import ProtocolViolation

__all__ = ["DRAIN_NOW", "NEW_TEXT", "RingReader", "RingWriter", "make_ring", "make_sent_ring", "map_ring"]

RING_BYTES = (
    128 << 10
)  # text on its way: 20 ms of printing at 6 MB/s; counts once, however often it is forked
_HEAD = 64  # two numbers on a cache line of their own
_ROOM = RING_BYTES - _HEAD
_NUMBER = struct.Struct("=Q")
_WRITTEN, _DRAINED, _RUN = 0, 8, 16

NEW_TEXT = b"~"
DRAIN_NOW = b"!"

STREAMS = ("stdout", "stderr")
_SWITCH = (b"\xff0", b"\xff1")


def make_ring() -> mmap.mmap:
    """Return an empty ring, shared with every process forked from this one."""
    return mmap.mmap(-1, RING_BYTES)


def make_sent_ring(folder: str) -> tuple[mmap.mmap, int]:
    """Return an empty ring, and the descriptor by which a process that runs already can map it.

    Args:
        folder: Where it lies, without a name. Its pages are taken now: one that is missing later would be a SIGBUS.

    Raises:
        OSError: There is no room.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, RING_BYTES)
        return mmap.mmap(file.fileno(), RING_BYTES), os.dup(file.fileno())


def map_ring(fd: int) -> mmap.mmap:
    """Return the ring of `fd`, and close that.

    SECURITY: no descriptor of it stays open, by which guest code could cut the file: a touch of the ring would be a
    SIGBUS in the supervisor. `mmap` keeps a duplicate, which is the lowest free number.
    """
    duplicate = os.dup(fd)
    os.close(duplicate)
    ring = mmap.mmap(fd, RING_BYTES)
    os.close(duplicate)
    os.close(fd)
    _KEPT.append(ring)  # never closed: it would close whatever has the number by then
    return ring


_KEPT: list[mmap.mmap] = []


class RingWriter:
    """The interpreter's end.

    Args:
        poke: Sends one of the two marks to the supervisor.
        nap: Called again and again while there is no room.
        limit_bytes: After so much in one run, text is only counted: the supervisor would cut it anyway.
    """

    def __init__(
        self, ring: mmap.mmap, poke: Callable[[bytes], None], nap: Callable[[], None], limit_bytes: int | None
    ) -> None:
        self._ring = ring
        self._poke = poke
        self._nap = nap
        self._limit = limit_bytes
        self._lock = _thread.allocate_lock()
        self._written = 0
        self._stream = -1
        self._run_bytes = 0

    def start(self, run: int) -> None:
        """Begin a run: a fresh allowance."""
        self._run_bytes = 0
        self._stream = -1
        _NUMBER.pack_into(self._ring, _RUN, run)

    def take_over(self, ring: mmap.mmap | None = None) -> None:
        """Begin at the start of a ring that the supervisor has emptied, of another one if that is given."""
        self._written = 0
        self._ring = ring or self._ring

    def write(self, stream: int, text: str) -> None:
        """Add text of stream 0 (stdout) or 1 (stderr)."""
        with self._lock:
            self._write(stream, text)

    def _write(self, stream: int, text: str) -> None:
        data = text.encode("utf-8", "replace")
        self._run_bytes += len(data)
        if self._limit is not None and self._run_bytes - len(data) > self._limit:
            return
        if stream != self._stream:
            self._stream = stream
            data = _SWITCH[stream] + data
        # The limit, its marker and some: what is cut here would be cut there.
        room = None if self._limit is None else self._limit + 64
        data = data if room is None or len(data) <= room else data[:room]
        for start in range(0, len(data), _ROOM // 2):
            self._put(data[start : start + _ROOM // 2])

    def _number(self, place: int) -> int:
        return int(_NUMBER.unpack_from(self._ring, place)[0])

    def _put(self, data: bytes) -> None:
        ring, written, size = self._ring, self._written, len(data)
        used = written - self._number(_DRAINED)
        if used + size > _ROOM:
            used = self._wait_for(size)
        at = written % _ROOM
        end = at + size
        if end <= _ROOM:
            ring[_HEAD + at : _HEAD + end] = data
        else:
            split = _ROOM - at
            ring[_HEAD + at : _HEAD + _ROOM] = data[:split]
            ring[_HEAD : _HEAD + size - split] = data[split:]
        self._written = written + size
        _NUMBER.pack_into(ring, _WRITTEN, self._written)
        if used == 0:
            self._poke(NEW_TEXT)
        elif used < _ROOM // 2 <= used + size:
            self._poke(DRAIN_NOW)

    def _wait_for(self, size: int) -> int:
        self._poke(DRAIN_NOW)
        while (used := self._written - self._number(_DRAINED)) + size > _ROOM:
            self._nap()
        return used


class RingReader:
    """The supervisor's end: gives what was printed and keeps the limit.

    Args:
        limit_bytes: Text of one run after which one marker line is given and nothing more.
    """

    def __init__(self, ring: mmap.mmap, limit_bytes: int | None) -> None:
        self._ring = ring
        self._limit = limit_bytes
        self._drained = 0
        self._settled = 0
        self._stream = 0
        self._decoders = _decoders()
        self._tail = b""
        self.run_bytes = 0
        self._is_cut = False

    def start(self) -> None:
        """Begin a run: a fresh allowance. What was printed between the runs is dropped."""
        self.drain()
        if self.run_bytes:
            self._decoders = _decoders()
        self.run_bytes = 0
        self._is_cut = False

    def discard(self) -> None:
        """Forget what is in the ring and begin again at its start, whatever the numbers in it say."""
        self._drained = self._settled = self._stream = 0
        self._tail = b""
        self._ring[:24] = bytes(24)

    @property
    def run(self) -> int:
        """The number of the run, as the interpreter says (it never saw the supervisor parse its messages)."""
        return int(_NUMBER.unpack_from(self._ring, _RUN)[0]) & (1 << 62) - 1

    @property
    def has_text(self) -> bool:
        """Whether something was printed that was not drained."""
        return int(_NUMBER.unpack_from(self._ring, _WRITTEN)[0]) != self._drained

    def drain(self, *, everything: bool = True) -> list[tuple[str, str]]:
        """Return (stream, text) pieces in the order of printing.

        Args:
            everything: False leaves what was written since the last look. Without a message between the two
            processes, the other core's writes may become visible in another order (ARM): what is as old as the last
            look has settled.

        Raises:
            ProtocolViolation: The numbers in the ring are impossible (hostile guest code).
        """
        written = int(_NUMBER.unpack_from(self._ring, _WRITTEN)[0])
        # SECURITY: the guest can write any number; only a distance that fits the ring is read.
        if not 0 <= written - self._drained <= _ROOM:
            raise ProtocolViolation(
                f"the output ring's numbers are impossible: {written} after {self._drained}"
            )
        end = written if everything else min(self._settled, written)
        self._settled = written
        if end <= self._drained:
            return []
        at, size = self._drained % _ROOM, end - self._drained
        data = self._ring[_HEAD + at : _HEAD + min(at + size, _ROOM)]
        data += self._ring[_HEAD : _HEAD + size - len(data)]
        self._drained = end
        _NUMBER.pack_into(self._ring, _DRAINED, end)
        return self._pieces(data)

    def _pieces(self, data: bytes) -> list[tuple[str, str]]:
        pieces = []
        data = self._tail + data
        self._tail = b""
        if data.endswith(b"\xff"):
            data, self._tail = data[:-1], b"\xff"
        for number, part in enumerate(data.split(b"\xff")):
            if number:
                self._stream = 1 if part[:1] == b"1" else 0
                part = part[1:]
            text = self.allow(self._decoders[self._stream].decode(part))
            if text:
                pieces.append((STREAMS[self._stream], text))
        return pieces

    def allow(self, text: str) -> str:
        """Return what of `text` the run may still print: all, a cut piece with the marker, or ""."""
        size = len(text.encode("utf-8", "replace"))
        before, self.run_bytes = self.run_bytes, self.run_bytes + size
        if self._limit is None or self.run_bytes <= self._limit:
            return text
        if self._is_cut:
            return ""
        self._is_cut = True
        kept = text.encode("utf-8", "replace")[: max(0, int(self._limit) - before)].decode("utf-8", "ignore")
        return f"{kept}\n[output cut at {int(self._limit)} bytes]\n"


def _decoders() -> tuple[codecs.IncrementalDecoder, codecs.IncrementalDecoder]:
    make = codecs.getincrementaldecoder("utf-8")
    return make("replace"), make("replace")
