"""`sys.stdout` and `sys.stderr` of the interpreter: text -> descriptors 1 and 2, at once, each print whole."""

from __future__ import annotations

import fcntl
import io
import os
import sys
import termios
import time

__all__ = ["install"]

_NAP_SECONDS = 0.0002
_MOST_SECONDS = 0.2  # of one run for the order of the two streams; a program that changes between them all the time loses it


def install() -> Descriptors:
    """Make the two streams; return what is below them."""
    below = Descriptors()
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = io.TextIOWrapper(
            _Descriptor(number, below), encoding="utf-8", errors="replace", newline="\n", write_through=True
        )
        setattr(stream, "mode", "w")  # noqa: B010 (as CPython does)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    return below


class Descriptors:
    """The two descriptors: who prints behind the other one waits until that was read, so that the order holds."""

    def __init__(self) -> None:
        self._last = 0
        self._left = 0.0

    def begin_run(self) -> None:
        """Begin a run: nothing printed."""
        self._last, self._left = 0, _MOST_SECONDS

    def wait_for_turn(self, number: int) -> None:
        """Return when what was printed to the other descriptor was read."""
        other, self._last = self._last, number
        while other not in (0, number) and self._left > 0 and _has_unread(other):
            time.sleep(_NAP_SECONDS)
            self._left -= _NAP_SECONDS


class _Descriptor(io.RawIOBase):
    """One of the two: each write goes out whole."""

    def __init__(self, number: int, below: Descriptors) -> None:
        self._number = number
        self._below = below
        self.name = ("<stdin>", "<stdout>", "<stderr>")[number]

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Write all of `data`; return its size."""
        view = memoryview(data).cast("B")
        self._below.wait_for_turn(self._number)
        while view:
            view = view[os.write(self._number, view) :]
        return memoryview(data).nbytes

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._number


def _has_unread(number: int) -> bool:
    try:
        return any(fcntl.ioctl(number, termios.FIONREAD, bytes(4)))
    except OSError:  # no pipe any more, or a kernel that does not say
        return False
