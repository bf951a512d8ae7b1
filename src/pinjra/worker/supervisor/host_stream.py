"""One stream to the host <-> one session: what follows from each control message of the host.

The guest's lane goes to the `Lifecycle`. A box has one session, and one more for each that was forked off it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from pinjra.core.errors import ProtocolViolation
from pinjra.core.limits import Limits
from pinjra.jail.profile import is_confined
from pinjra.wire import messages as wire
from pinjra.worker.scratch.files import ScratchError
from pinjra.worker.scratch.walked_folder import Scratch, copy_scratch
from pinjra.worker.setup import Workplace
from pinjra.worker.supervisor.host import Host
from pinjra.worker.supervisor.lifecycle import Lifecycle, LifecycleEvent, Origin
from pinjra.worker.supervisor.output import PrintedOutput
from pinjra.worker.supervisor.process import InterpreterProcess
from pinjra.worker.supervisor.sweep import Sweeper


class HostStream:
    """One session, seen from the process that owns its stream.

    Args:
        hello: Said at once.
        add: Takes a session that was forked off this one.
        origin: What a branch begins with. None: the first session of the box.
    """

    def __init__(
        self,
        host: Host,
        output: PrintedOutput,
        hello: wire.Hello,
        *,
        sweeper: Sweeper,
        add: Callable[[HostStream], None],
        origin: Origin | None = None,
    ) -> None:
        self.host = host
        self.is_over = False
        self._output = output
        self._hello = hello
        self._sweeper = sweeper
        self._add = add
        self._origin = origin
        self._lifecycle: Lifecycle | None = None
        host.send(hello)

    # ------------------------------------------------------------ the poll loop's questions

    @property
    def has_ended(self) -> bool:
        """Whether the host has said `Close`, or its stream has ended."""
        return self.is_over or self.host.is_gone

    @property
    def deadline(self) -> float | None:
        """When `on_time` is to be called at the latest; None for never."""
        return None if self._lifecycle is None else self._lifecycle.deadline

    def masks(self) -> dict[int, int]:
        """Return descriptor → what to poll for."""
        masks = self.host.masks()
        if self._lifecycle is not None:
            masks.update(self._lifecycle.masks())
        return masks

    def handle(self, fd: int) -> None:
        """Take what a descriptor of `masks` has."""
        self.host.flush()
        if fd != self.host.fd_in:
            self._session.on_readable(fd)
            return
        try:
            for event in self.host.receive():
                if isinstance(event, bytes):
                    self._session.pass_on(event)
                else:
                    self._on(event)
        except ProtocolViolation as error:
            self._fail(error)
        if self._lifecycle is not None:
            self._lifecycle.clock.host_spoke()

    def on_time(self, now: float) -> None:
        """Do what is due."""
        if self._lifecycle is not None:
            self._lifecycle.on_time(now)

    def on_child_ended(self) -> None:
        """Look whether the interpreter is among the dead."""
        try:
            if self._lifecycle is not None:
                self._lifecycle.on_child_ended()
        except ProtocolViolation as error:  # it does not start
            self._fail(error)

    def _fail(self, error: ProtocolViolation) -> None:
        self.host.send(wire.Done(request=0, problem="error", message=str(error)))
        self.is_over = True

    def end(self) -> None:
        """Kill what belongs to this session, remove its files, let go of the stream."""
        if self._lifecycle is not None:
            self._lifecycle.end()
        elif self._origin is not None:
            self._origin.guest.end()
            self._origin.scratch.remove()
        for fd in () if self._origin is None else self._origin.captured:
            os.close(fd)
        self._output.close()
        self.host.flush_briefly()
        self.host.close()

    # ------------------------------------------------------------ from the host

    @property
    def _session(self) -> Lifecycle:
        """What `Init` has set up (the connection refuses everything before it)."""
        if self._lifecycle is None:
            raise ProtocolViolation("the first message is Init")
        return self._lifecycle

    def _on(self, message: wire.Message) -> None:
        """Do what a control message says; one that is not for a supervisor is nothing."""
        match message:
            case wire.Init():
                self._set_up(message)
            case wire.Interrupt():
                self._session.take(LifecycleEvent.INTERRUPT, message.grace_seconds)
            case wire.Kill():
                self._session.take(LifecycleEvent.KILL, message)
            case wire.PutFile() | wire.GetFile() | wire.ListFiles():
                self.host.send(self._session.scratch.answer(message))
            case wire.Reset():
                self._session.reset(message.request)
            case wire.Fork():
                self._fork(message.request)
            case wire.Close():
                self.is_over = True

    def _set_up(self, message: wire.Init) -> None:
        try:
            limits = Limits(**message.limits)  # type: ignore[arg-type]
            origin = self._origin = self._origin or self._beginning(message, limits)
        except (TypeError, ValueError, OSError) as error:
            raise ProtocolViolation(f"Init cannot be carried out: {error}") from error
        self._lifecycle = Lifecycle(self.host, self._output, limits, origin)

    def _beginning(self, init: wire.Init, limits: Limits) -> Origin:
        scratch = Scratch(init.scratch, limits.disk_bytes)
        init = replace(init, walled=init.walled or is_confined(self._hello.applied))
        return Origin(InterpreterProcess(init, Workplace(scratch.path), self._sweeper), scratch)

    # ------------------------------------------------------------ branches

    def _fork(self, request: int) -> None:
        stream = self.host.take_passed()
        if stream < 0:
            self._refuse(request, "a session is forked onto another stream, and none was sent")
        elif self.host.connection.run_open:
            self._refuse(request, "a run is in progress", stream)
        else:
            self._session.when_copied(lambda is_copied: self._branch(request, stream, is_copied=is_copied))

    def _refuse(self, request: int, why: str, stream: int = -1) -> None:
        if stream >= 0:
            os.close(stream)
        self.host.send(wire.Done(request=request, problem="refused", message=why))

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
            scratch = copy_scratch(self._session.scratch)
            output, captured = PrintedOutput.branch()
            fds += [*output.fds, *captured]
            origin = self._session.origin(scratch, captured)
            os.set_blocking(stream, False)
        except (OSError, ScratchError) as error:
            if scratch is not None:
                scratch.remove()
            for fd in fds[1:]:
                os.close(fd)
            self._refuse(request, str(error), stream)
            return
        host = Host(stream, stream)
        self._add(HostStream(host, output, self._hello, sweeper=self._sweeper, add=self._add, origin=origin))
        self.host.send(wire.Done(request=request))
