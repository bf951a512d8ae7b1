"""A started executor -> a warm process that forks one child for each snippet. One box does one thing at a time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pinjra.core.errors import PinjraError, StartupFailed
from pinjra.core.execution import Execution
from pinjra.fleet.requests import Request, most_seconds

if TYPE_CHECKING:
    from pinjra.executors.base import PythonExecutor

__all__ = ["WARDEN", "Box", "BoxLost", "BoxUseless"]

Talk = Callable[[Mapping[str, Any]], Mapping[str, Any]]

# What runs in a box; it is never imported here.
WARDEN = "pinjra.snippets.warden"
_LATE_SECONDS = 5.0  # a box that is so much later than its requests' own limits is stuck
_OF_THE_MOMENT = ("BlockingIOError", "MemoryError", "OSError", "RuntimeError")
_NOBODY: Mapping[str, Any] = {"error": "nobody is there", "bases": [], "message": ""}


class BoxLost(Exception):
    """The box has ended, with the snippets that were in it. Their fault or not: run them again elsewhere.

    Args:
        is_stuck: It did not end, but was so late that it was ended.
        seconds: That they were in it.
    """

    def __init__(self, message: str, *, is_stuck: bool = False, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.is_stuck = is_stuck
        self.seconds = seconds


class BoxUseless(StartupFailed):
    """A box came up, and what was to be done in it before the first snippet failed: so it will in each."""


class Box:
    """One box. Used by one thread.

    Args:
        executor: Owned by the box from now on. Without a guard, without limits of time of its own.
        preload: Modules that every child has already imported.

    Attributes:
        executor: Whose session it is.
    """

    def __init__(self, executor: PythonExecutor, preload: tuple[str, ...] = ()) -> None:
        self.executor = executor
        self._requests: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
        self._talk: Talk | None = None
        self._is_first = True
        self._taken = 0.0
        self.end: Execution | PinjraError | None = None
        executor.send_tools({"exchange": self._exchange, "interact": self._interact})
        self._thread = threading.Thread(
            target=self._serve, args=(preload,), name="pinjra-fleet-box", daemon=True
        )
        self._thread.start()

    def _serve(self, preload: tuple[str, ...]) -> None:
        try:
            folders = getattr(self.executor, "folders", ())
            self.end = self.executor.run(
                f"from {WARDEN} import serve\nserve(exchange, interact, {preload!r}, {folders!r})\n"
            )
        except PinjraError as error:
            self.end = error
        self._results.put(None)

    def _exchange(self, results: list[Any]) -> list[Any] | None:
        """Give the box its next requests; the tool that it calls when it has done the last ones."""
        if self._is_first:
            self._is_first = False
        else:
            self._results.put(results)
        requests = self._requests.get()
        self._taken = time.monotonic()
        return requests

    def _interact(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Pass on what the child in the box says to whoever talks to it."""
        return self._talk(message) if self._talk is not None else _NOBODY

    def run(self, requests: list[Request], talk: Talk | None = None) -> list[Mapping[str, Any]]:
        """Return what the box says of each request, in order.

        Args:
            talk: Answers what the child says, for the modes "calls" and "test"; called on another thread.

        Raises:
            BoxLost: The box died or is stuck; it is closed.
            StartupFailed: It did so before it took anything; `BoxUseless` where that is no accident.
        """
        self._talk = talk
        given = [request.data() for request in requests]
        self._requests.put(given)
        wall = sum(map(_longest_seconds, requests))
        is_stuck = False
        try:
            # SECURITY: a snippet can stop the processes of its box, though not look into them
            results = self._results.get(timeout=wall + _LATE_SECONDS)
        except queue.Empty:
            results, is_stuck = None, True
        if results is None or len(results) != len(requests):
            self.close()
            if self._is_first:  # it has not taken a single request: no snippet can be the reason
                kind = BoxUseless if _is_for_ever(self.end) else StartupFailed
                raise kind(f"a box did not come up: {_end_of(self.end)}")
            raise BoxLost(
                "the box was stuck" if is_stuck else f"the box has ended: {_end_of(self.end)}",
                is_stuck=is_stuck,
                seconds=time.monotonic() - self._taken,
            )
        return results

    def close(self) -> None:
        """End the box and everything in it."""
        self._requests.put(None)
        self.executor.close()


def _longest_seconds(request: Request) -> float:
    building = replace(request.limits, wall_seconds=request.build_seconds)
    return (
        (most_seconds(building) if request.build else 0.0)
        + most_seconds(request.limits)
        + request.others_seconds
    )


def _is_for_ever(end: Execution | PinjraError | None) -> bool:
    """Return whether a box ended by an exception of what it imports, not by what the machine lacked at that moment."""
    error = end.error if isinstance(end, Execution) else None
    return error is not None and error.cause is None and error.type not in _OF_THE_MOMENT


def _end_of(end: Execution | PinjraError | None) -> str:
    """Return why a box has ended, in a few words."""
    said = end.error if isinstance(end, Execution) else end
    return str(said or "nobody knows why")[:500]
