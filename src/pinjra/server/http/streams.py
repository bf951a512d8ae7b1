"""The stream of a worker, over a WebSocket: what `executor_type="http"` speaks. The protocol's own bytes, both ways.

A stream is a session whose host side runs in the client. The service opens the box, counts it, and carries bytes.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast, get_args

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from pinjra.core.errors import ExecutorUnavailable, PinjraError, StartupFailed
from pinjra.executors.base import PythonExecutor
from pinjra.executors.registry import executor_class
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport
from pinjra.fleet.cases import Status
from pinjra.fleet.requests import Reason
from pinjra.server.http.asked import Asked
from pinjra.server.http.errors import NotFound, close_socket, status_of
from pinjra.server.http.hub import Held, Hub, new_name, watched
from pinjra.server.http.operations import Operation, StrictAnswer
from pinjra.server.http.requests import StreamRequest
from pinjra.server.http.tenants import Tenant

# What an executor says to its worker besides the caller's parameters; here the client is the one who says it.
_SAID_TO_WORKERS = {
    name.removeprefix("_"): name for name in ("scratch", "_links", "_environment", "_modules")
}
_STREAM = "stream"  # what the hub calls it
_FORK_SECONDS = 30.0  # for the client to say Fork and to connect
_CONNECT_SECONDS = 30.0  # for the client of a new stream to connect
# SECURITY: what a client may say of its own verdicts: known words, in a short message, and no more at once than a box is given.
_ENDS = frozenset({"ok", *get_args(Reason), *get_args(Status)} - {""})
_VERDICTS, _TOLD_CHARACTERS = 1000, 1000


class ForkAnswer(StrictAnswer):
    """A stream that was forked from another one."""

    id: str


class StreamAnswer(StrictAnswer):
    """A box whose stream is at the WebSocket `/v1/streams/ID`; the last four are what a host says to its worker."""

    id: str
    idle_seconds: float
    scratch: str
    links: list[Any]
    environment: list[Any]
    modules: list[str]


class _Box(Protocol):
    """What the hub does with a session: here only the end."""

    transport: Transport

    def close(self) -> None: ...

    def interrupt(self) -> None: ...


def _opened(name: str, imports: Iterable[str], options: dict[str, Any]) -> _Box:
    """Return a started box whose host side is elsewhere.

    Raises:
        ExecutorUnavailable: This executor has no stream (the operator's choice of executors).
    """
    base = executor_class(name)
    if not issubclass(base, SessionExecutor):
        raise ExecutorUnavailable(f"executor {name!r} has no stream of a worker")

    class Relayed(base):  # type: ignore[valid-type,misc]
        """The executor's way to open a box, without a conversation of its own."""

        transport: Transport

        def _start(self, open_transport: Callable[[], Transport], functions: object = None) -> None:
            self.transport = open_transport()

        def close(self) -> None:
            self.transport.close()

        def interrupt(self) -> None:
            self.transport.kill()

    return cast("_Box", Relayed(imports, spares=0, **options))


class _Branch:
    """The box of a forked stream."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def close(self) -> None:
        """End it."""
        self.transport.close()

    def interrupt(self) -> None:
        """End it: only its client can interrupt a run."""
        self.transport.kill()


async def open_stream(request: Asked, wanted: StreamRequest) -> dict[str, Any]:
    """Open a box for a client that brings the host's side itself."""
    hub, tenant = request.hub, request.tenant
    name, options = wanted.options(tenant, hub.settings)
    session = new_name()
    noted = watched(hub, tenant, session, name, options)
    imports = options.pop("authorized_imports")
    held = await hub.open(
        tenant,
        cast("Callable[[], PythonExecutor]", lambda: _opened(name, imports, options)),
        executor_name=name,
        idle_seconds=_CONNECT_SECONDS,
        name=session,
        given=noted,
        kind=_STREAM,
    )
    return {
        "id": held.id,
        "idle_seconds": held.idle_seconds,
        **{name: getattr(held.executor, attribute, ()) for name, attribute in _SAID_TO_WORKERS.items()},
    }


async def fork_stream(request: Asked) -> dict[str, Any]:
    """Prepare a fork: the client says `Fork` on the old stream next, and then connects to the new one."""
    hub, tenant = request.hub, request.tenant
    held = hub.find(tenant, request.path_params["stream"])
    branch = getattr(_box(held).transport, "branch", None)
    if branch is None:
        raise ExecutorUnavailable(f"executor {held.executor_name!r} cannot fork a session; the jail can")
    name = new_name()
    is_ready, is_said = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        loop.call_soon_threadsafe(is_ready.set)
        if not is_said.wait(_FORK_SECONDS):
            raise StartupFailed("nobody connected to the forked stream in time")

    def make() -> PythonExecutor:
        return cast("PythonExecutor", _Branch(branch(ask)))

    opening = asyncio.ensure_future(
        hub.open(tenant, make, executor_name=held.executor_name, name=name, kind=_STREAM)
    )
    pending: dict[tuple[Tenant, str], tuple[threading.Event, asyncio.Future[Held]]] = request.service.forks
    pending[tenant, name] = (is_said, opening)
    opening.add_done_callback(lambda done: (pending.pop((tenant, name), None), done.exception()))
    waiting = asyncio.ensure_future(is_ready.wait())
    await asyncio.wait([opening, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if opening.done():
        opening.result()
    return {"id": name}


def _box(held: Held) -> _Box:
    held.check_kind(_STREAM)
    return cast("_Box", held.executor)


async def stream_socket(socket: WebSocket) -> None:
    """Carry bytes until one side ends; then the box ends too."""
    hub: Hub = socket.app.state.hub
    name = socket.path_params["stream"]
    try:
        tenant = socket.app.state.tenants.of(socket.headers)
        if (tenant, name) in socket.app.state.forks:
            is_said, opening = socket.app.state.forks[tenant, name]
            is_said.set()
            await opening
        held = hub.find(tenant, name)
        held.pid = _box(held).transport.pid
        if held.users:
            raise NotFound(f"stream {name!r} has its client")
    except PinjraError as error:
        await close_socket(socket, 1008, f"{status_of(error)[0]} {error}")
        return
    held.users += 1
    try:
        await socket.accept()
        await _relay(socket, held, hub)
    except WebSocketDisconnect:
        return  # before it was accepted
    finally:
        held.users -= 1
        await hub.close(held)


async def _relay(socket: WebSocket, held: Held, hub: Hub) -> None:
    transport = _box(held).transport
    out = asyncio.ensure_future(_outwards(socket, transport))
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes") or b""
            if data:
                await hub.call(transport.write, data)
            for end, number in _verdicts(message.get("text") or ""):
                hub.metrics.verdicts.labels(held.tenant.name, end).inc(number)
    except (WebSocketDisconnect, PinjraError):
        return
    finally:
        hub.meter(held)
        transport.kill()  # a reader in its thread comes back at once
        await asyncio.wait([out])


def _verdicts(text: str) -> list[tuple[str, int]]:
    """Return what a fleet says that it has judged here: `{"verdicts": {end: number}}`. Nothing of what is not that."""
    try:
        said = json.loads(text[:_TOLD_CHARACTERS])["verdicts"].items()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []
    return [
        (end, number)
        for end, number in said
        if end in _ENDS and type(number) is int and 0 < number <= _VERDICTS
    ]


async def _outwards(socket: WebSocket, transport: Transport) -> None:
    """Send what the box says, from a thread of its own: it may be silent for hours and must not occupy a shared one."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue(maxsize=8)

    def read() -> None:
        while True:
            try:
                data = transport.read(None)
            except (PinjraError, TimeoutError, OSError):
                data = b""
            try:
                asyncio.run_coroutine_threadsafe(pieces.put(data), loop).result()
            except RuntimeError:  # the loop has ended
                return
            if not data:
                return

    threading.Thread(target=read, name="pinjra-stream", daemon=True).start()
    is_open = True
    while data := await pieces.get():
        if is_open:
            try:
                await socket.send_bytes(data)
            except (WebSocketDisconnect, RuntimeError):
                is_open = False  # go on reading, so that the thread ends
    if is_open:
        said = await asyncio.to_thread(transport.describe_death)
        await close_socket(socket, 1011, said or "the worker has ended")


OPERATIONS = (
    Operation(method="POST", path="/v1/streams", endpoint=open_stream, body=StreamRequest, answer=StreamAnswer, status=201),
    Operation(method="POST", path="/v1/streams/{stream}/fork", endpoint=fork_stream, answer=ForkAnswer, status=201),
)  # fmt: skip
ROUTES = [WebSocketRoute("/v1/streams/{stream}", stream_socket)]
