"""Stop: a flag with a reason that wakes whatever waits. Set once, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pinjra.agents.errors import AgentError

__all__ = ["Stop"]


class Stop:
    """Why a run must end, or None yet.

    What waits registers a callback that ends the waiting (`executor.interrupt`, waking a queue); so nothing polls.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: AgentError | None = None
        self._callbacks: dict[int, Callable[[], object]] = {}
        self._next = 0

    @property
    def reason(self) -> AgentError | None:
        """Return the first reason that was set."""
        return self._reason

    def set(self, reason: AgentError) -> None:
        """Stop for `reason`; later reasons are ignored."""
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback()

    def check(self) -> None:
        """Raise the reason when there is one.

        Raises:
            AgentInterrupted: `interrupt()` was called.
            AgentBudgetError: A budget is used up.
        """
        if self._reason is not None:
            raise self._reason

    @contextmanager
    def calling(self, callback: Callable[[], object]) -> Iterator[None]:
        """Call `callback` when the flag is set inside the block; at once when it is set already."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._callbacks[number] = callback
            late = self._reason is not None
        try:
            if late:
                callback()
            yield
        finally:
            with self._lock:
                del self._callbacks[number]
