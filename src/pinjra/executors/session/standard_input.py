"""What a run is given as its standard input -> its pieces, when the guest asks for them."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

from pinjra.core.files import GivenInput

_PIECE_BYTES = 1 << 20  # of one message; what fits goes with the run, without being asked for


class StandardInput:
    """The standard input of one run. Of a file nothing is read before the guest asks, so that it may be endless.

    Attributes:
        first: What goes with the run.
        has_more: There is more, perhaps.
        may_wait: Reading more may take as long as it likes: it is a file, or a pipe whose other end is slow.
    """

    def __init__(self, given: GivenInput | None) -> None:
        data = given.encode() if isinstance(given, str) else b"" if given is None else given
        self.may_wait = not isinstance(data, (bytes, bytearray, memoryview))
        self._read = _reader(data if self.may_wait else io.BytesIO(data))  # type: ignore[arg-type]
        self.first = b"" if self.may_wait else self._read(_PIECE_BYTES)
        self.has_more = self.may_wait or len(self.first) == _PIECE_BYTES
        self._busy = threading.Lock()

    def begin(self) -> bool:
        """Return whether the next piece may be read now. SECURITY: one at a time, however many a guest asks for."""
        return self._busy.acquire(blocking=False)

    def next_piece(self) -> bytes:
        """Return the next piece, after `begin`; nothing at the end. Raises what the file raises."""
        try:
            return self._read(_PIECE_BYTES) if self.has_more else b""
        finally:
            self._busy.release()


def _reader(file: object) -> Callable[[int], bytes]:
    # read() of a buffered file waits until there is as much as was asked for.
    read = getattr(file, "read1", None) or getattr(file, "read")  # noqa: B009 (it is checked to have it)

    def pieces(size: int) -> bytes:
        piece = read(size) or b""
        return piece.encode() if isinstance(piece, str) else bytes(piece)

    return pieces
