"""How long a program has waited for processors that others had. Decision 28 has the designs."""

from __future__ import annotations

import os
import time

from pinjra.snippets.fork_server import ForkServer
from pinjra.worker.supervisor.processes import cpu_seconds as cpu_seconds_of

_LOOK_SECONDS = 0.5  # between two looks whether a child starves
_ALL = 0.9  # of a time: who used so much of it did not starve
# Several turns of the kernel's scheduler, which takes 3 ms for each.
_COUNT_SECONDS, _MOST_COUNT_SECONDS = 0.01, 0.2
_QUIET = 1.3  # times longer than alone: what it takes with nothing else on the machine
# Who has just slept gets its first turn at once: a count is too low, by half at most as measured.
_DOUBT = 2.0


class Starving:
    """How long the processes of a request have waited for processors that others had: that is not their time.

    A box has no /proc that would say it. So the processor time of these processes is read now and then. Where they have used
    some, and less than they might, this process counts a moment itself: as many times as that takes longer than it should, they
    do.

    SECURITY: a program must not win time by its own processes. What these use is no other's; a count during which one was made
    says nothing, for one that has ended is not seen; who has used its limit in processor time wins no more, nor has anybody more
    than a certain number of times its limit.
    """

    def __init__(self, forks: ForkServer, pid: int, limit: float, most: float) -> None:
        self.seconds = 0.0
        self._forks, self._limit, self._most = forks, limit, most * limit
        # In all: what they did not run, and what others can have made them wait. A look sees too much or too little of either.
        self._idle = self._delay = 0.0
        self._used = {pid: 0.0}
        self._newest = pid
        self._total = 0.0
        self._times = 1.0
        self._between = min(_LOOK_SECONDS, limit / 8)
        self._since = time.monotonic()
        self._next = self._since + self._between

    @property
    def due(self) -> float:
        """Return the seconds until the next look."""
        return self._next - time.monotonic()

    @property
    def is_hopeless(self) -> bool:
        """Return whether there is too little for anything to be said of the program."""
        return self.seconds >= self._most

    def look(self) -> None:
        """Add what there was to starve since the last look that found something used."""
        if self.due > 0:
            return
        used, _ = self._advance()
        passed = time.monotonic() - self._since
        if 0 < used < passed * _ALL and self._total < self._limit:
            used += self._count()
            passed = time.monotonic() - self._since
            self._idle += max(passed - used, 0.0)
            self._delay += used * (self._times - 1) * _DOUBT
            self.seconds = min(self._idle, self._delay, self._most)
        now = time.monotonic()
        self._since = now if used else self._since
        self._next = now + self._between

    def _advance(self) -> tuple[float, bool]:
        """Return the processor time since the last call of those that live, and whether there were other processes meanwhile."""
        newest = self._forks.newest()
        is_same = newest == self._newest + 1
        before = self._used
        times = ((pid, cpu_seconds_of(pid)) for pid in (*before, *range(self._newest + 1, newest)))
        self._used = {pid: seconds for pid, seconds in times if seconds}
        self._newest = newest or self._newest
        used = sum(max(seconds - before.get(pid, 0.0), 0.0) for pid, seconds in self._used.items())
        self._total += used
        return used, is_same

    def _count(self) -> float:
        """Find out how many times longer than alone a process takes; return what the processes used meanwhile."""
        began, own = time.monotonic(), time.thread_time()
        passed = counted = 0.0
        while counted < _COUNT_SECONDS and passed < _MOST_COUNT_SECONDS:
            passed, counted = time.monotonic() - began, time.thread_time() - own
        used, is_same = self._advance()
        if is_same:
            times = (passed - used / len(os.sched_getaffinity(0))) / counted
            self._times = times if times > _QUIET else 1.0
        return used
