"""The interpreter's state -> a sleeping copy of the process, and back.

The copy is forked after the answer of a run was sent, so nobody waits for it, and it sleeps in one system call until
the supervisor wakes it or is gone. Guest code may kill or spoil it (unguarded code can do anything to a process of
its own user): that costs the guest its own rollback, and nothing else.

What does not work: forking before the run and running the step in the child (the fork is then in the way of every
run, and the process id changes with each step); forking twice so that the copy is nobody's child (twice the price;
`os.wait` in unguarded code sees one child more instead).
"""

from __future__ import annotations

import _thread
import os
import signal
import socket
from collections.abc import Callable

from pinjra.worker.processes import die_with_parent

__all__ = ["READY", "SET_ASIDE", "Checkpointer", "has_threads"]

READY = b"k"  # the checkpoint is this process, and the interpreter waits for its next message
SET_ASIDE = b"m"  # the checkpoint is this process


def has_threads() -> bool:
    """Return whether guest threads are alive: a fork would copy their locks and not them."""
    return _thread._count() > 0


class Checkpointer:
    """Keeps one sleeping copy of this process.

    Args:
        wake: What the copy sleeps on.
        close: Called in the copy, before it sleeps: closes what only the interpreter may hold.
        take_over: Called in a copy that was woken, with the new stream and side sockets.
        tell: Sends a note to the supervisor.
    """

    def __init__(
        self,
        wake: socket.socket,
        supervisor: int,
        close: Callable[[], None],
        take_over: Callable[[socket.socket, socket.socket], None],
        tell: Callable[[bytes], None],
    ) -> None:
        self._wake = wake
        self._supervisor = supervisor
        self._close = close
        self._take_over = take_over
        self._tell = tell
        self._copy = 0
        self._old = 0
        self._is_woken = False
        self._dying: list[int] = []  # killed, not reaped yet: nobody waits for them

    def renew(self, *, is_wanted: bool, note: bytes = READY) -> bool:
        """Replace the copy by one of the present state (or by none); tell the supervisor.

        Returns False in this process; and once more, True, in the copy when it is woken.
        """
        self._is_woken = False
        self._old, self._copy = self._copy, 0
        if is_wanted and not has_threads():
            self._copy = self._fork()
        self._tell(b"%s%d;" % (READY if self._is_woken else note, self._copy))
        if self._old:
            _kill(self._old)
            self._dying.append(self._old)
        self._dying = [pid for pid in self._dying if not _is_reaped(pid)]
        return self._is_woken

    def _fork(self) -> int:
        """Return the pid of the copy; 0 when no process can be made. In a copy that was woken: of its own copy."""
        while True:
            try:
                pid = os.fork()
            except OSError:  # the limit of processes, or of memory
                return 0
            if pid:
                return pid
            self._sleep()
            self._old = 0  # of the life before; the numbers may be other processes' by now
            self._dying.clear()
            self._is_woken = True

    def _sleep(self) -> None:
        self._close()
        try:
            _data, fds, _flags, _address = socket.recv_fds(self._wake, 1, 2)
        except OSError:
            fds = []
        if len(fds) != 2:
            os._exit(0)
        self._take_over(socket.socket(fileno=fds[0]), socket.socket(fileno=fds[1]))
        die_with_parent(self._supervisor)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # guest code was there first
        pass


def _is_reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    except ChildProcessError:  # guest code was there first
        return True
