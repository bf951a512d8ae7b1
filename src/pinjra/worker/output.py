"""Objects that stand at sys.stdout and sys.stderr in the interpreter: text -> the ring."""

from __future__ import annotations

import io
from collections.abc import Callable

__all__ = ["GuestStream"]

Write = Callable[[int, str], None]


class GuestStream(io.TextIOBase):
    """A text stream that guest code, and libraries, print to."""

    def __init__(self, number: int, write: Write) -> None:
        self._number = number
        self._write = write
        self.name = ("<stdout>", "<stderr>")[number]

    encoding = "utf-8"
    errors = "replace"
    mode = "w"

    def write(self, text: str) -> int:
        """Print `text`."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._write(self._number, text)
        return len(text)

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return False: nobody sits there."""
        return False

    def fileno(self) -> int:
        """Refuse: a descriptor would lead around the ring.

        Raises:
            io.UnsupportedOperation: Always.
        """
        raise io.UnsupportedOperation("fileno")
