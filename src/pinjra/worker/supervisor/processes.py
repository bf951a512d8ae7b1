"""Process ids -> what they use and how they died."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Container
from dataclasses import dataclass

from pinjra.core.processes import children_of, stat_fields
from pinjra.jail.walls.libc import CHILD_SUBREAPER, PDEATHSIG, prctl

MOST_NUMBERS = 1 << 22  # of processes, where there are most (proc(5), pid_max)
MEMORY_STATUS = 86  # exit status of an interpreter whose own bookkeeping ran out of memory
UNDO_STATUS = 87  # … whose last run has filled the memory: it has ended, and is to be undone
_SIGNALS = {int(signal.SIGXCPU): "cpu", int(signal.SIGSYS): "seccomp", int(signal.SIGXFSZ): "disk"}


@dataclass(frozen=True)
class Death:
    """How a process ended: a `Cause` value, the words for it, and what it had used."""

    cause: str
    detail: str
    cpu_seconds: float
    memory_peak_bytes: int

    @property
    def undoes_run(self) -> bool:
        """Return whether the interpreter ended to have its last run undone."""
        return self.detail == f"exit status {UNDO_STATUS}"


def _prctl(option: int, value: int) -> bool:
    try:
        return sys.platform.startswith("linux") and prctl(option, value) == 0
    except OSError:
        return False


def become_subreaper() -> bool:
    """Make orphans of the box children of this process (prctl(2), PR_SET_CHILD_SUBREAPER). False where there is no such thing."""
    return _prctl(CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent dies (prctl(2), PR_SET_PDEATHSIG), also when that happened just now."""
    _prctl(PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def go_on_without_parent() -> None:
    """Let the kernel continue this process, should it be stopped, when its parent dies: it would see nothing else."""
    _prctl(PDEATHSIG, signal.SIGCONT)


def send_signal(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone, or not ours."""
    try:
        if pid > 1:
            os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def is_there(pidfd: int) -> bool:
    """Return whether a process of ours has not been reaped yet: its number is its own as long."""
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except OSError:
        return False
    return True


def is_child(pid: int) -> bool:
    """Return whether a process is a child of this one that has not ended; one that has is reaped."""
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return False


def has_children() -> bool:
    """Reap what has ended; return whether there is a child that has not."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


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
        fields = stat_fields(pid)
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
        children = children_of(queue.pop())
        found += children
        queue += [pid for pid in children if pid not in leaves]
    return found


def is_zombie(pid: int) -> bool:
    """Return whether a process has ended and nobody has waited for it; True as well when it is gone."""
    try:
        return stat_fields(pid)[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True


def describe(
    status: int,
    usage: resource.struct_rusage,
    memory_bytes: float | None,
    asked: str,
    *,
    out_of_memory: bool | None = None,
) -> Death:
    """Return why a process ended.

    Args:
        memory_bytes: The limit; where the kernel does not say whom it killed for it, a kill by somebody else near it.
        asked: The cause for which the supervisor killed it, or "".
        out_of_memory: The kernel has killed for memory in the box since the run began; None: it does not say.
    """
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    used = usage.ru_utime + usage.ru_stime
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        cause = "memory" if code in (MEMORY_STATUS, UNDO_STATUS) else "exit"
        return Death(asked or cause, f"exit status {code}", used, peak)
    cause = _SIGNALS.get(-code, "signal")
    is_near = memory_bytes is not None and peak >= 0.9 * memory_bytes
    if -code == signal.SIGKILL and (is_near if out_of_memory is None else out_of_memory):
        cause = "memory"
    return Death(asked or cause, f"signal {-code}", used, peak)
