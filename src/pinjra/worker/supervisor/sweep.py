"""Who is in the box -> what they use, and their end, wherever the guest has put them. The supervisor's view of its processes.

Where /proc is to be seen, the tree below this process is read from it. In the jail there is none. Processes have
numbers there, which rise: the kernel tells the newest one (`newest` of `Sweeper`), and those between it and the newest one
of the last look are asked one by one whether they are ours. Whether a process is ours the jail has settled already:
it is when it can be signalled (a pid namespace, Landlock's scope, or a uid of its own; `profile.PROPERTIES`).

What does not work: killing the process group (a guest leaves it), each process once (a fork bomb outruns one pass), or
only this process's own children (what the guest left is the interpreter's child, as long as that lives).
"""

from __future__ import annotations

import os
import re
import resource
import select
import signal
import time
from collections.abc import Iterable
from itertools import chain
from typing import Protocol

from pinjra.core.processes import ended_children
from pinjra.jail.spawn.forks import newest
from pinjra.worker.supervisor.processes import MOST_NUMBERS, cpu_seconds, is_zombie, send_signal, tree

_FORKED = re.compile(rb"\nprocesses ([0-9]+)\n")
_SWEEP_SECONDS = 2.0  # a fork bomb is faster than one pass; after so long something cannot be killed at all
_DYING_SECONDS = 0.0005
_FORK_SECONDS = 1e-6  # no machine makes processes faster
_MOST_AHEAD = 1 << 12  # processes that a machine may start while this one has forked: more is another count


class Member(Protocol):
    """One of the interpreters that share the box. Its processes are known by their numbers and by their session, setsid(2)."""

    pid: int
    checkpoint: int
    session: int

    def note_death(self, pid: int, status: int, usage: resource.struct_rusage) -> None:
        """Take note when it was one of its two processes that ended."""


class Sweeper:
    """Ends the processes of the box, wherever the guest has put them.

    A box has one interpreter, and one more for each session that was forked off it. A process with a session of its own
    (setsid) cannot be told to belong to one of them: it ends with the next run of any of them.

    Args:
        newest: A descriptor of /proc/loadavg, opened before /proc was taken away; its last word is the newest process. -1: none.
        forks: A descriptor of /proc/stat, opened then; it says how many processes were made. -1: none.
        most: A descriptor of the file that tells the largest number of a process. -1: none.
        tasks: A descriptor of the file in which the kernel counts the box's processes and threads; -1: it does not.
        kills: A descriptor of the file in which the kernel counts whom it killed for the box's memory; -1: it does not.
    """

    def __init__(
        self, *, newest: int = -1, forks: int = -1, most: int = -1, tasks: int = -1, kills: int = -1
    ) -> None:
        # SECURITY: only the jail gives `newest`, where no process can be signalled but those of the box.
        self.newest, self._forks, self._tasks, self._kills = newest, forks, tasks, kills
        self._most = int(os.pread(most, 32, 0)) if most >= 0 else 0
        self.members: list[Member] = []
        self.has_proc = _shows_processes()
        self._has_numbers = self.newest >= 0 or os.getpid() == 1
        self._mark = os.getpid()  # what is ours and not known is newer than this one
        self._marked_at, self._forks_then = time.monotonic(), self._forked()
        self._survivors: list[int] = []
        self._watched: list[int] = []
        self._watched_from = self._watched_to = self._mark

    def reap(self) -> None:
        """Reap every child that has ended, without waiting; tell each interpreter of the box."""
        for pid, status, usage in ended_children():
            for member in self.members:
                member.note_death(pid, status, usage)

    def check(self, pid: int) -> None:
        """Compare `newest` with a process that was just made; do without it when it counts other processes than ours."""
        if self.newest >= 0 and not 0 <= _last_word(self.newest) - pid < _MOST_AHEAD:
            self.newest = -1

    # ------------------------------------------------------------ questions

    def memory_kills(self) -> int | None:
        """Return how many processes the kernel has killed for the box's memory; None where it does not say."""
        if self._kills < 0:
            return None
        for line in os.pread(self._kills, 4096, 0).splitlines():
            name, _, count = line.partition(b" ")
            if name == b"oom_kill":
                return int(count)
        return None

    def is_quiet(self, member: Member, dying: Iterable[int] = ()) -> bool:
        """Return whether there is certainly nothing but this process, those of `member` and perhaps `dying`; cheaply.

        Args:
            dying: Processes that were killed and may be there still.
        """
        if self._tasks < 0 or len(self.members) != 1:
            return False
        newest = _last_word(self.newest) if self.newest >= 0 else self._mark
        count = int(os.pread(self._tasks, 32, 0))
        # SECURITY: counted first, then looked at one by one: one that ends in between makes the count too high, never too low
        alive = [pid for pid in {member.pid, member.checkpoint, *dying} - {0} if _exists(pid)]
        if count > 1 + len(alive):
            return False
        self._settle(newest, alive)
        return True

    def below(self, pid: int, own: Member) -> list[int]:
        """Return what works for the interpreter `pid`, or [] where that cannot be known."""
        if self.has_proc:
            return tree(pid)
        if not self._has_numbers or self.is_quiet(own):
            return []
        newest = self._newest()
        numbers = {*self._watched, *_between(self._watched_from, newest, self._most)}
        self._watched = [number for number in numbers if _is_ours(number)]
        # each number is looked at in two looks: a fork may be half done at the first
        self._watched_from, self._watched_to = self._watched_to, newest
        known = {os.getpid(), pid, own.pid, own.checkpoint}
        return [found for found in self._watched if found not in known and not self._is_foreign(found, own)]

    def is_anothers(self, pid: int, own: Member) -> bool:
        """Return whether a number that a guest has told names no process, or one of another member than `own`."""
        others = [member for member in self.members if member is not own]
        return pid <= 1 or any(pid in (other.pid, other.checkpoint) for other in others)

    # ------------------------------------------------------------ the end

    def kill(self, pid: int, own: Member) -> int:
        """Kill a process that the guest of `own` has named, if it is nobody else's; return its pidfd, -1: none was killed."""
        if pid in (os.getpid(), own.pid) or self.is_anothers(pid, own):
            return -1
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            return -1
        try:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        except OSError:
            os.close(fd)
            return -1
        return fd

    def kill_all_but(self, keep: Iterable[int], own: Member) -> None:
        """Kill every process of the box but this one, `keep`, and those of the other members; note those that were reaped."""
        kept, killed = {os.getpid(), *keep}, set[int]()
        deadline = time.monotonic() + _SWEEP_SECONDS
        while time.monotonic() < deadline:
            # SECURITY: from the last sweep's mark in every pass: a fork that was half done in this one is seen in the next
            newest, found = self._everybody()
            others = [pid for pid in found if pid not in kept and not self._is_foreign(pid, own)]
            victims = [pid for pid in others if pid not in killed]
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in victims:
                    send_signal(pid, number)
            killed.update(victims)
            self.reap()
            if not others:
                self._forks_then = self._forked()
                self._settle(newest, found)
                break
            if not victims:  # one that is about to die may hide its children: they move while we read
                time.sleep(_DYING_SECONDS)

    def _settle(self, newest: int, found: list[int]) -> None:
        """Take note that nobody is there with a number up to `newest` but `found`."""
        self._mark, self._survivors, self._marked_at = newest, found, time.monotonic()
        self._watched = list(found)
        self._watched_from = self._watched_to = newest

    def _is_foreign(self, pid: int, own: Member) -> bool:
        """Return whether a process belongs to another member than `own`."""
        others = [member for member in self.members if member is not own]
        if not others:
            return False
        try:
            session = os.getsid(pid)
        except OSError:  # it is gone
            session = 0
        return self.is_anothers(pid, own) or any(session == other.session for other in others)

    def _everybody(self) -> tuple[int, list[int]]:
        """Return the newest process, and all of the box that run."""
        if self.has_proc:
            below = tree(os.getpid(), [member.checkpoint for member in self.members])
            return 0, [pid for pid in below if not is_zombie(pid)]
        if not self._has_numbers:
            return 0, []
        newest = self._newest()
        numbers = {*self._survivors, *self._numbers_since_mark(newest)}
        return newest, [pid for pid in numbers if _is_ours(pid)]

    def _numbers_since_mark(self, newest: int) -> Iterable[int]:
        # SECURITY: who makes so many processes that their numbers come round hides among those that were passed over
        may_have_come_round = self._most and time.monotonic() - self._marked_at > self._most * _FORK_SECONDS
        if may_have_come_round and self._forked() - self._forks_then > self._most // 2:
            return range(2, self._most + 1)
        return _between(self._mark, newest, self._most)

    def _forked(self) -> int:
        """Return how many processes the machine has made; 0: nobody knows."""
        if self._forks < 0:
            return 0
        said = b""
        while piece := os.pread(self._forks, 1 << 16, len(said)):
            said += piece
            if (found := _FORKED.search(said)) is not None:
                return int(found[1])
        return 0

    def _newest(self) -> int:
        """Return the number of the newest process."""
        return newest() if self.newest < 0 else _last_word(self.newest)


