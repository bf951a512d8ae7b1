"""Limits -> hard resource limits of this process and its children. They need no privilege and cannot be raised again.

https://man7.org/linux/man-pages/man2/getrlimit.2.html

RLIMIT_DATA (private writable memory, since Linux 4.7) turns one huge allocation into a MemoryError, which a program
survives. RLIMIT_AS also counts what is only reserved (64 MiB for the arena of each thread), so it is wide and stops what
RLIMIT_DATA does not see, shared mappings; narrower where no memory cgroup counts those. Both are per process: the sum
over a session is what the memory cgroup is for.
Processor time is the worker's business: it is per run.
"""

from __future__ import annotations

import os
import resource

from pinjra.jail import profile

_STACK_BYTES = 8 << 20  # of a thread: reserved, hardly ever used
_RESERVABLE_BYTES = 4 << 30  # arenas and stacks of some tens of threads
# SECURITY: without a group this is how much shared memory a process has above its limit: stacks of 32 threads and some
# arenas (a thread that gets no arena of its own shares one)
_RESERVABLE_WITHOUT_GROUP = 512 << 20


def processes_of(uid: int) -> int:
    """Return how many processes and threads of `uid` this /proc shows; RLIMIT_NPROC counts all of them."""
    count = 0
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == uid:
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue  # it ended meanwhile
    return count


def apply(
    *,
    memory_bytes: int | None,
    file_bytes: int | None,
    processes: int | None,
    reserved_bytes: int,
    others: int,
    has_group: bool,
    may_reserve: bool = False,
) -> None:
    """Set the limits, soft and hard.

    Args:
        reserved_bytes: The address space that this process has before it runs guest code (libraries, preloaded modules).
        others: Processes of the same uid that are not of this session and count against the same limit.
        has_group: A control group counts the session's memory as well.
        may_reserve: Programs that make code reserve ten gigabytes and use a little; where a group counts what is used, they may.

    Raises:
        OSError, ValueError: The kernel refused one (the machine's fault).
    """
    for name, value in profile.RLIMITS.items():
        _lower(getattr(resource, f"RLIMIT_{name}"), value)
    if memory_bytes is not None:
        _lower(resource.RLIMIT_DATA, reserved_bytes + memory_bytes)
        reservable = _RESERVABLE_BYTES if has_group else _RESERVABLE_WITHOUT_GROUP
        if not (may_reserve and has_group):
            _lower(resource.RLIMIT_AS, reserved_bytes + memory_bytes + reservable)
    if file_bytes is not None:
        _lower(resource.RLIMIT_FSIZE, file_bytes)
    if processes is not None:
        _lower(resource.RLIMIT_NPROC, processes + others)
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    if soft == resource.RLIM_INFINITY or soft > _STACK_BYTES:
        resource.setrlimit(resource.RLIMIT_STACK, (_STACK_BYTES, _STACK_BYTES))


def _lower(which: int, value: int) -> None:
    """Set soft and hard to `value`, or to the hard limit where that is lower already."""
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))
