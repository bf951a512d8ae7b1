"""Limits that an interpreter puts on itself, and the part of its memory that guest code cannot fill."""

from __future__ import annotations

import math
import mmap
import resource

_MOST_BYTES = 32 << 20  # an eighth of a small limit
_SPARES, _SPARE_BYTES = 128, 400  # some pools of CPython's allocator, which objects of any size can use


def limit_memory(memory_bytes: float | None, disk_bytes: float | None) -> None:
    """Lower this process's limits to what one session may use; never raise what is in force already (the jail's).

    RLIMIT_DATA counts what can be written and is not shared: memory in use or about to be. RLIMIT_AS counts
    reservations too (a thread's arena is 64 MiB of them), so it only stops what RLIMIT_DATA does not see, shared
    mappings. Where the jail has set limits, that one is its business: a group may count what is used.
    """
    if memory_bytes is not None:
        if resource.getrlimit(resource.RLIMIT_DATA)[1] == resource.RLIM_INFINITY:
            _lower(resource.RLIMIT_AS, int(memory_bytes) + (4 << 30))
        _lower(resource.RLIMIT_DATA, int(memory_bytes))
    if disk_bytes is not None:
        _lower(resource.RLIMIT_FSIZE, int(disk_bytes))
    _lower(resource.RLIMIT_CORE, 0)


def limit_processor(seconds: float | None) -> None:
    """Let the kernel end this process when it uses so much more processor time, and a second; a child as much again.

    Behind the supervisor, which counts all processes together and from outside. Soft only: the next run has its own.
    """
    if seconds is None:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(usage.ru_utime + usage.ru_stime + seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    try:
        resource.setrlimit(
            resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
        )
    except (OSError, ValueError):  # guest code has lowered it below what it has used
        pass


def _lower(which: int, value: int) -> None:
    soft, hard = resource.getrlimit(which)
    bounds = [value, *(bound for bound in (soft, hard) if bound != resource.RLIM_INFINITY)]
    try:
        resource.setrlimit(which, (min(bounds), min(bounds)))
    except (OSError, ValueError):  # a platform without this limit
        pass


class MemoryReserve:
    """Kept back while guest code runs, given back at its end; where the rest is full, the next run may use it.

    Without it nothing could be done about a full memory.
    """

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
