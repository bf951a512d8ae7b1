"""All of a session, played in the process that sessions are forked from: code is specialised, caches are filled, once for all.

What a function does when it is first called (CPython rewrites its code, remembers what it looked up, makes what it needs)
writes to memory. Done here, it stays shared with every session; done in a session, it is the session's own. Only code of ours
is run, by the interpreter in a child and then in this process; none of it stays.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterable

from pinjra.wire.connection import HostConnection
from pinjra.wire.messages import Close, Execute, Init
from pinjra.worker.rehearsal import PROGRAM, configuration, rehearse_opening, rehearse_run
from pinjra.worker.supervisor.host import Host, hello
from pinjra.worker.supervisor.host_stream import Session
from pinjra.worker.supervisor.loop import Supervisor
from pinjra.worker.supervisor.output import PrintedOutput
from pinjra.worker.supervisor.processes import become_subreaper, reap
from pinjra.worker.supervisor.sweep import Member, Sweeper

__all__ = ["warm_up"]

_SESSIONS = 3
_RUNS = 12  # CPython 3.11 specialises what was called eight times


def warm_up(folder: str) -> None:
    """Play some sessions. The caller has one thread and no children, and sets its signals again afterwards.

    Args:
        folder: Exists, and is empty; nothing is written to it.

    Raises:
        PinjraError, OSError: Something is broken that would break every session.
    """
    become_subreaper()  # it may be one
    rehearse_run(_RUNS)
    rehearse_opening()
    for _ in range(_SESSIONS):
        _Play(folder).run()


class _Household(Sweeper):
    """The sweeper of a process whose only child is the interpreter, which is killed by its number."""

    def kill_all_but(self, keep: Iterable[int], own: Member) -> None:
        """Take note of the dead."""
        self.note(reap())


class _Play:
    """One session: this process is its supervisor, and its host."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        theirs.setblocking(False)
        stream = theirs.detach()
        self._connection = HostConnection()
        self._supervisor = Supervisor()
        output, self._captured = PrintedOutput.branch()
        said = hello((), (), (), has_rollback=True)
        host = Host(stream, stream)
        self._supervisor.add(Session(host, output, said, sweeper=_Household(), add=self._supervisor.add))

    def run(self) -> None:
        """Play it from the hello to the end."""
        self._until("init")
        self._say(configuration(self._folder))
        self._until("idle")
        for run in range(1, _RUNS + 1):
            self._say(Execute(run=run, code=PROGRAM))
            self._until("idle")
        self._say(Close())
        self._supervisor.run()
        self._supervisor.close()
        self._ours.close()
        for fd in self._captured:
            os.close(fd)

    def _say(self, message: Init | Execute | Close) -> None:
        self._ours.sendall(self._connection.send(message))

    def _until(self, state: str) -> None:
        """Let the supervisor work until the host has heard what it waits for."""
        while True:
            if select.select([self._ours], [], [], 0)[0]:
                for _message in self._connection.receive_data(self._ours.recv(1 << 16)):
                    pass
            if self._connection.state == state:
                return
            self._supervisor.turn()
