"""Process ids -> what they use, how they died, and their end. The supervisor calls this, from outside the guest."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Protocol

__all__ = [
    "MEMORY_STATUS",
    "Death",
    "Member",
    "Sweeper",
    "become_subreaper",
    "cpu_seconds",
    "describe",
    "die_with_parent",
    "limit_memory",
    "reap",
    "reaped_seconds",
    "tree",
]

MEMORY_STATUS = 86  # exit status of an interpreter whose own bookkeeping ran out of memory
_PDEATHSIG, _SUBREAPER = 1, 36  # prctl(2)
_SWEEP_SECONDS = 2.0  # a fork bomb is faster than one pass; after so long something cannot be killed at all
_DYING_SECONDS = 0.0005
_SIGNALS = {int(signal.SIGXCPU): "cpu", int(signal.SIGSYS): "seccomp", int(signal.SIGXFSZ): "disk"}
_GONE = (ProcessLookupError, FileNotFoundError, PermissionError, NotADirectoryError)


@dataclass(frozen=True)
class Death:
    """How a process ended: a `Cause` value, the words for it, and what it had used."""

    cause: str
    detail: str
    cpu_seconds: float
    memory_peak_bytes: int


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        return int(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)) == 0
    except (OSError, AttributeError):
        return False


def become_subreaper() -> bool:
    """Make orphans of the box children of this process (prctl(2), PR_SET_CHILD_SUBREAPER). False where there is no such thing."""
    return _prctl(_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent dies (prctl(2), PR_SET_PDEATHSIG), also when that happened just now."""
    _prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, all its threads; 0.0 when it is gone or cannot be asked.

    The clock's number is made as clock_getcpuclockid(3) makes it: the complement of the pid, clock 2
    (CPUCLOCK_SCHED).
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except (OSError, OverflowError):
        return 0.0


