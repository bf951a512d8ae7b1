"""The part of a process's memory that guest code cannot fill: without it nothing could be done about a full one."""

from __future__ import annotations

import mmap
import resource

__all__ = ["MemoryReserve"]

_MOST_BYTES = 32 << 20  # an eighth of a small limit
_SPARES, _SPARE_BYTES = 128, 400  # some pools of CPython's allocator, which objects of any size can use


class MemoryReserve:
    """Kept back while guest code runs, given back at its end; where the rest is full, the next run may use it."""

    def __init__(self) -> None:
        _soft, self._limit = resource.getrlimit(resource.RLIMIT_DATA)
        self._size = 0 if self._limit == resource.RLIM_INFINITY else min(_MOST_BYTES, self._limit // 8)
        self._spare: list[bytes] = []
        self.is_needed = False
        """The rest is full."""

    def keep_back(self) -> None:
        """Begin a run."""
        try:
            self._spare = self._spare or [bytes(_SPARE_BYTES) for _ in range(_SPARES)]
        except MemoryError:
            pass
        if not self.is_needed:
            self._let_use(self._limit - self._size)

    def give_back(self) -> None:
        """Let what is kept back be used, in a moment when there may be no room for one object."""
        self._spare = []
        self._let_use(self._limit)

    def end_run(self) -> None:
        """Find out whether guest code has filled the rest, and give back."""
        self._let_use(self._limit - self._size)
        try:
            if self._size:
                mmap.mmap(-1, self._size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
            self.is_needed = False
        except (OSError, MemoryError):
            self.is_needed = True
        self._let_use(self._limit)

    def _let_use(self, size: int) -> None:
        if self._size:
            try:
                resource.setrlimit(resource.RLIMIT_DATA, (size, self._limit))
            except (OSError, ValueError):  # guest code has lowered the limit itself
                pass
