"""A session's setup -> a process that is its interpreter, and the supervisor's ends of what leads to it."""

from __future__ import annotations

import os
import socket
import sys
import traceback
from dataclasses import dataclass

from pinjra.jail.spawn.forks import fork
from pinjra.worker.interpreter import forked as interpreter
from pinjra.worker.setup import ForkedResources, SessionSetup
from pinjra.worker.supervisor.processes import MEMORY_STATUS

__all__ = ["InterpreterStart", "start_interpreter"]


@dataclass(frozen=True)
class InterpreterStart:
    """A new interpreter, and the supervisor's ends of its sockets."""

    pid: int
    stream: socket.socket
    side: socket.socket
    wake: socket.socket


def start_interpreter(setup: SessionSetup) -> InterpreterStart:
    """Return a process that never ran guest code, forked off this one.

    Raises:
        OSError: No process can be made.
    """
    (stream, its_stream), (side, its_side), (wake, its_wake) = (socket.socketpair() for _each in range(3))
    resources = ForkedResources(os.getpid(), its_stream, its_side, its_wake)
    try:
        pid = fork()
    except OSError:
        for end in (stream, side, wake, its_stream, its_side, its_wake):
            end.close()
        raise
    if pid == 0:
        _become_interpreter(resources, setup)
    for end in (its_stream, its_side, its_wake):
        end.close()
    return InterpreterStart(pid, stream, side, wake)


def _become_interpreter(resources: ForkedResources, setup: SessionSetup) -> None:
    status = 70  # EX_SOFTWARE of sysexits.h: our bug
    try:
        interpreter.main(resources, setup)
        status = 0
    except MemoryError:
        status = MEMORY_STATUS
    except BaseException:  # the process ends here whatever it was; what it was goes to the capture pipe
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)
