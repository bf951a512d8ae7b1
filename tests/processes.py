"""An id of a process -> what is below it, and whether it is alive. What ends meanwhile is no error."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable


def descendants(of: int) -> set[int]:
    """Return the processes below one; ended ones that nobody has waited for are among them."""
    found: set[int] = set()
    queue = [of]
    while queue:
        children = children_of(queue.pop()) - found
        found |= children
        queue += children
    return found


def watches(pids: Iterable[int]) -> list[int]:
    """Return a descriptor for each process that is still there, readable once it has ended: pidfd_open(2)."""
    found = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            found.append(os.pidfd_open(pid))
    return found


def is_alive(pid: int) -> bool:
    """Return whether a process is there and has not ended."""
    return state_of(pid) not in ("gone", "Z", "X")


def is_stopped(pid: int) -> bool:
    """Return whether a process is there and is stopped."""
    return state_of(pid) == "T"


def parent_of(pid: int) -> int | None:
    """Return the parent of a process that is there."""
    fields = stat_fields(pid)
    return int(fields[1]) if fields else None


def children_of(pid: int) -> set[int]:
    """Return the processes that one has started itself."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return set()
    return {child for task in tasks for child in _children_of_task(pid, task)}


def _children_of_task(pid: int, task: str) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{task}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def state_of(pid: int) -> str:
    """Return the letter of a process's state; "gone" when it is none."""
    fields = stat_fields(pid)
    return fields[0] if fields else "gone"


def stat_fields(pid: int) -> list[str]:
    """Return fields of proc(5) from the state on, none when it is gone; the name before them may hold blanks."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []
