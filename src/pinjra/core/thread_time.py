"""The processor time that a thread has used, with what processes of this host have computed for it."""

from __future__ import annotations

import threading
import time

_elsewhere = threading.local()


def thread_seconds() -> float:
    """Return the processor time of this thread and of what others computed for it."""
    seconds: float = getattr(_elsewhere, "seconds", 0.0)
    return time.thread_time() + seconds


def charge(seconds: float) -> None:
    """Count what another process has computed for this thread."""
    _elsewhere.seconds = getattr(_elsewhere, "seconds", 0.0) + seconds
