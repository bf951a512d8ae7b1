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
    return _state(pid) not in ("", "Z", "X")


def is_stopped(pid: int) -> bool:
    """Return whether a process is there and is stopped."""
    return _state(pid) == "T"


def parent_of(pid: int) -> int | None:
    """Return the parent of a process that is there."""
    fields = _stat(pid)
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


def _state(pid: int) -> str:
    fields = _stat(pid)
    return fields[0] if fields else ""


def _stat(pid: int) -> list[str]:
    """Return a process's fields from its state on (proc(5)): its name, which stands before, may hold blanks."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []
