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

from pinjra.worker.capture import Capture
from pinjra.worker.host import Host, cloexec, hello
from pinjra.worker.outbox import read_some
from pinjra.worker.processes import become_subreaper
from pinjra.worker.session import Session
from pinjra.worker.sweeper import Sweeper

__all__ = ["serve"]


def serve(
    fd_in: int,
    fd_out: int,
    *,
    applied: Sequence[str] = (),
    missing: Sequence[str] = (),
    capabilities: Sequence[str] = (),
    newest: int = -1,
    tasks: int = -1,
    kills: int = -1,
) -> NoReturn:
    """Serve one session on a stream, and those forked off it, until all have ended; never return.

    Called in a process of its own, single-threaded, which is confined already where it is to be confined.

    Args:
        fd_in, fd_out: The stream, as private close-on-exec descriptors; may be one and the same.
        applied, missing: What the jail has done, for `Hello`.
        capabilities: Besides those of every worker.
        newest, tasks, kills: Descriptors to read; see `Sweeper`.
    """
    status = 70
    Sweeper.newest, Sweeper.tasks, Sweeper.kills = newest, tasks, kills
    stderr = _private_stderr()
    try:
        os.set_blocking(fd_in, False)
        os.set_blocking(fd_out, False)
        host = Host(fd_in, fd_out)
        has_rollback = become_subreaper()
        if has_rollback and host.can_pass_streams:
            capabilities = (*capabilities, "fork")
        supervisor = Supervisor()
        said = hello(applied, missing, capabilities, has_rollback=has_rollback)
        supervisor.add(Session(host, Capture.install(), said, sweeper=Sweeper(), add=supervisor.add))
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
        self._sessions: list[Session] = []
        self._wakeup = _wakeup_pipe()

    def add(self, session: Session) -> None:
        """Serve one more session."""
        self._sessions.append(session)

    def run(self) -> None:
        """Serve until every session has ended."""
        try:
            while self._sessions:
                owners, poll = self._watch()
                for fd, _events in poll.poll(self._patience()):
                    self._handle(fd, owners)
                now = time.monotonic()
                for session in self._sessions:
                    session.on_time(now)
                self._part_with_ended()
        finally:
            for session in self._sessions:
                session.end()

    def _watch(self) -> tuple[dict[int, Session], select.poll]:
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        owners: dict[int, Session] = {}
        for session in self._sessions:
            for fd, mask in session.masks().items():
                poll.register(fd, mask)
                owners[fd] = session
        return owners, poll

    def _patience(self) -> float | None:
        """Return the milliseconds until something is due; None for ever."""
        deadline = min(
            (at for session in self._sessions if (at := session.deadline) is not None), default=None
        )
        return None if deadline is None else max(0.0, (deadline - time.monotonic()) * 1000 + 0.5)

    def _handle(self, fd: int, owners: dict[int, Session]) -> None:
        if fd == self._wakeup:
            read_some(self._wakeup)
            for session in self._sessions:
                session.on_child_ended()
        else:
            owners[fd].handle(fd)

    def _part_with_ended(self) -> None:
        for session in [session for session in self._sessions if session.has_ended]:
            self._sessions.remove(session)
            session.end()


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
    return read
