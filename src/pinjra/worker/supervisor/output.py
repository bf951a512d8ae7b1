"""Descriptors 1 and 2 of the box -> `Output` messages within a run's limit: what Python, C code and programs print.

Theory: `sys.stdout` and `sys.stderr` of the interpreter write to these descriptors at once, so what was printed before a crash is
in the pipe, and a guest that prints faster than the host reads waits in the kernel. The limit is kept by the
`RunOutput` of this process, where guest code cannot reach it.

What does not work: a ring in shared memory (it needs messages that say that there is text, pauses to wait for room, and its own
decoders), or one message a print (a million prints are a million messages of the host's).
"""

from __future__ import annotations

import os
import select
import time

from pinjra.wire.messages import Output
from pinjra.worker.run_output import STREAMS, RunOutput
from pinjra.worker.scratch.files import Files
from pinjra.worker.supervisor.outbox import READ_BYTES, read_some
from pinjra.worker.supervisor.processes import Death

_LAST_BYTES = 2000  # of stderr, told when the interpreter died of our own fault
_READS = 16  # pieces of 64 KiB read in one go: more waits for the next turn, so that a flood cannot keep the supervisor
_EAGER = 200  # times in a run that text goes out at once
_PAUSE_SECONDS = 0.002  # before each further look: 500 messages a second at most, whatever a guest prints
_OWN_FAULT = "exit status 70"


class PrintedOutput:
    """The reading ends of the pipes that stand at 1 and 2, and what the run in progress may still print."""

    def __init__(self, out: int, err: int) -> None:
        self.fds = (out, err)
        self.deadline: float | None = None
        """When to look again; until then the descriptors are not polled."""
        self._poll = select.poll()
        self._last_words = b""
        for fd in self.fds:
            self._poll.register(fd, select.POLLIN)
        self._run: RunOutput | None = None  # between runs: what is printed goes nowhere
        self._eager = 0

    @classmethod
    def install(cls) -> PrintedOutput:
        """Point 0 at nothing, and 1 and 2 of this process and all below it at two pipes."""
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        if nothing > 2:
            os.close(nothing)
        output, writers = cls.branch()
        for number, fd in enumerate(writers, 1):
            os.dup2(fd, number)
            os.close(fd)
        return output

    @classmethod
    def branch(cls) -> tuple[PrintedOutput, tuple[int, int]]:
        """Return another pair of reading ends, and the writing ends, which become 1 and 2 of another interpreter."""
        readers, writers = zip(*(os.pipe() for _name in STREAMS), strict=True)
        for fd in readers:
            os.set_blocking(fd, False)
        return cls(*readers), (writers[0], writers[1])

    def close(self) -> None:
        """Close the reading ends."""
        for fd in self.fds:
            os.close(fd)

    # ------------------------------------------------------------ a run

    def start_run(self, limit_bytes: float | None, files: Files | None = None) -> None:
        """Drop what was printed since the last run; see `RunOutput`."""
        self._run = None
        self.take()
        self._run = RunOutput(limit_bytes, files)
        self._eager = _EAGER

    def take(self) -> list[Output]:
        """Return what was written since the last look, as far as it goes out at once."""
        self.deadline = None
        pieces = []
        for fd, _events in self._poll.poll(0):  # one question for both: nearly always there is nothing
            for _turn in range(_READS):
                data = read_some(fd, READ_BYTES)
                if not data:
                    break
                pieces.append((fd, data))
        if not pieces:
            return []
        self._eager -= 1
        if self._eager < 0:
            self.deadline = time.monotonic() + _PAUSE_SECONDS
        said = []
        for fd, data in pieces:
            if fd == self.fds[1]:
                self._last_words = (self._last_words + data)[-_LAST_BYTES:]
            if self._run is not None:
                said += self._run.add(self.fds.index(fd), data)
        return said

    def end_run(self) -> list[Output]:
        """Return what is left: text that waits, the mark, and the last part of what was printed."""
        messages = self.take()
        run, self._run = self._run, None
        return messages if run is None else messages + run.end()

    def last_words(self, death: Death) -> str:
        """Return what the interpreter wrote when it died of our own fault; "" otherwise."""
        if death.detail != _OWN_FAULT:
            return ""
        return ": " + self._last_words.decode("utf-8", "replace").strip()
