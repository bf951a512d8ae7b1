"""All that a run prints -> a file of its scratch folder, where it is more than the run may say."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["NAME", "WholeOutput"]

NAME = "printed-output.txt"
_PIECE_BYTES = 1 << 20  # of one writing, each of which looks for room in the folder
_MOST_BYTES = 256 << 20  # where the folder has no quota
_SHARE = 4  # of the quota: a guest that prints for ever must not take the room of its own files
_END = "\n… what was printed after this did not fit into the file …\n".encode()


class WholeOutput:
    """What one run prints to both streams, in the order in which it was read.

    Args:
        put: Writes name, piece and offset into the scratch folder; any exception of it ends the file.
        quota_bytes: Of the folder; None for none.
    """

    def __init__(self, put: Callable[[str, bytes, int], None], quota_bytes: float | None) -> None:
        self._put = put
        self._room = _MOST_BYTES if quota_bytes is None else int(quota_bytes) // _SHARE
        self._waiting = bytearray()
        self._written = 0

    def add(self, data: bytes) -> None:
        """Take what was printed."""
        room = self._room - self._written - len(self._waiting)
        self._waiting += data[: max(room, 0)]
        if 0 <= room < len(data):
            self._waiting += _END
        if len(self._waiting) >= _PIECE_BYTES:
            self._write()

    def end(self, *, is_needed: bool) -> int:
        """Return how many bytes the file has; 0 where there is none, since nothing is missing elsewhere."""
        if is_needed or self._written:
            self._write()
        return self._written

    def _write(self) -> None:
        piece = bytes(self._waiting)
        self._waiting.clear()
        if piece:
            try:
                self._put(NAME, piece, self._written)
            except Exception:  # no room, or the guest has laid something else there
                self._room, self._written = -1, 0
            else:
                self._written += len(piece)
