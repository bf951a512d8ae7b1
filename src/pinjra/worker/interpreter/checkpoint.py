"""The interpreter's state -> a sleeping copy of the process, and back.

The copy is forked after the answer of a run was sent, so nobody waits for it, and it sleeps in one system call until
the supervisor wakes it or is gone. Guest code may kill or spoil it (unguarded code can do anything to a process of
its own user): that costs the guest its own rollback, and nothing else.

What does not work: forking before the run and running the step in the child (the fork is then in the way of every
run, and the process id changes with each step); forking twice so that the copy is nobody's child (twice the price;
`os.wait` in unguarded code sees one child more instead).
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import time
from array import array
from collections.abc import Callable
from contextlib import suppress

from pinjra.core.processes import ended_children
from pinjra.jail.spawn.forks import fork
from pinjra.worker.interpreter.tools import has_threads
from pinjra.worker.setup import Sockets, Workplace
from pinjra.worker.supervisor.processes import die_with_parent, go_on_without_parent, is_child, send_signal

WAKE = b"w"  # to the checkpoint, with two sockets: take over
BRANCH = b"f"  # to the checkpoint, with the path of a scratch folder, two sockets, two pipes: copy yourself
_WAKE_FDS, _BRANCH_FDS = 2, 4
_MESSAGE_BYTES = 8192  # a mark and a path
_CARRIED_BYTES = socket.CMSG_SPACE(_BRANCH_FDS * array("i").itemsize)
_MOST_FILES = 1024  # descriptors that are looked at; a session in the jail has 256
_NAP_SECONDS = 0.0002
# for the supervisor to be the parent: only guest code that made itself a reaper prevents it
_ADOPTION_SECONDS = 2.0


class Checkpointer:
    """Keeps one sleeping copy of this process.

    Args:
        sockets: On one the copy sleeps; the others it closes, which only the interpreter may hold.
        take_over: Called in a copy that is an interpreter now, with its sockets, and its place when it is a branch.
        tell: Tells the supervisor the number of the copy.
    """

    def __init__(
        self,
        sockets: Sockets,
        supervisor: int,
        take_over: Callable[[Sockets, Workplace | None], None],
        tell: Callable[[int], None],
    ) -> None:
        self._sockets = sockets
        self._supervisor = supervisor
        self._take_over = take_over
        self._tell = tell
        self.copy = 0
        """Its process; 0: there is none."""
        self._old = 0
        self._positions: list[tuple[int, int]] = []  # of open files, when the copy was made
        self._dying: list[int] = []  # killed, not reaped yet: nobody waits for them

    def renew(self, *, is_wanted: bool) -> None:
        """Replace the copy by one of the present state (or by none); tell the supervisor. A woken copy returns from here, too."""
        # before the supervisor looks what is there besides us
        self._dying = [pid for pid in self._dying if is_child(pid)]
        self._old, self.copy = self.copy, 0
        if is_wanted and not has_threads():
            self.copy = self._fork()
        self._tell(self.copy)
        if self._old:
            send_signal(self._old, signal.SIGKILL)
            self._dying.append(self._old)

    def _fork(self) -> int:
        """Return the pid of the copy; 0 when no process can be made. In a copy that was woken: of its own copy."""
        while True:
            self._positions = _positions()
            try:
                pid = fork()
            except OSError:  # the limit of processes, or of memory
                if [*ended_children()]:  # of guest code, killed behind a run: nobody waits for them
                    continue
                return 0
            if pid:
                return pid
            self._sleep()
            self._old = 0  # of the life before; the numbers may be other processes' by now
            self._dying.clear()

    def _sleep(self) -> None:
        """Return when this copy is an interpreter; end with the supervisor, which takes the interpreter, our parent, along."""
        go_on_without_parent()
        self._sockets.stream.close()
        while True:
            # recvmsg(2) itself: what runs before it is pages of each sleeping copy
            try:
                data, carried, _flags, _address = self._sockets.wake.recvmsg(_MESSAGE_BYTES, _CARRIED_BYTES)
            except OSError:
                os._exit(0)
            fds = [fd for _level, _type, numbers in carried for fd in array("i", numbers)]
            if data == WAKE and len(fds) == _WAKE_FDS:
                _seek(self._positions)
                self._attach(fds, None)
                die_with_parent(self._supervisor)
                return
            if data[:1] != BRANCH or len(fds) != _BRANCH_FDS:
                os._exit(0)
            if self._is_branch(fds):
                self._become_branch(os.fsdecode(data[1:]), fds)
                return

    def _attach(self, fds: list[int], place: Workplace | None) -> None:
        self._sockets.wake.close()
        self._sockets = Sockets(*(socket.socket(fileno=fd) for fd in fds[:_WAKE_FDS]))
        self._take_over(self._sockets, place)

    def _is_branch(self, fds: list[int]) -> bool:
        """Make a copy that is the supervisor's child; return whether this is it."""
        try:
            between = fork()
        except OSError:  # the limit of processes, or of memory: the supervisor sees the end of the sockets
            between = -1
        if between:
            for fd in fds:
                os.close(fd)
            if between > 0:
                os.waitpid(between, 0)
            return False
        try:
            if fork():
                os._exit(0)
        except OSError:
            os._exit(1)
        return True

    def _become_branch(self, scratch: str, fds: list[int]) -> None:
        deadline = time.monotonic() + _ADOPTION_SECONDS
        while os.getppid() != self._supervisor:
            if time.monotonic() > deadline:
                os._exit(1)
            time.sleep(_NAP_SECONDS)
        die_with_parent(self._supervisor)
        os.setsid()
        self._attach(fds, Workplace(scratch, tuple(fds[_WAKE_FDS:])))
        self._sockets.stream.sendall(b"%d;" % os.getpid())  # the first word of all


def _positions() -> list[tuple[int, int]]:
    """Return (descriptor, position) of each open file. Processes share it, open(2), so a file object says where it is no longer
    when the process that has read on is undone."""
    most = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], _MOST_FILES)
    poll = select.poll()
    for fd in range(most):
        poll.register(fd, 0)
    closed = {fd for fd, events in poll.poll(0) if events & select.POLLNVAL}
    found = []
    for fd in set(range(most)) - closed:
        with suppress(OSError):  # a pipe, or a socket
            found.append((fd, os.lseek(fd, 0, os.SEEK_CUR)))
    return found


def _seek(positions: list[tuple[int, int]]) -> None:
    for fd, position in positions:
        with suppress(OSError):
            os.lseek(fd, position, os.SEEK_SET)
