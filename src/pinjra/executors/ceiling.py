"""Memory limits of runs in this process -> RLIMIT_DATA, which the kernel holds inside a single C call.

The watchdog looks at resident memory some fifty times a second; `s + s` doubles it in between, and a C call that never lets
go of the interpreter lock (`t = set; t(range(10**13))`) keeps it from looking at all. The limit is of the whole process, so
it is set only while no thread but the guest's could be hurt by it, and lifted while a host tool runs.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading

__all__ = ["Ceiling"]

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_OWN_THREADS = 2  # the guest's and the watchdog's


class Ceiling:
    """The limit of one run: `lower` it when the guest goes on, `lift` it when the host does."""

    __slots__ = ("_bytes", "_limit")

    def __init__(self, memory_bytes: int | None) -> None:
        self._bytes = memory_bytes
        self._limit: tuple[int, int] | None = None  # (soft, hard), as found

    def lower(self) -> None:
        """Give the process what it has now and the run's memory limit (an eighth more, which the watchdog sees first)."""
        if self._bytes is None or self._limit is not None or sys.platform != "linux":
            return
        if threading.active_count() > _OWN_THREADS:
            return
        now = _data_bytes()
        if now is None:
            return
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = now + self._bytes + self._bytes // 8
        if soft == resource.RLIM_INFINITY or wanted < soft:
            with contextlib.suppress(ValueError, OSError):  # refused to this process
                resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
                self._limit = (soft, hard)

    def lift(self) -> None:
        """Put back the limit that was found."""
        if self._limit is not None:
            import resource

            limit, self._limit = self._limit, None
            resource.setrlimit(resource.RLIMIT_DATA, limit)


_statm: tuple[int, int] | None = (
    None  # process and descriptor: a descriptor of before a fork tells of the parent
)


def _data_bytes() -> int | None:
    """Return the private writable memory of this process; None where the system does not tell (proc(5), statm)."""
    global _statm  # one descriptor a process: opening the file costs more than a trivial run
    try:
        if _statm is None or _statm[0] != os.getpid():
            _statm = os.getpid(), os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        return int(os.pread(_statm[1], 200, 0).split()[5]) * _PAGE
    except OSError:
        return None
