"""One stream to the host <-> one session: every control message of the host has one method `_on_…`.

The guest's lane goes to the `Lifecycle`. A box has one session, and one more for each that was forked off it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from pinjra.core.errors import ProtocolViolation
from pinjra.core.limits import Limits
from pinjra.jail.profile import is_confined
from pinjra.wire.connection import Relay
from pinjra.wire.messages import (
    Close,
    Failed,
    Fork,
    Forked,
    GetFile,
    Hello,
    Init,
    Interrupt,
    Kill,
    ListFiles,
    Message,
    PutFile,
    Reset,
)
from pinjra.worker.branching import copy_scratch
from pinjra.worker.scratch.files import Files
from pinjra.worker.scratch.requests import Scratch, ScratchError
from pinjra.worker.setup import Workplace
from pinjra.worker.supervisor.host import Host
from pinjra.worker.supervisor.lifecycle import Lifecycle, Origin
from pinjra.worker.supervisor.output import PrintedOutput
from pinjra.worker.supervisor.process import InterpreterProcess
from pinjra.worker.supervisor.sweep import Sweeper

__all__ = ["HostStream"]


class HostStream:
    """One session, seen from the process that owns its stream.

    Args:
        hello: Said at once.
        sweeper: Of the box.
        add: Takes a session that was forked off this one.
        origin: What a branch begins with. None: the first session of the box.
    """

    def __init__(
        self,
        host: Host,
        output: PrintedOutput,
        hello: Hello,
        *,
        sweeper: Sweeper,
        add: Callable[[HostStream], None],
        origin: tuple[Origin, Scratch, tuple[int, int]] | None = None,
    ) -> None:
        self.host = host
        self.is_over = False
        self._output = output
        self._hello = hello
        self._sweeper = sweeper
        self._add = add
        self._origin = origin
        self._keeper: Lifecycle | None = None
        self._files: Files | None = None
        host.send(hello)

    # ------------------------------------------------------------ the poll loop's questions

    @property
    def has_ended(self) -> bool:
        """Whether the host has said `Close`, or its stream has ended."""
        return self.is_over or self.host.is_gone

    @property
    def deadline(self) -> float | None:
        """When `on_time` is to be called at the latest; None for never."""
        return None if self._keeper is None else self._keeper.deadline

    def masks(self) -> dict[int, int]:
        """Return descriptor → what to poll for."""
        masks = self.host.masks()
        if self._keeper is not None:
            masks.update(self._keeper.masks())
        return masks

    def handle(self, fd: int) -> None:
        """Take what a descriptor of `masks` has."""
        self.host.flush()
        if fd == self.host.fd_in:
            self._carefully(self._from_host)
        elif self._keeper is not None:
            keeper = self._keeper
            self._carefully(lambda: keeper.on_readable(fd))

    def on_time(self, now: float) -> None:
        """Do what is due."""
        keeper = self._keeper
        if keeper is not None and keeper.deadline is not None and now >= keeper.deadline:
            self._carefully(lambda: keeper.on_time(now))

    def on_child_ended(self) -> None:
        """Look whether the interpreter is among the dead."""
        if self._keeper is not None:
            self._carefully(self._keeper.on_child_ended)

    def _carefully(self, action: Callable[[], None]) -> None:
        try:
            action()
        except ProtocolViolation as error:
            self.host.send(Failed(request=0, kind="error", message=str(error)))
            self.is_over = True

    def end(self) -> None:
        """Kill what belongs to this session, remove its files, let go of the stream."""
        if self._keeper is not None:
            self._keeper.end()
        elif self._origin is not None:
            origin, scratch, _captured = self._origin
            origin.guest.end()
            scratch.remove()
        if self._origin is not None:
            for fd in self._origin[2]:
                os.close(fd)
        self._output.close()
        self.host.flush_briefly()
        self.host.close()

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
            origin, scratch = self._beginning(message, limits)
        except (TypeError, ValueError, OSError) as error:
            raise ProtocolViolation(f"Init cannot be carried out: {error}") from error
        self._files = Files(scratch)
        self._keeper = Lifecycle(self.host, self._output, limits, scratch, origin)

    def _beginning(self, init: Init, limits: Limits) -> tuple[Origin, Scratch]:
        if self._origin is not None:
            return self._origin[0], self._origin[1]
        scratch = Scratch(init.scratch, limits.disk_bytes)
        init = replace(init, walled=init.walled or is_confined(self._hello.applied))
        return Origin(InterpreterProcess(init, Workplace(scratch.path), self._sweeper)), scratch

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

    def _on_close(self, _message: Message) -> None:
        self.is_over = True

    # ------------------------------------------------------------ branches

    def _on_fork(self, message: Message) -> None:
        if not isinstance(message, Fork):
            return
        stream = self.host.take_passed()
        if stream < 0:
            self._refuse(message.request, "a session is forked onto another stream, and none was sent")
        elif self.host.is_run_open:
            self._refuse(message.request, "a run is in progress", stream)
        else:
            request = message.request
            _there(self._keeper).when_copied(
                lambda is_copied: self._branch(request, stream, is_copied=is_copied)
            )

    def _refuse(self, request: int, why: str, stream: int = -1) -> None:
        if stream >= 0:
            os.close(stream)
        self.host.send(Failed(request=request, kind="refused", message=why))

    def _branch(self, request: int, stream: int, *, is_copied: bool) -> None:
        """Make the branch that the host has asked for, and answer."""
        if not is_copied:
            self._refuse(
                request, "the interpreter cannot be copied (threads are alive, or no process is left)", stream
            )
            return
        scratch: Scratch | None = None
        fds = [stream]
        try:
            scratch = copy_scratch(_there(self._files).scratch)
            output, captured = PrintedOutput.branch()
            fds += [*output.fds, *captured]
            origin = _there(self._keeper).origin(Workplace(scratch.path, captured))
            os.set_blocking(stream, False)
        except (OSError, ScratchError) as error:
            if scratch is not None:
                scratch.remove()
            for fd in fds[1:]:
                os.close(fd)
            self._refuse(request, str(error), stream)
            return
        self._add(
            HostStream(
                Host(stream, stream),
                output,
                self._hello,
                sweeper=self._sweeper,
                add=self._add,
                origin=(origin, scratch, captured),
            )
        )
        self.host.send(Forked(request=request))


_HANDLERS: dict[type[Message], Callable[[HostStream, Message], None]] = {
    Init: HostStream._on_init,
    Interrupt: HostStream._on_interrupt,
    Kill: HostStream._on_kill,
    PutFile: HostStream._on_file,
    GetFile: HostStream._on_file,
    ListFiles: HostStream._on_file,
    Reset: HostStream._on_reset,
    Fork: HostStream._on_fork,
    Close: HostStream._on_close,
}

_Part = TypeVar("_Part")


def _there(part: _Part | None) -> _Part:
    """Return a part of the session, which `Init` has set up (the connection refuses everything before it)."""
    if part is None:
        raise ProtocolViolation("the first message is Init")
    return part
