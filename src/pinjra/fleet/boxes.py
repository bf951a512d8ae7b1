"""A started executor -> a warm process that forks one child for each snippet. One box does one thing at a time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from pinjra.core.errors import PinjraError, StartupFailed
from pinjra.core.execution import Execution
from pinjra.fleet.requests import Request, most_seconds

if TYPE_CHECKING:
    from pinjra.executors.base import PythonExecutor

Message = Mapping[str, Any]
End = Execution | PinjraError | None

# What runs in a box; it is never imported here.
WARDEN = "pinjra.snippets.warden"
_LATE_SECONDS = 5.0  # a box that is so much later than its requests' own limits is stuck
_OF_THE_MOMENT = ("BlockingIOError", "MemoryError", "OSError", "RuntimeError")
_END: Mapping[str, Any] = {"end": True}


class BoxLost(Exception):
    """The box has ended, with the snippets that were in it. Their fault or not: run them again elsewhere.

    Args:
        is_stuck: It did not end, but was so late that it was ended.
        seconds: That they were in it.
        end: What its executor said of it, where it did.
    """

    def __init__(
        self, message: str, *, is_stuck: bool = False, seconds: float = 0.0, end: End = None
    ) -> None:
        super().__init__(message)
        self.is_stuck = is_stuck
        self.seconds = seconds
        self.end = end


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
        self._told: queue.SimpleQueue[Any] = queue.SimpleQueue()  # requests and answers; None: it is to end
        self._said: queue.SimpleQueue[Any] = queue.SimpleQueue()  # messages and results; None: it has ended
        self._count = 0
        self._is_first = True
        self._taken = self._until = 0.0
        self._end: End = None
        executor.send_tools({"exchange": self._exchange, "interact": self._interact})
        threading.Thread(target=self._serve, args=(preload,), name="pinjra-fleet-box", daemon=True).start()

    def _serve(self, preload: tuple[str, ...]) -> None:
        try:
            folders = getattr(self.executor, "folders", ())
            self._end = self.executor.run(
                f"from {WARDEN} import serve\nserve(exchange, interact, {preload!r}, {folders!r})\n"
            )
        except PinjraError as error:
            self._end = error
        self._said.put(None)

    def _exchange(self, results: list[Any]) -> list[Any] | None:
        """Give the box its next requests; the tool that it calls when it has done the last ones."""
        if self._is_first:
            self._is_first = False
        else:
            self._said.put(results)
        requests: list[Any] | None = self._told.get()
        self._taken = time.monotonic()
        return requests

    def _interact(self, message: Message) -> Message:
        """Pass on what the child in the box says, and return what it is answered."""
        self._said.put(message)
        return self._told.get() or _END

    def run(self, requests: list[Request]) -> list[Message]:
        """Return what the box says of each request, in order.

        Raises:
            BoxLost: The box died or is stuck, or a child speaks whom nobody asks; it is closed.
            StartupFailed: It did so before it took anything; `BoxUseless` where that is no accident.
        """
        self.begin(requests)
        said = self.said()
        return said if isinstance(said, list) else self._give_up("nobody has asked for what it said")

    def begin(self, requests: list[Request]) -> None:
        """Give the box requests."""
        self._count = len(requests)
        self._until = time.monotonic() + sum(map(_longest_seconds, requests)) + _LATE_SECONDS
        self._told.put([request.data() for request in requests])

    def said(self) -> Message | list[Message]:
        """Return what comes next: a message of a child (modes "calls" and "test"), to be answered, or results of all requests.

        Raises:
            BoxLost, StartupFailed: See `run`.
        """
        try:
            # SECURITY: a snippet can stop the processes of its box, though not look into them
            said = self._said.get(timeout=max(self._until - time.monotonic(), 0.0))
        except queue.Empty:
            return self._give_up("the box was stuck", is_stuck=True)
        if isinstance(said, Mapping) or (isinstance(said, list) and len(said) == self._count):
            return said
        return self._give_up(f"the box has ended: {_end_of(self._end)}")

    def answer(self, message: Message) -> None:
        """Answer a child's message."""
        self._told.put(message)

    def _give_up(self, why: str, *, is_stuck: bool = False) -> NoReturn:
        self.close()
        if self._is_first:  # it has not taken a single request: no snippet can be the reason
            kind = BoxUseless if _is_for_ever(self._end) else StartupFailed
            raise kind(f"a box did not come up: {_end_of(self._end)}")
        raise BoxLost(why, is_stuck=is_stuck, seconds=time.monotonic() - self._taken, end=self._end)

    def leave(self) -> None:
        """Have whoever waits for the box be told that it has ended, which ends it. From any thread."""
        self._said.put(None)

    def close(self) -> None:
        """End the box and everything in it."""
        self._told.put(None)
        self.executor.close()


def _longest_seconds(request: Request) -> float:
    building = replace(request.limits, wall_seconds=request.build_seconds)
    return (
        (most_seconds(building) if request.build else 0.0)
        + most_seconds(request.limits)
        + request.others_seconds
    )


def _is_for_ever(end: End) -> bool:
    """Return whether a box ended by an exception of what it imports, not by what the machine lacked at that moment."""
    error = end.error if isinstance(end, Execution) else None
    return error is not None and error.cause is None and error.type not in _OF_THE_MOMENT


def _end_of(end: End) -> str:
    """Return why a box has ended, in a few words."""
    said = end.error if isinstance(end, Execution) else end
    return str(said or "nobody knows why")[:500]
