"""A run on the main thread -> a kernel timer that makes it look at its limits, also inside of a long call in C.

The watchdog's thread needs the interpreter lock, which `re` and big-integer arithmetic keep; they do look for signals. So the
kernel sends one (ITIMER_REAL, SIGALRM; setitimer(2)) when the wall limit is due, unless the host uses that timer itself.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

try:  # signal.signal turns its arguments into enumerations first: 5 µs a run
    from _signal import signal as _handle  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    _handle = signal.signal

__all__ = ["Alarm"]

_SOON = 0.05  # seconds to the next look, where the last one could not end the run
_armed: list[Alarm] = []  # of the runs on the main thread, innermost last


class Alarm:
    """The timer of one run on the main thread.

    Args:
        look: Ends the run by an exception if it is due, else returns the seconds until it may be.
    """

    def __init__(self, look: Callable[[], float]) -> None:
        self._look = look
        self._is_set = False

    def arm(self, seconds: float | None) -> None:
        """Let the kernel tell in so many seconds; None where there is no limit. Main thread only."""
        number = getattr(signal, "SIGALRM", None)
        if number is None or seconds is None:
            return
        free = signal.getsignal(number) is signal.SIG_DFL and signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
        if not free and not _armed:
            return  # the host's own timer
        _handle(number, _on_alarm)
        _armed.append(self)
        self._is_set = True
        _set(seconds)

    def disarm(self) -> None:
        """Give the timer back."""
        if not self._is_set:
            return
        self._is_set = False
        _armed.remove(self)
        if _armed:
            _set(_SOON)  # the run around this one looks for itself
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        _handle(signal.SIGALRM, int(signal.SIG_DFL))

    def ring(self) -> None:
        """Look, and come again."""
        _set(_SOON)
        _set(self._look())


def _set(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, max(seconds, _SOON))


def _on_alarm(number: int, frame: FrameType | None) -> None:
    if _armed:
        _armed[-1].ring()
