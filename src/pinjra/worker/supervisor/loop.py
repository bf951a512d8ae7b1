"""The streams to the host <-> the sessions of the box. Owns them, never runs guest code, ends everything when the host is gone.

One thread, one poll loop, one process for the box: its first session, and those that were forked off it.
"""

from __future__ import annotations

import os
import select
import signal
import time
import traceback
from collections.abc import Sequence
from typing import NoReturn

from pinjra.wire.messages import PROTOCOL, Hello
from pinjra.worker.supervisor.host import Host, cloexec
from pinjra.worker.supervisor.host_stream import HostStream
from pinjra.worker.supervisor.outbox import read_some
from pinjra.worker.supervisor.output import PrintedOutput
from pinjra.worker.supervisor.processes import become_subreaper
from pinjra.worker.supervisor.sweep import Sweeper


def serve(
    fd_in: int,
    fd_out: int,
    *,
    applied: Sequence[str] = (),
    missing: Sequence[str] = (),
    newest: int = -1,
    forks: int = -1,
    most: int = -1,
    tasks: int = -1,
    kills: int = -1,
    words: int = -1,
) -> NoReturn:
    """Serve one session on a stream, and those forked off it, until all have ended; never return.

    Called in a process of its own, single-threaded, which is confined already where it is to be confined.

    Args:
        fd_in, fd_out: The stream, as private close-on-exec descriptors; may be one and the same.
        applied, missing: What the jail has done, for `Hello`.
        newest, forks, most, tasks, kills: Descriptors to read; see `Sweeper`.
        words: Where the last words are heard, of a worker that breaks; -1: on descriptor 2.
    """
    status = 70
    stderr = words if words >= 0 else _private_stderr()
    try:
        os.set_blocking(fd_in, False)
        os.set_blocking(fd_out, False)
        host = Host(fd_in, fd_out)
        capabilities = {"raw": True, "rollback": become_subreaper()}
        capabilities["fork"] = capabilities["rollback"] and host.can_pass_streams
        hello = Hello(
            protocol=PROTOCOL,
            capabilities=tuple(name for name, has_it in capabilities.items() if has_it),
            applied=tuple(applied),
            missing=tuple(missing),
        )
        supervisor = Supervisor()
        sweeper = Sweeper(newest=newest, forks=forks, most=most, tasks=tasks, kills=kills)
        output = PrintedOutput.install()
        supervisor.add(HostStream(host, output, hello, sweeper=sweeper, add=supervisor.add))
        supervisor.run()
        status = 0
    except BaseException:  # our bug: said where the operator looks, since descriptor 2 is the guest's now
        if stderr >= 0:
            os.write(stderr, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(status)


class Supervisor:
    """All sessions of the box."""

    def __init__(self) -> None:
        self._sessions: list[HostStream] = []
        self._wakeup = _wakeup_pipe()
        self._poll = select.poll()
        self._watched: list[tuple[HostStream, dict[int, int]]] = []
        self._owners: dict[int, HostStream] = {}

    def add(self, session: HostStream) -> None:
        """Serve one more session."""
        self._sessions.append(session)

    def run(self) -> None:
        """Serve until every session has ended."""
        try:
            while self._sessions:
                self.turn()
        finally:
            for session in self._sessions:
                session.end()

    def turn(self) -> None:
        """Wait until something happens, and do what it asks for."""
        self._watch()
        times = (session.deadline for session in self._sessions)
        deadline = min((at for at in times if at is not None), default=None)
        wait = None if deadline is None else max(0.0, (deadline - time.monotonic()) * 1000 + 0.5)
        for fd, _events in self._poll.poll(wait):
            if fd == self._wakeup:
                read_some(fd)
                for session in self._sessions:
                    session.on_child_ended()
            else:
                self._owners[fd].handle(fd)
        if deadline is not None and (now := time.monotonic()) >= deadline:
            for session in self._sessions:
                session.on_time(now)
        for session in [session for session in self._sessions if session.has_ended]:
            self._sessions.remove(session)
            session.end()

    def _watch(self) -> None:
        """Poll for what the sessions want to hear of; they say so in each turn and nearly always the same."""
        watched = [(session, session.masks()) for session in self._sessions]
        if watched == self._watched:
            return
        self._watched = watched
        self._poll, self._owners = select.poll(), {}
        self._poll.register(self._wakeup, select.POLLIN)
        for session, masks in watched:
            for fd, mask in masks.items():
                self._poll.register(fd, mask)
                self._owners[fd] = session


def _private_stderr() -> int:
    """Return a duplicate of the descriptor 2 that the worker was started with; -1 where there was none."""
    try:
        return cloexec(2)
    except OSError:
        return -1


def _wakeup_pipe() -> int:
    """Return a descriptor that becomes readable when a child ends."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at the host's terminal is the host's business
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whoever started the worker may have blocked these
    return read
