"""SIGINT -> the stop of the run, at a moment when nothing of ours is half done.

The handler raises in whatever the main thread does, so a sleep or a lock ends at once. It does not raise while a
frame is being written or a message taken apart (`held`), or while a tool's answer is awaited: then the stop comes
right behind.
"""

from __future__ import annotations

import _thread
import signal
from collections.abc import Callable
from types import FrameType, TracebackType

from pinjra.core.execution import Cause
from pinjra.guard.errors import GuestStop

__all__ = ["Interrupts"]


class Interrupts:
    """Whether, and when, an interrupt may end the run in progress.

    Args:
        stop: Tells the guard; it raises again where guest code swallowed the stop.
    """

    def __init__(self, stop: Callable[[Cause], None]) -> None:
        self._stop = stop
        self._main = _thread.get_ident()
        self._held = 0
        self._is_running = False
        self.is_stopped = False

    @property
    def is_main_thread(self) -> bool:
        """Whether the caller is the thread that is interrupted."""
        return _thread.get_ident() == self._main

    def install(self) -> None:
        """Take SIGINT, also when it was ignored by whoever started the worker."""
        signal.signal(signal.SIGINT, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def begin_run(self) -> None:
        """From now on an interrupt has something to stop."""
        self.is_stopped = False
        self._is_running = True

    def end_run(self) -> None:
        """From now on an interrupt is too late."""
        self._is_running = False

    def __enter__(self) -> None:
        """Hold the interrupt back. On another thread than the main one, where the handler runs, there is nothing to hold."""
        self._held += self.is_main_thread

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let it through; it stops the run here when it came in between."""
        if self.is_main_thread:
            self._held -= 1
            if kind is None:
                self.check()

    def check(self) -> None:
        """Stop the run here when it was interrupted while that was held back.

        Raises:
            GuestStop: It was.
        """
        if self.is_stopped and self._is_running and not self._held:
            raise GuestStop(Cause.INTERRUPT)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self._is_running:
            return
        self.is_stopped = True
        self._stop(Cause.INTERRUPT)
        if not self._held:
            raise GuestStop(Cause.INTERRUPT)
