"""The stream to the host <-> the session. Owns the stream, never runs guest code, ends everything when the host is gone.

One thread, one poll loop. Every control message of the host has one method `_on_…`; the guest's lane goes to the
`Keeper`.
"""

from __future__ import annotations

import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from pinjra.core.errors import ProtocolViolation
from pinjra.core.limits import Limits
from pinjra.wire.messages import (
    Close,
    Failed,
    Fork,
    GetFile,
    Init,
    Interrupt,
    Kill,
    ListFiles,
    Message,
    Ping,
    Pong,
    PutFile,
    Reset,
)
from pinjra.wire.relay import Relay
from pinjra.worker.capture import Capture
from pinjra.worker.files import Files
from pinjra.worker.host import Host, cloexec, hello
from pinjra.worker.keeper import Keeper
from pinjra.worker.outbox import read_some
from pinjra.worker.processes import Sweeper, become_subreaper
from pinjra.worker.scratch import Scratch

__all__ = ["serve"]


def serve(
    fd_in: int,
    fd_out: int,
    *,
    applied: Sequence[str] = (),
    missing: Sequence[str] = (),
    capabilities: Sequence[str] = (),
    children: int = -1,
) -> NoReturn:
    """Serve one session on a stream until it ends; never return.

    Called in a process of its own, single-threaded, which is confined already where it is to be confined.

    Args:
        fd_in, fd_out: The stream, as private close-on-exec descriptors; may be one and the same.
        applied, missing: What the jail has done, for `Hello`.
        capabilities: Besides those of every worker.
        children: See `Sweeper.own_children`.
    """
    status = 70
    Sweeper.own_children = children
    stderr = _private_stderr()
    try:
        os.set_blocking(fd_in, False)
        os.set_blocking(fd_out, False)
        supervisor = Supervisor(Host(fd_in, fd_out), Capture.install())
        supervisor.host.send(hello(applied, missing, capabilities, has_rollback=become_subreaper()))
        supervisor.run()
        status = 0
    except BaseException:  # our bug: said where the operator looks, since descriptor 2 is the guest's now
        if stderr >= 0:
            os.write(stderr, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(status)


class Supervisor:
    """One session, seen from the process that owns the stream."""

    def __init__(self, host: Host, capture: Capture) -> None:
        self.host = host
        self._capture = capture
        self._wakeup = _wakeup_pipe()
        self._is_over = False
        self._keeper: Keeper | None = None
        self._files: Files | None = None

    # ------------------------------------------------------------ the loop

    def run(self) -> None:
        """Serve until the host says `Close` or its stream ends."""
        try:
            while not self._is_over and not self.host.is_gone:
                for fd, _events in self._wait():
                    self._handle(fd)
                if self._keeper is not None:
                    self._keeper.on_time(time.monotonic())
        except ProtocolViolation as error:
            self.host.send(Failed(request=0, kind="error", message=str(error)))
        finally:
            if self._keeper is not None:
                self._keeper.end()
            self.host.flush_briefly()

    def _wait(self) -> list[tuple[int, int]]:
        masks = {**self.host.masks(), self._wakeup: select.POLLIN}
        deadline = None
        if self._keeper is not None:
            masks.update(self._keeper.masks())
            deadline = self._keeper.deadline
        poll = select.poll()
        for fd, mask in masks.items():
            poll.register(fd, mask)
        return poll.poll(None if deadline is None else max(0.0, (deadline - time.monotonic()) * 1000 + 0.5))

    def _handle(self, fd: int) -> None:
        self.host.flush()
        if fd == self.host.fd_in:
            self._from_host()
        elif fd == self._wakeup:
            read_some(self._wakeup)
            if self._keeper is not None:
                self._keeper.on_child_ended()
        elif self._keeper is not None:
            self._keeper.on_readable(fd)

    # ------------------------------------------------------------ from the host

    def _from_host(self) -> None:
        for event in self.host.receive():
            if isinstance(event, Relay):
                _there(self._keeper).pass_on(event.data)
            else:
                handler = _HANDLERS.get(type(event))
                if handler is not None:
                    handler(self, event)
        if self._keeper is not None:
            self._keeper.host_spoke()

    def _on_init(self, message: Message) -> None:
        if not isinstance(message, Init):
            return
        try:
            limits = Limits(**message.limits)  # type: ignore[arg-type]
            scratch = Scratch(message.scratch, limits.disk_bytes)
        except (TypeError, ValueError, OSError) as error:
            raise ProtocolViolation(f"Init cannot be carried out: {error}") from error
        self._files = Files(scratch)
        self._keeper = Keeper(self.host, self._capture, message, limits, scratch)

    def _on_interrupt(self, message: Message) -> None:
        if isinstance(message, Interrupt):
            _there(self._keeper).interrupt(message.grace_seconds)

    def _on_kill(self, message: Message) -> None:
        if isinstance(message, Kill):
            _there(self._keeper).kill(message)

    def _on_file(self, message: Message) -> None:
        self.host.send(_there(self._files).answer(message))

    def _on_reset(self, message: Message) -> None:
        if isinstance(message, Reset):
            _there(self._keeper).reset(message.request)

    def _on_fork(self, message: Message) -> None:
        if isinstance(message, Fork):
            why = "this worker cannot fork a session"
            self.host.send(Failed(request=message.request, kind="refused", message=why))

    def _on_ping(self, message: Message) -> None:
        if isinstance(message, Ping):
            self.host.send(Pong(request=message.request))

    def _on_close(self, _message: Message) -> None:
        self._is_over = True


_HANDLERS: dict[type[Message], Callable[[Supervisor, Message], None]] = {
    Init: Supervisor._on_init,
    Interrupt: Supervisor._on_interrupt,
    Kill: Supervisor._on_kill,
    PutFile: Supervisor._on_file,
    GetFile: Supervisor._on_file,
    ListFiles: Supervisor._on_file,
    Reset: Supervisor._on_reset,
    Fork: Supervisor._on_fork,
    Ping: Supervisor._on_ping,
    Close: Supervisor._on_close,
}

_Part = TypeVar("_Part")


def _there(part: _Part | None) -> _Part:
    """Return a part of the session, which `Init` has set up (the connection refuses everything before it)."""
    if part is None:
        raise ProtocolViolation("the first message is Init")
    return part


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
