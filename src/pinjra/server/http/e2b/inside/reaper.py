"""SIGCHLD -> the exit status of each child, told to whoever started it. Orphans of the box come to this process, too."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

__all__ = ["Reaper"]


class Reaper:
    """Waits for all children. Used on the event loop only."""

    def __init__(self) -> None:
        self._tells: dict[int, Callable[[int], None]] = {}

    @classmethod
    def install(cls, loop: asyncio.AbstractEventLoop) -> Reaper:
        """Return a reaper that works from now on."""
        reaper = cls()
        loop.add_signal_handler(signal.SIGCHLD, reaper.reap)
        return reaper

    def watch(self, pid: int, tell: Callable[[int], None]) -> None:
        """Call `tell` with the exit status of a child of this process (negative: a signal) once it has ended."""
        self._tells[pid] = tell

    def reap(self) -> None:
        """Take note of all children that have ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            tell = self._tells.pop(pid, None)
            if tell is not None:
                tell(os.waitstatus_to_exitcode(status))
