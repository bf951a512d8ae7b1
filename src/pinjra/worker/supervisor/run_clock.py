"""Time -> the cause for which a run is to be killed, measured where the guest cannot reach it.

Processor time is read from outside (the clock of another process). RLIMIT_CPU is only behind it: that limit counts per
process, a guest without the guard can raise its own soft limit, and lowering the hard one cannot be undone for the next
run. The wall limit is the host's business, which knows how much of it went into tools; here is only the backstop for a host that
has vanished.
"""

from __future__ import annotations

import math
import os
import time

from pinjra.core.limits import Limits
from pinjra.worker.supervisor.process import InterpreterProcess
from pinjra.worker.supervisor.processes import tree

ASIDE_SECONDS = 1.0  # of processor time, for a fork and a line on a socket
_LOOK_SECONDS = 0.02  # between two looks at the processor time when the limit is near
_LONGEST_LOOK_SECONDS = 0.1  # what a child that ends between two looks had used is not known everywhere
_COUNT_SECONDS = 0.05  # between two counts of processes, where the kernel tells them
_SILENCE_SECONDS = 60.0  # added to twice the wall limit before a silent host counts as gone


class RunClock:
    """The deadlines of the run in progress."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._processors = os.cpu_count() or 1
        self._cpu_at: float | None = None
        self._cpu_most = 0.0
        self._alone = False
        self._is_over = False  # as the guest says
        self._count_at: float | None = None
        self._grace_at: float | None = None
        self._silence_at: float | None = None
        self.open_calls = 0
        """Calls of host tools that are not answered: while there are some, the host may be silent for long."""

    @property
    def deadline(self) -> float | None:
        """When `expired` is to be asked next; None without a run."""
        times = (self._cpu_at, self._count_at, self._grace_at, self._silence_at)
        return min((at for at in times if at is not None), default=None)

    def start(self, guest: InterpreterProcess) -> None:
        """Begin a run."""
        now = time.monotonic()
        self.stop()
        self._alone = False
        guest.start_clock()
        if self._limits.cpu_seconds is not None:
            self._cpu_most = self._limits.cpu_seconds
            self._cpu_at = now + min(_LONGEST_LOOK_SECONDS, self._limits.cpu_seconds / self._processors)
        if self._limits.processes is not None:
            self._count_at = now + _COUNT_SECONDS
        self.host_spoke()

    def start_aside(self, guest: InterpreterProcess, *, alone: bool = False) -> None:
        """Begin what an interpreter does besides runs: setting variables, taking over.

        Args:
            alone: Only its own time counts, since others, which have been killed, may be there still.
        """
        self.stop()
        self._alone = alone
        guest.start_clock()
        self._cpu_most = (self._limits.cpu_seconds or 0.0) + ASIDE_SECONDS
        self._cpu_at = time.monotonic() + _LONGEST_LOOK_SECONDS

    def end_run(self, guest: InterpreterProcess) -> None:
        """Leave what the guest says to be over a moment for its checkpoint. It may be a lie: the limits hold on."""
        if self._cpu_at is None:
            self.start_aside(guest)
        else:
            self._is_over = True
            self._grace_at = self._silence_at = None
        self.open_calls = 0

    def stop(self) -> None:
        """End the run: no deadline is left."""
        self._cpu_at = self._count_at = self._grace_at = self._silence_at = None
        self._is_over = False
        self.open_calls = 0

    def interrupt(self, grace_seconds: float) -> None:
        """Let the run end by itself for `grace_seconds` more."""
        at = time.monotonic() + grace_seconds
        self._grace_at = at if self._grace_at is None else min(at, self._grace_at)

    def host_spoke(self) -> None:
        """Note that the host is there."""
        if self._cpu_at is not None or self._silence_at is not None:
            wall = self._limits.wall_seconds
            self._silence_at = None if wall is None else time.monotonic() + 2 * wall + _SILENCE_SECONDS

    def expired(self, guest: InterpreterProcess, now: float) -> str:
        """Return the cause for which the interpreter is to be killed now; "" for none."""
        if self._grace_at is not None and now >= self._grace_at:
            self._grace_at = None
            return "interrupt"
        if self._silence_at is not None and now >= self._silence_at:
            if not self.open_calls:
                return "wall"
            self.host_spoke()
        if self._count_at is not None and now >= self._count_at:
            self._count_at = now + _COUNT_SECONDS
            if len(tree(guest.pid)) >= (self._limits.processes or math.inf):
                return "processes"
        if self._cpu_at is not None and now >= self._cpu_at:
            return self._look_at_cpu(guest, now)
        return ""

    def _look_at_cpu(self, guest: InterpreterProcess, now: float) -> str:
        used = guest.cpu_seconds(alone=self._alone)
        if self._is_over:
            self._is_over = False
            # SECURITY: of what the run had left nothing is: who says that it is over and goes on has as long as any other
            self._cpu_most = min(self._cpu_most, used) + ASIDE_SECONDS
        left = self._cpu_most - used
        if left <= 0:
            return "cpu"
        self._cpu_at = now + max(_LOOK_SECONDS, min(_LONGEST_LOOK_SECONDS, left / self._processors))
        return ""
