"""`sys.stdout` and `sys.stderr` of the interpreter: text -> bytes for whoever takes them, each print whole. And `sys.stdin`."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Protocol

from pinjra.guard.errors import GuestStop


class Below(Protocol):
    """Takes what is printed to 1 or 2."""

    has_descriptors: bool
    """They are descriptors of this process."""

    def write(self, number: int, data: memoryview) -> None:
        """Take all of `data`."""

    def flush(self) -> None:
        """Let go of what waits."""


def text_stream(number: int, below: Below) -> io.TextIOWrapper:
    """Return the text stream 1 or 2."""
    raw, errors = _Stream(number, below), "replace" if number == 1 else "backslashreplace"
    stream = io.TextIOWrapper(raw, encoding="utf-8", errors=errors, newline="\n", write_through=True)
    setattr(stream, "mode", "w")  # noqa: B010 (as CPython does)
    return stream


class _Stream(io.RawIOBase):
    def __init__(self, number: int, below: Below) -> None:
        self._number = number
        self._below = below
        self.name = ("<stdin>", "<stdout>", "<stderr>")[number]

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        view = memoryview(data).cast("B")
        self._below.write(self._number, view)
        return view.nbytes

    def flush(self) -> None:
        super().flush()
        self._below.flush()

    def close(self) -> None:
        """Stay open: a program closes it, or makes another stream over it and forgets that, and the next run prints too."""
        self.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number if self._below.has_descriptors else super().fileno()


def flush_streams() -> None:
    """Let what a program has put in the place of the streams write what it holds, as Python does at the end."""
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except (GuestStop, KeyboardInterrupt):
            raise
        except BaseException:  # SECURITY: a stream of the guest's is its code  # noqa: S110
            pass


def input_stream(first: bytes, ask: Callable[[], bytes] | None) -> io.TextIOWrapper:
    """Return the text stream 0.

    Args:
        first: What is there.
        ask: Returns what follows, piece by piece; nothing at the end. None: nothing follows.
    """
    stream = io.TextIOWrapper(_input(first, ask), encoding="utf-8", errors="replace")
    setattr(stream, "mode", "r")  # noqa: B010 (as CPython does)
    return stream


def _input(first: bytes, ask: Callable[[], bytes] | None) -> io.BytesIO | io.BufferedReader:
    if ask is not None:
        return io.BufferedReader(_Given(first, ask))
    file = io.BytesIO(first)
    file.name = _Given.name
    return file


class _Given(io.RawIOBase):
    name = "<stdin>"

    def __init__(self, first: bytes, ask: Callable[[], bytes]) -> None:
        self._left = memoryview(first)
        self._ask = ask
        self._is_over = False

    def readinto(self, into: memoryview, /) -> int:  # type: ignore[override]
        if not self._left and not self._is_over:
            self._left = memoryview(self._ask())
            self._is_over = not self._left
        taken = self._left[: len(into)]
        into[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)

    def readable(self) -> bool:
        return True
