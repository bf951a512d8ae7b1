"""Descriptors 1 and 2 of the box -> `Captured` messages: what C code and child processes write never meets the protocol."""

from __future__ import annotations

import codecs
import os
import select
from collections.abc import Callable

from pinjra.wire.messages import Captured
from pinjra.worker.supervisor.outbox import read_some
from pinjra.worker.supervisor.processes import Death

__all__ = ["Capture"]

_LAST_BYTES = 2000  # of stderr, told when the interpreter died of our own fault
_READS = 16  # pieces of 64 KiB read in one go: more waits for the next turn, so that a flood cannot keep the supervisor
_OWN_FAULT = "exit status 70"


class Capture:
    """The reading ends of the pipes that stand at 1 and 2."""

    def __init__(self, out: int, err: int) -> None:
        self.fds = (out, err)
        self._poll = select.poll()
        decoder = codecs.getincrementaldecoder("utf-8")
        self._streams = {out: ("stdout", decoder("replace")), err: ("stderr", decoder("replace"))}
        self._last = b""
        for fd in self.fds:
            self._poll.register(fd, select.POLLIN)

    @classmethod
    def install(cls) -> Capture:
        """Point 0 at nothing, and 1 and 2 of this process and all below it at two pipes."""
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        readers = []
        for fd in (1, 2):
            read, write = os.pipe()
            os.dup2(write, fd)
            os.close(write)
            os.set_blocking(read, False)
            readers.append(read)
        if nothing > 2:
            os.close(nothing)
        return cls(*readers)

    @classmethod
    def branch(cls) -> tuple[Capture, tuple[int, int]]:
        """Return another pair of reading ends, and the writing ends, which become 1 and 2 of another interpreter."""
        readers, writers = zip(*(os.pipe() for _stream in range(2)), strict=True)
        for fd in readers:
            os.set_blocking(fd, False)
        return cls(*readers), (writers[0], writers[1])

    def close(self) -> None:
        """Close the reading ends."""
        for fd in self.fds:
            os.close(fd)

    def read(self, allow: Callable[[str], str] | None) -> list[Captured]:
        """Return what was written since the last look, as far as the run may still print.

        Args:
            allow: Cuts a text to the run's allowance; None when there is no session yet.
        """
        messages = []
        for fd, _events in self._poll.poll(0):  # one question for both: nearly always there is nothing
            stream, decoder = self._streams[fd]
            for _turn in range(_READS):
                data = read_some(fd, 1 << 16)
                if not data:
                    break
                if stream == "stderr":
                    self._last = (self._last + data)[-_LAST_BYTES:]
                text = decoder.decode(data)
                text = allow(text) if allow is not None else text
                if text:
                    messages.append(Captured(stream=stream, text=text))
        return messages

    def last_words(self, death: Death) -> str:
        """Return what the interpreter wrote when it died of our own fault; "" otherwise."""
        if death.detail != _OWN_FAULT:
            return ""
        return ": " + self._last.decode("utf-8", "replace").strip()
