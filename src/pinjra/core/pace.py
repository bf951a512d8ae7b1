"""How often something may begin -> how long whoever comes next waits for its turn."""

from __future__ import annotations

import threading
import time


class Pace:
    """Lets so many begin a minute, from however many threads.

    Args:
        per_minute: Above 0; None for any number.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._per_minute = per_minute
        self._seconds = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def seconds(self) -> float:
        """Return how long the next one waits for its turn."""
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._next)
            self._next = begin + self._seconds
        return begin - now

    def __reduce__(self) -> tuple[object, ...]:
        return Pace, (self._per_minute,)
