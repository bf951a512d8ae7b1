"""`os.system` and `os.spawn…` where no program may be started: they say so, as a shell says what it does not find.

CPython gives the status of what could not be started, 127, and not a word: a program that looks for no status goes on
as if all were well. Whoever uses `subprocess` gets an exception that tells.
"""

from __future__ import annotations

import functools
import os
import sys
from types import ModuleType

from pinjra.worker.interpreter.imports import adapt_modules

_NOT_FOUND = 127 << 8  # how a wait tells of it
_WORDS = 'in this sandbox: programs=["…"] allows programs'


def adapt() -> None:
    """Let `os.system` say that there is no shell, and `os.spawn…` that there are no programs."""
    adapt_modules({"os": _telling})


def _telling(module: ModuleType) -> None:
    run = os.system
    spawn = vars(module)["_spawnvef"]  # which all of them call

    def is_shell_missing() -> bool:
        # not even the shell that would do nothing, and that comes with any program
        return run(":") == _NOT_FOUND

    @functools.wraps(run)
    def system(command: str) -> int:
        status = run(command)
        if status == _NOT_FOUND and is_shell_missing():
            sys.stderr.write(f"os.system: there is no shell {_WORDS}\n")
        return status

    @functools.wraps(spawn)
    def spawnvef(mode: int, *args: object) -> int:
        status: int = spawn(mode, *args)
        if (mode != os.P_WAIT or status == os.waitstatus_to_exitcode(_NOT_FOUND)) and is_shell_missing():
            sys.stderr.write(f"os.spawn: there are no programs {_WORDS}\n")
        return status

    vars(module).update(system=system, _spawnvef=spawnvef)
