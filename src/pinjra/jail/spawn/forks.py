"""Hooks that modules register for `os.fork` -> kept, and run at forks of the guest's only; ours have one thread and need none.

Theory: `threading`, `logging` and `random` have functions called in each new child, to repair locks of threads that it does
not have and to draw other random numbers. They write to 160 pages: 0.6 MiB of every process of a session, and as long as the
rest of the fork. A process with one thread has nothing to repair, and a session draws random numbers of its own when it begins.
A checkpoint must not: it is the state before a run, with its random numbers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

_Hook = Callable[[], object]
_hooks: dict[str, list[_Hook]] = {"before": [], "after_in_parent": [], "after_in_child": []}
_is_ours = False  # the fork in progress
_run_at_ours = False


def hold_back() -> None:
    """Keep what is registered from now on from the forks of ours. Once, before the modules are imported."""
    os.register_at_fork(
        before=lambda: _run(_hooks["before"][::-1]),
        after_in_parent=lambda: _run(_hooks["after_in_parent"]),
        after_in_child=lambda: _run(_hooks["after_in_child"]),
    )
    setattr(os, "register_at_fork", _register)  # noqa: B010 (a function of a module is no attribute to assign)


def run_always() -> None:
    """Run the hooks at every fork from now on: this process has more than one thread."""
    global _run_at_ours
    _run_at_ours = True


def fork() -> int:
    """Return as `os.fork` does. The hooks that were held back are not run."""
    global _is_ours
    _is_ours = not _run_at_ours
    try:
        return os.fork()
    finally:
        _is_ours = False


def newest() -> int:
    """Return a number above those of all processes so far: that of one which is made for it, and has ended.

    Raises:
        OSError: No process can be made.
    """
    pid = fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def _register(**hooks: _Hook) -> None:
    for when, hook in hooks.items():
        if when not in _hooks or not callable(hook):
            raise TypeError(f"register_at_fork: {when}={hook!r}")
        _hooks[when].append(hook)


def _run(hooks: list[_Hook]) -> None:
    if not _is_ours:
        for hook in list(hooks):
            try:
                hook()
            except Exception:  # the fork has happened: it is printed, the others are called, as Python does
                sys.excepthook(*sys.exc_info())
