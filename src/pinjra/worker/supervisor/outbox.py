"""Bytes <-> descriptors that must not block."""

from __future__ import annotations

import os
from collections import deque

# The most bytes of one read: for more, malloc(3) asks the kernel for fresh pages, and gives them back, each time.
READ_BYTES = 64 << 10
_PIECE = 1 << 20


class Outbox:
    """What waits to be written to one non-blocking descriptor, in order."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = 0
        self.is_broken = False
        self._queue: deque[memoryview] = deque()

    def put(self, data: bytes) -> None:
        """Write as much as can be written now and keep the rest."""
        if not data or self.is_broken:
            return
        self._queue.append(memoryview(data))
        self.size += len(data)
        if len(self._queue) == 1:
            self.flush()

    def flush(self) -> None:
        """Write what can be written now."""
        while self._queue and not self.is_broken:
            view = self._queue[0]
            try:
                count = os.write(self.fd, view[:_PIECE])
            except BlockingIOError:
                return
            except OSError:
                self._queue.clear()
                self.size, self.is_broken = 0, True
                return
            self.size -= count
            if count == len(view):
                self._queue.popleft()
            else:
                self._queue[0] = view[count:]


def read_some(fd: int, size: int = READ_BYTES) -> bytes | None:
    """Return what can be read now; b"" at the end, None when there is nothing."""
    try:
        return os.read(fd, size)
    except BlockingIOError:
        return None
    except OSError:  # a reset connection is an end too
        return b""