def reaped_seconds(pid: int) -> float:
    """Return the processor time of the children of a process that have ended and were waited for; 0.0 without /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")  # cutime, cstime of proc(5)
    except (OSError, IndexError, ValueError):
        return 0.0


def tree(root: int, leaves: Container[int] = ()) -> list[int]:
    """Return the processes below `root`, parents first; empty where the kernel does not tell (no /proc).

    Args:
        leaves: Processes that are known to have nothing below them.
    """
    found: list[int] = []
    queue = [root]
    while queue and len(found) < 100_000:
        children = _children(queue.pop())
        found += children
        queue += [pid for pid in children if pid not in leaves]
    return found


def _is_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                children += map(int, file.read().split())
    except (OSError, ValueError):
        pass
    return children


def _is_alive(pid: int) -> bool:
    """Return whether this is a process, and not the number of a thread: kill(2) takes that too, and kills the whole process."""
    try:
        os.close(os.pidfd_open(pid))
    except OSError:
        return False
    return True


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

    What does not work: killing the process group (a guest leaves it), or each process once (a fork bomb outruns one pass).
    """

    own_children = -1
    """A descriptor of this process's `children` file in /proc, opened before /proc was taken away; -1: there is none."""

    tasks = -1
    """A descriptor of the file in which the kernel counts the box's processes and threads; -1: it does not."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self._has_proc = os.path.isdir("/proc/self/task")
        self._mark = 2
        self._survivors: list[int] = []

    def note(self, dead: Iterable[Reaped]) -> None:
        """Tell each interpreter of the box what has ended."""
        for pid, status, usage in dead:
            for member in self.members:
                member.note_death(pid, status, usage)

    def is_quiet(self, member: Member, dying: int) -> bool:
        """Return whether there is certainly nothing but this process, those of `member` and perhaps `dying`; cheaply.

        Args:
            dying: A process that was killed and may be there still.
        """
        if self.tasks < 0 or len(self.members) != 1:
            return False
        count = int(os.pread(self.tasks, 32, 0))
        # SECURITY: counted first, then looked at one by one: one that ends in between makes the count too high, never too low
        ours = 1 + sum(map(_is_alive, {member.pid, member.checkpoint, dying} - {0}))
        return count <= ours

    def kill_all_but(self, keep: Iterable[int], own: Member) -> None:
        """Kill every process of the box but this one, `keep`, and those of the other members; note those that were reaped."""
        if self.own_children >= 0:
            self._kill_children(frozenset(keep), own)
            return
        kept, killed = set(keep), set[int]()
        deadline = time.monotonic() + _SWEEP_SECONDS
        while time.monotonic() < deadline:
            others = [pid for pid in self._everybody() if pid not in kept and not self._is_foreign(pid, own)]
            others = [pid for pid in others if not (self._has_proc and _is_zombie(pid))]
            victims = [pid for pid in others if pid not in killed]
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in victims:
                    _kill(pid, number)
            killed.update(victims)
            self._survivors = [pid for pid in self._survivors if pid not in killed]
            self.note(reap())
            if not others:
                break
            if not victims:  # one that is about to die may hide its children: they move while we read
                time.sleep(_DYING_SECONDS)

    def _kill_children(self, keep: frozenset[int], own: Member) -> None:
        """Kill the children that this process has, until no more are left to it: orphans come as their parents die."""
        deadline = time.monotonic() + _SWEEP_SECONDS
        while time.monotonic() < deadline:
            listed = os.pread(self.own_children, 1 << 16, 0).split()
            victims = [pid for pid in map(int, listed) if pid not in keep and not self._is_foreign(pid, own)]
            for pid in victims:
                _kill(pid, signal.SIGKILL)
            self.note([os.wait4(pid, 0) for pid in victims])
            if not victims:
                break

    def _is_foreign(self, pid: int, own: Member) -> bool:
        """Return whether a process belongs to another member than `own`."""
        others = [member for member in self.members if member is not own]
        if not others:
            return False
        try:
            session = os.getsid(pid)
        except OSError:  # it is gone
            session = 0
        return any(pid in (other.pid, other.checkpoint) or session == other.session for other in others)

    def _everybody(self) -> list[int]:
        if self._has_proc:
            return tree(os.getpid(), [member.checkpoint for member in self.members])
        return self._numbered() if os.getpid() == 1 else []

    def below(self, pid: int, own: Member) -> list[int]:
        """Return the processes below `pid`, or those made since the last sweep, or [] where neither can be known."""
        if self._has_proc:
            return tree(pid)
        if os.getpid() != 1:
            return []
        return [found for found in self._newer(self._probe()) if not self._is_foreign(found, own)]

    def _numbered(self) -> list[int]:
        """Return all processes, in a pid namespace of our own where no /proc is mounted.

        Numbers rise, so they are those that the last sweep found alive, and from the newest process of then to the
        present newest one, which is made for this.
        """
        probe = self._probe()
        found = [*filter(_is_alive, self._survivors), *self._newer(probe)]
        self._mark, self._survivors = probe, found
        return found

    def _newer(self, probe: int) -> list[int]:
        low = self._mark if self._mark < probe else 2  # numbers start over at the end
        return [pid for pid in range(low, probe) if _is_alive(pid)]

    def _probe(self) -> int:
        """Return the number of the newest process."""
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return pid


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except _GONE:
        pass


Reaped = tuple[int, int, resource.struct_rusage]


def reap() -> list[Reaped]:
    """Return (pid, wait status, usage) of every child that has ended, without waiting."""
    dead: list[Reaped] = []
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return dead
        if pid == 0:
            return dead
        dead.append((pid, status, usage))


def describe(status: int, usage: resource.struct_rusage, memory_bytes: float | None, asked: str) -> Death:
    """Return why a process ended.

    Args:
        memory_bytes: The limit; a kill by somebody else near it was the kernel's (out of memory).
        asked: The cause for which the supervisor killed it, or "".
    """
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    used = usage.ru_utime + usage.ru_stime
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        cause = "memory" if code == MEMORY_STATUS else "exit"
        return Death(asked or cause, f"exit status {code}", used, peak)
    cause = _SIGNALS.get(-code, "signal")
    if -code == signal.SIGKILL and memory_bytes is not None and peak >= 0.9 * memory_bytes:
        cause = "memory"
    return Death(asked or cause, f"signal {-code}", used, peak)


def limit_memory(memory_bytes: float | None, disk_bytes: float | None) -> None:
    """Lower this process's limits to what one session may use; never raise what is in force already (the jail's).

    RLIMIT_DATA counts what can be written and is not shared: memory in use or about to be. RLIMIT_AS counts
    reservations too (a thread's arena is 64 MiB of them), so it only stops what RLIMIT_DATA does not see, shared
    mappings.
    """
    if memory_bytes is not None:
        _lower(resource.RLIMIT_DATA, int(memory_bytes))
        _lower(resource.RLIMIT_AS, int(memory_bytes) + (4 << 30))
    if disk_bytes is not None:
        _lower(resource.RLIMIT_FSIZE, int(disk_bytes))
    _lower(resource.RLIMIT_CORE, 0)


def _lower(which: int, value: int) -> None:
    soft, hard = resource.getrlimit(which)
    bounds = [value, *(bound for bound in (soft, hard) if bound != resource.RLIM_INFINITY)]
    try:
        resource.setrlimit(which, (min(bounds), min(bounds)))
    except (OSError, ValueError):  # a platform without this limit
        pass
