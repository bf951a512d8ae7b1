"""The process that children are forked from, and the line over which the warden asks it for them."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from pinjra.jail.spawn.forks import newest
from pinjra.jail.walls import landlock
from pinjra.jail.walls.libc import CHILD_SUBREAPER, plain_fork, prctl
from pinjra.snippets.frames import CONTROL
from pinjra.snippets.guest import Guest
from pinjra.worker.supervisor.processes import MOST_NUMBERS, has_children, is_child

_PID, _END = struct.Struct("i"), struct.Struct("idq")


class ForkServer:
    """The warden's end of the process that children are forked from.

    SECURITY: it is forked before the first request and holds nothing but the line to the warden.
    """

    def __init__(self, guest: Guest) -> None:
        self.line, theirs = socket.socketpair()
        if os.fork() == 0:
            try:
                os.dup2(theirs.fileno(), CONTROL)
                os.closerange(CONTROL + 1, 4096)  # SECURITY: the host's stream and everything else
                _fork_children(guest)
            finally:
                os._exit(70)
        theirs.close()

    def begin(self, fds: list[int]) -> int:
        """Return the number of a new child that has these as 0, 1, 2 and 3."""
        socket.send_fds(self.line, [b"+"], fds)
        return int(self._answer(_PID)[0])

    def newest(self) -> int:
        """Return a number above those of all processes of the child; 0 where no process can be made."""
        self.line.send(b"?")
        return int(self._answer(_PID)[0])

    def end(self) -> tuple[int, float, int]:
        """Return status, processor time and memory of a child that is dead; nothing that it started lives any more."""
        self.line.send(b"-")
        status, seconds, memory = self._answer(_END)
        return int(status), seconds, int(memory)

    def _answer(self, form: struct.Struct) -> tuple[Any, ...]:
        data = self.line.recv(form.size)
        if len(data) != form.size:
            raise RuntimeError("the process that children are forked from has ended")
        return form.unpack(data)


def _fork_children(guest: Guest) -> None:
    """Fork children for the warden, one at a time, until it is gone."""
    prctl(CHILD_SUBREAPER, 1)  # orphans become ours, so that we can end them
    fork = plain_fork() if threading.active_count() == 1 else os.fork
    restrict: Callable[[], object] = bool
    with contextlib.suppress(OSError):  # an older kernel: then a child can stop its box, which costs it a try
        restrict = landlock.signal_scope()
    guest.warm()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=CONTROL) as line:
        while True:
            word, fds, _, _ = socket.recv_fds(line, 1, 4)
            if not word:
                return
            pid = fork()
            if pid == 0:
                restrict()  # SECURITY: else it could stop or kill who measures it
                line.detach()
                guest.become(fds)
            for fd in fds:
                os.close(fd)
            line.send(_PID.pack(pid))
            while (word := line.recv(1)) == b"?":
                try:
                    line.send(_PID.pack(newest()))
                except OSError:  # the child has made as many as there may be
                    line.send(_PID.pack(0))
            if not word:
                os.kill(pid, signal.SIGKILL)
                return
            _, status, usage = os.wait4(pid, 0)
            _end_descendants(pid)
            line.send(_END.pack(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10))


def _end_descendants(first: int) -> None:
    """Kill what a dead child has left. Orphans are ours (subreaper) and have higher numbers than their parent had."""
    while has_children():
        found = [pid for pid in range(first + 1, newest()) if is_child(pid)]
        # SECURITY: a child that has made so many processes that their numbers came round has left some that are not among these
        if not found and has_children():
            found = [pid for pid in range(2, MOST_NUMBERS + 1) if is_child(pid)]
        for pid in found:
            os.kill(pid, signal.SIGKILL)
