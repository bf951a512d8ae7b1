"""The host's signal -> the stop of the run, and the guest's own SIGINT -> KeyboardInterrupt, when nothing of ours is half done.

The host's handler raises in whatever the main thread does, so a sleep or a lock ends at once. It does not raise while a
frame is being written or a message taken apart (`held`), or while a tool's answer is awaited: then the stop comes
right behind. So it is with a SIGINT, which the guest may catch: it sends that to itself, the host has another signal.
"""

from __future__ import annotations

import _thread
import signal
from collections.abc import Callable

from pinjra.core.execution import Cause
from pinjra.guard.errors import GuestStop


class Interrupts:
    """Whether, and when, a stop may end the run in progress."""

    tell: Callable[[Cause, str], None]
    """Tells the guard, which raises again where guest code swallowed the stop; set before there is a run."""

    def __init__(self) -> None:
        self._main = _thread.get_ident()
        self._held = 0
        self._is_running = False
        self.is_stopped = False
        self._is_asked = False  # by the guest itself
        self._why = (Cause.INTERRUPT, "")

    @property
    def is_main_thread(self) -> bool:
        """Whether the caller is the thread that is interrupted."""
        return _thread.get_ident() == self._main

    def install(self, stop: signal.Signals) -> None:
        """Take both signals, also when they were ignored by whoever started the worker."""
        signal.signal(stop, lambda _number, _frame: self._on_stop())
        signal.signal(signal.SIGINT, lambda _number, _frame: self._on_own())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {stop, signal.SIGINT})

    def begin_run(self) -> None:
        """From now on an interrupt has something to stop."""
        self.is_stopped = self._is_asked = False
        self._is_running = True

    def end_run(self) -> None:
        """From now on an interrupt is too late."""
        self._is_running = False

    def __enter__(self) -> None:
        """Hold the interrupt back. On another thread than the main one, where the handler runs, there is nothing to hold."""
        self._held += self.is_main_thread

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        """Let it through; it stops the run here when it came in between."""
        if self.is_main_thread:
            self._held -= 1
            if kind is None:
                self.check()

    def stop(self, cause: Cause, words: str = "") -> None:
        """Stop the run in progress, at the next place where that is possible; between runs do nothing."""
        if self._is_running:
            self.is_stopped, self._why = True, (cause, words)
            self.tell(cause, words)

    def check(self) -> None:
        """Stop the run here when its stop, or a signal of its own, came while that was held back.

        Raises:
            GuestStop: The stop did.
            KeyboardInterrupt: A signal of the guest's own did.
        """
        if not self._is_running or self._held:
            return
        if self.is_stopped:
            raise GuestStop(*self._why)
        if self._is_asked:
            self._is_asked = False
            raise KeyboardInterrupt

    def _on_stop(self) -> None:
        self.stop(Cause.INTERRUPT)
        self.check()

    def _on_own(self) -> None:
        self._is_asked = True
        self.check()
