"""Processes -> how those of ours ended, and what the kernel says of any of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resource import struct_rusage


def ended_children() -> Iterator[tuple[int, int, struct_rusage]]:
    """Yield (pid, wait status, usage) of each child that has ended, without waiting for one."""
    with suppress(ChildProcessError):
        while (found := os.wait4(-1, os.WNOHANG))[0]:
            yield found


_TICKS, _PAGE_BYTES = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


def pid_of(pidfd: int) -> int:
    """Return the process number, as this machine has it, behind a descriptor; -1: dead, or not to be seen."""
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("Pid:")), -1)


def usage_of(root: int) -> tuple[float, int]:
    """Return processor seconds and bytes of memory of a process and all below it; those that have ended count with their parent.

    Zeros where there is no such process.
    """
    ticks = pages = 0
    waiting = [root] if root > 0 else []
    while waiting:
        pid = waiting.pop()
        try:
            fields = stat_fields(pid)
        except OSError:
            continue
        waiting += children_of(pid)
        ticks += sum(map(int, fields[11:15]))  # utime stime cutime cstime, proc(5)
        pages += int(fields[21])
    return ticks / _TICKS, pages * _PAGE_BYTES


def children_of(pid: int) -> list[int]:
    """Return the children of a process, whichever of its threads has made them; [] without such a process, or without /proc."""
    children: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                children += map(int, file.read().split())
    except (OSError, ValueError):
        pass
    return children


def stat_fields(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat (proc(5)) behind the name, which may hold anything: the state is number 0.

    Raises:
        OSError: There is no such process, or no /proc.
    """
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()
