"""envd's process service: programs that are started, connected to, written to and signalled."""

from __future__ import annotations

import asyncio
import base64
import binascii
import signal
from collections.abc import AsyncIterator
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.envd.process import process_pb as pb
from e2b.envd.process.process_connect import Process
from protobuf import Oneof

from pinjra.server.http.e2b.inside.children import Child, Listener, Reaper
from pinjra.server.http.e2b.inside.surroundings import Surroundings, UnknownUser

_MOST_SECONDS = 86400.0
_GONE_SECONDS = 2.0
_SIGNALS = {15: signal.SIGTERM, 9: signal.SIGKILL}


def user_of(authorization: str | None) -> str:
    """Return the name in a header `Authorization: Basic`; "" where there is none."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace").partition(":")[0]
    except binascii.Error:
        return ""


class StartedProgram:
    """A program that a client has started."""

    def __init__(self, child: Child, request: pb.StartRequest, terminal: bool) -> None:
        self.child = child
        self.config = request.process
        self.tag = request.tag
        self.is_terminal = terminal


class ProcessService(Process):
    """The service."""

    def __init__(self, place: Surroundings, reaper: Reaper) -> None:
        self._place = place
        self._reaper = reaper
        self._started: dict[int, StartedProgram] = {}

    # ------------------------------------------------------------ starting and listening

    async def start(self, request: pb.StartRequest, context: Any, /) -> AsyncIterator[pb.StartResponse]:
        """Start a program; yield what it prints and how it ends. It goes on when the client has left."""
        started = self._start(request, user_of(context.request_headers.get("authorization")))
        child = started.child
        listener = child.join()
        self._kill_in_time(child, context)
        async for event in self._events(started, listener, context):
            yield pb.StartResponse(event=event)

    def _start(self, request: pb.StartRequest, user: str) -> StartedProgram:
        config = request.process
        if config is None or not config.cmd:
            raise ConnectError(Code.INVALID_ARGUMENT, "a process has a command")
        child = Child(self._reaper)
        size = request.pty
        try:
            cwd = self._place.resolve(config.cwd or "", user)
            environment = self._place.environment(user, dict(config.envs))
            argv = [config.cmd, *config.args]
            if size is not None:
                child.start_at_terminal(argv, cwd=cwd, environment=environment, size=size.size)
            else:
                child.start(argv, cwd=cwd, environment=environment, has_stdin=request.stdin is not False)
        except UnknownUser as error:
            raise ConnectError(Code.UNAUTHENTICATED, str(error)) from None
        except FileNotFoundError as error:
            raise ConnectError(Code.INVALID_ARGUMENT, f"{error.filename}: {error.strerror}") from None
        except (OSError, ValueError) as error:
            raise ConnectError(Code.INVALID_ARGUMENT, f"cannot start {config.cmd!r}: {error}") from None
        started = self._started[child.pid] = StartedProgram(child, request, size is not None)
        child.on_end.append(lambda: self._forget(child.pid))
        return started

    def _forget(self, pid: int) -> None:
        self._started.pop(pid, None)

    def _kill_in_time(self, child: Child, context: Any) -> None:
        """Kill the program when the time is over that the client gave for it."""
        milliseconds = context.timeout_ms
        if milliseconds is not None and milliseconds / 1000 < _MOST_SECONDS:
            timer = asyncio.get_running_loop().call_later(milliseconds / 1000, child.kill_late)
            child.on_end.append(timer.cancel)

    async def connect(self, request: pb.ConnectRequest, context: Any, /) -> AsyncIterator[pb.ConnectResponse]:
        """Yield what a running program prints from now on."""
        started = self._find(request.process)
        async for event in self._events(started, started.child.join(), context):
            yield pb.ConnectResponse(event=event)

    async def _events(
        self, started: StartedProgram, listener: Listener, context: Any
    ) -> AsyncIterator[pb.ProcessEvent]:
        child = started.child
        try:
            yield pb.ProcessEvent(event=Oneof("start", pb.ProcessEvent.StartEvent(pid=child.pid)))
            async for event in child.listen(listener, _keepalive(context)):
                if child.is_late and child.status is not None and event and event[0] == "end":
                    raise ConnectError(Code.DEADLINE_EXCEEDED, "the program's time is over")
                yield pb.ProcessEvent(event=_said(event))
        finally:
            child.leave(listener)

    # ------------------------------------------------------------ running ones

    def _find(self, selector: pb.ProcessSelector | None) -> StartedProgram:
        chosen = selector.selector if selector is not None else None
        found: StartedProgram | None = None
        if chosen is not None and chosen.field == "pid":
            found = self._started.get(chosen.value)
        elif chosen is not None:
            found = next((one for one in self._started.values() if one.tag == chosen.value), None)
        if found is None:
            raise ConnectError(
                Code.NOT_FOUND, f"process with {chosen and chosen.field} {chosen and chosen.value} not found"
            )
        return found

    async def list(self, request: pb.ListRequest, context: Any, /) -> pb.ListResponse:
        return pb.ListResponse(
            processes=[
                pb.ProcessInfo(config=one.config, pid=pid, tag=one.tag) for pid, one in self._started.items()
            ]
        )

    async def update(self, request: pb.UpdateRequest, context: Any, /) -> pb.UpdateResponse:
        started = self._find(request.process)
        if request.pty is not None and started.is_terminal:
            started.child.resize(request.pty.size)
        return pb.UpdateResponse()

    async def send_input(self, request: pb.SendInputRequest, context: Any, /) -> pb.SendInputResponse:
        await self._write(self._find(request.process), request.input)
        return pb.SendInputResponse()

    async def stream_input(
        self, request: AsyncIterator[pb.StreamInputRequest], context: Any, /
    ) -> pb.StreamInputResponse:
        started = None
        async for message in request:
            event = message.event
            if event is not None and event.field == "start":
                started = self._find(event.value.process)
            elif event is not None and event.field == "data" and started is not None:
                await self._write(started, event.value.input)
        return pb.StreamInputResponse()

    async def _write(self, started: StartedProgram, given: pb.ProcessInput | None) -> None:
        if given is None or given.input is None:
            return
        try:
            await started.child.write(given.input.value)
        except OSError as error:
            raise ConnectError(Code.INTERNAL, f"error writing to stdin: {error.strerror or error}") from None

    async def send_signal(self, request: pb.SendSignalRequest, context: Any, /) -> pb.SendSignalResponse:
        started = self._find(request.process)
        number = _SIGNALS.get(int(request.signal))
        if number is None:
            raise ConnectError(Code.INVALID_ARGUMENT, "the signal is SIGTERM or SIGKILL")
        started.child.kill(number, group=number == signal.SIGKILL)
        if number == signal.SIGKILL:
            await started.child.wait(_GONE_SECONDS)  # who asks next whether it is there hears no
        return pb.SendSignalResponse()

    async def close_stdin(self, request: pb.CloseStdinRequest, context: Any, /) -> pb.CloseStdinResponse:
        started = self._find(request.process)
        if started.is_terminal:
            raise ConnectError(Code.FAILED_PRECONDITION, "a terminal's input ends by Ctrl+D")
        started.child.close_stdin()
        return pb.CloseStdinResponse()


def _keepalive(context: Any) -> float | None:
    try:
        return max(float(context.request_headers.get("keepalive-ping-interval") or 0), 1.0)
    except ValueError:
        return None


def _said(event: tuple[str, bytes | int] | None) -> Any:
    """Return an event in the service's words."""
    if event is None:
        return Oneof("keepalive", pb.ProcessEvent.KeepAlive())
    name, value = event
    if isinstance(value, bytes):
        return Oneof("data", pb.ProcessEvent.DataEvent(output=Oneof(name, value)))
    return Oneof("end", _end(value))


def _end(status: int) -> pb.ProcessEvent.EndEvent:
    if status >= 0:
        words = f"exit status {status}"
        return pb.ProcessEvent.EndEvent(
            exit_code=status, exited=True, status=words, error=words if status else None
        )
    words = f"signal: {signal.Signals(-status).name.removeprefix('SIG').lower()}"
    return pb.ProcessEvent.EndEvent(exit_code=-1, exited=False, status=words, error=words)
