"""A fork -> a process that is going to be an interpreter, and waits to be told for which session.

The supervisor makes the first one before the host has said anything: forking, settling in and the first touch of memory that
every run needs are then over when the host speaks.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback

from pinjra.jail.spawn.forks import fork
from pinjra.worker.interpreter import forked as interpreter
from pinjra.worker.rehearsal import rehearse_run
from pinjra.worker.setup import Birth
from pinjra.worker.supervisor.processes import MEMORY_STATUS
from pinjra.worker.supervisor.sweep import Sweeper

__all__ = ["Newborn"]


class Newborn:
    """One such process, and the supervisor's ends of what leads to it.

    Args:
        captured: As of `Place`.

    Raises:
        OSError: No process can be made.
    """

    def __init__(self, sweeper: Sweeper, captured: tuple[int, ...] = ()) -> None:
        self.stream, stream = socket.socketpair()
        self.side, side = socket.socketpair()
        self.wake, wake = socket.socketpair()
        birth = Birth(os.getpid(), stream, side, wake, captured)
        try:
            self.pid = fork()
        except OSError:
            self.close()
            raise
        finally:
            if not hasattr(self, "pid") or self.pid:
                for each in (stream, side, wake):
                    each.close()
        if self.pid == 0:
            _become_interpreter(birth)
        sweeper.check(self.pid)

    @property
    def is_alive(self) -> bool:
        """Whether it can become an interpreter. It is reaped when it has ended."""
        try:
            return os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        except ChildProcessError:
            return False

    def end(self) -> None:
        """End it: there is no session for it."""
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.close()

    def close(self) -> None:
        """Close the supervisor's ends."""
        for each in (self.stream, self.side, self.wake):
            each.close()


def _become_interpreter(birth: Birth) -> None:
    status = 70  # EX_SOFTWARE of sysexits.h: our bug
    try:
        interpreter.main(birth, rehearse_run)
        status = 0
    except MemoryError:
        status = MEMORY_STATUS
    except BaseException:  # the process ends here whatever it was; what it was goes to the capture pipe
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)
