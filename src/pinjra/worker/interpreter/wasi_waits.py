"""Sleeps and event loops of a process without sockets and threads: they wait for the line to the host, or for time."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Mapping
from typing import cast

__all__ = ["adapt"]

_LONGEST_SECONDS = 1.0  # of one wait without a deadline
_NO_DESCRIPTOR = 1 << 20  # of the pair by which a loop would wake itself: never polled


def adapt(
    look: Callable[[float], None],
    has_input: Callable[[float], bool],
    is_stopped: Callable[[], bool],
    before: Callable[[], None],
    check: Callable[[], None],
) -> None:
    """Replace what waits in this process; before guest code runs, and before asyncio is imported.

    Args:
        look: Takes what comes on the line within so many seconds.
        has_input: Returns whether there is something on the line, waiting at most so many seconds.
        is_stopped: Returns whether the run is being stopped: then nothing is waited for.
        before: Called before each wait.
        check: Called after each; raises where the run is being stopped.
    """

    def sleep(seconds: float, /) -> None:
        before()
        deadline = time.monotonic() + seconds
        look(seconds)
        while (left := deadline - time.monotonic()) > 0 and not is_stopped():
            look(left)
        check()

    class LineSelector(_Registry):
        """Waits for the line, when somebody asked for it, or for time."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            seconds = _LONGEST_SECONDS if timeout is None else max(0.0, timeout)
            key = self.keys.get(0)
            if key is None:
                sleep(seconds)
                return []
            before()
            found = has_input(seconds)
            check()
            return [(key, selectors.EVENT_READ)] if found else []

    time.sleep = sleep
    selectors.DefaultSelector = LineSelector  # type: ignore[misc, assignment]
    socket.socketpair = cast("Callable[..., tuple[socket.socket, socket.socket]]", _pair)


class _Registry(selectors.BaseSelector):
    """Descriptor → key. `select` is the subclass's."""

    def __init__(self) -> None:
        self.keys: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: object, events: int, data: object = None) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else int(fileobj.fileno())  # type: ignore[attr-defined]
        key = selectors.SelectorKey(fd, fd, events, data)
        self.keys[fd] = key
        return key

    def unregister(self, fileobj: object) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else int(fileobj.fileno())  # type: ignore[attr-defined]
        return self.keys.pop(fd)

    def get_map(self) -> Mapping[object, selectors.SelectorKey]:  # type: ignore[override]
        return cast("Mapping[object, selectors.SelectorKey]", self.keys)


class _Silent:
    """An end of a socket pair over which nobody says anything: there is no other thread to wake the loop from."""

    def fileno(self) -> int:
        return _NO_DESCRIPTOR

    def setblocking(self, flag: bool) -> None:
        """Do nothing."""

    def send(self, data: bytes) -> int:
        """Return how much was taken: all, and it is dropped."""
        return len(data)

    def close(self) -> None:
        """Do nothing."""


def _pair(*_arguments: object) -> tuple[_Silent, _Silent]:
    return _Silent(), _Silent()