class Spent:
    """The processor time of the processes below an interpreter in one run.

    Where no /proc tells what the ended ones had used, what was last seen of them counts.
    """

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}
        self._past = 0.0

    def seconds(self, alive: Iterable[int]) -> float:
        """Return what those that are alive and those that were have used."""
        for pid in alive:
            now, before = cpu_seconds(pid), self._seen.get(pid, 0.0)
            if now:
                self._past += before if now < before else 0.0  # the number is another process's by now
                self._seen[pid] = now
        return self._past + sum(self._seen.values())


def _shows_processes() -> bool:
    try:
        return bool(os.listdir("/proc/self/task"))  # a look is not enough: Landlock hides no names
    except OSError:
        return False


def _last_word(fd: int) -> int:
    return int(os.pread(fd, 128, 0).split()[-1])


def _between(low: int, high: int, most: int) -> Iterable[int]:
    """Return the numbers that the kernel gave after `low`, up to `high`; behind `most` they start over. 0: nobody knows."""
    if low <= high:
        return range(low + 1, high + 1)
    most = most or (1 << 15 if low < 1 << 15 else MOST_NUMBERS)  # the two usual values
    return chain(range(low + 1, most + 1), range(2, high + 1))


def _is_ours(pid: int) -> bool:
    """Return whether this is a process of the box that has not ended."""
    try:
        os.kill(pid, 0)
        fd = os.pidfd_open(pid)  # not the number of a thread: kill(2) takes that too
    except OSError:
        return False
    try:
        ended = select.poll()
        ended.register(fd, select.POLLIN)
        return not ended.poll(0)
    finally:
        os.close(fd)


def _exists(pid: int) -> bool:
    """Return whether this is a process of the box, which perhaps has ended and was not reaped yet."""
    try:
        os.kill(pid, 0)
        os.close(os.pidfd_open(pid))
    except OSError:
        return False
    return True
