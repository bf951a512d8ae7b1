"""A stand-in for E2B on loopback: its REST control plane and envd's process service, with commands really run here.

The server side of the process service is what the vendor's own wheel ships. What this cannot prove is listed in docs/remote.md:
authentication, edges, HTTP/2, quotas, the vendor's isolation.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.envd.client_shared import ENVD_JSON_CODEC
from e2b.envd.process import process_pb as pb
from e2b.envd.process.process_connect import Process, ProcessASGIApplication
from protobuf import Oneof
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from remote_standins.served import Faults, Served, kill_group, spawn

READ_BYTES = 32 << 10  # envd reads output in chunks of 32 KiB


class Command:
    """One process, and who listens to it. What it prints while nobody does is dropped, as envd does."""

    def __init__(self, sandbox: str, process: asyncio.subprocess.Process, service: Processes) -> None:
        self.sandbox = sandbox
        self.process = process
        self.service = service
        self.listeners: set[asyncio.Queue[Any]] = set()
        self.end: Any = None

    async def read(self, stream: asyncio.StreamReader, name: str) -> None:
        while data := await stream.read(self.service.faults.piece_bytes or READ_BYTES):
            for queue in list(self.listeners):
                queue.put_nowait(Oneof("data", pb.ProcessEvent.DataEvent(output=Oneof(name, data))))

    async def run(self) -> None:
        await asyncio.gather(
            self.read(self.process.stdout, "stdout"), self.read(self.process.stderr, "stderr")
        )
        code = await self.process.wait()
        self.end = Oneof(
            "end", pb.ProcessEvent.EndEvent(exit_code=code, exited=True, status=f"exit status {code}")
        )
        for queue in self.listeners:
            queue.put_nowait(self.end)


HOME = str(Path(__file__).with_name("home"))  # envd's shells are login shells, which set a PATH of their own


class Cut(Exception):
    """A listener's stream is to break."""


class Processes(Process):
    """envd's process service."""

    def __init__(self) -> None:
        self.commands: dict[int, Command] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.faults = Faults()

    async def start(self, request: Any, context: Any) -> AsyncIterator[Any]:
        sandbox = context.request_headers.get("e2b-sandbox-id", "")
        config = request.process
        process = await spawn(config.cmd, *config.args, home=HOME)
        command = self.commands[process.pid] = Command(sandbox, process, self)
        queue: asyncio.Queue[Any] = asyncio.Queue()
        command.listeners.add(queue)
        task = asyncio.create_task(command.run())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        async for event in self.listen(command, queue):
            yield pb.StartResponse(event=event)

    async def connect(self, request: Any, context: Any) -> AsyncIterator[Any]:
        command = self.find(request.process)
        queue: asyncio.Queue[Any] = asyncio.Queue()
        command.listeners.add(queue)
        if command.end is not None:
            queue.put_nowait(command.end)
        async for event in self.listen(command, queue):
            yield pb.ConnectResponse(event=event)

    async def listen(self, command: Command, queue: asyncio.Queue[Any]) -> AsyncIterator[Any]:
        try:
            yield pb.ProcessEvent(event=Oneof("start", pb.ProcessEvent.StartEvent(pid=command.process.pid)))
            while True:
                event = await queue.get()
                if event is Cut:
                    raise ConnectError(Code.UNAVAILABLE, "the stream was cut")
                yield pb.ProcessEvent(event=event)
                if event.field == "end":
                    return
        finally:
            command.listeners.discard(queue)

    def find(self, selector: Any) -> Command:
        command = self.commands.get(selector.selector.value)
        if command is None:
            raise ConnectError(Code.NOT_FOUND, "no such process")
        return command

    async def send_input(self, request: Any, context: Any) -> Any:
        if self.faults.is_input_refused():
            raise ConnectError(Code.INTERNAL, "injected fault")
        command = self.find(request.process)
        try:
            command.process.stdin.write(request.input.input.value)
            await command.process.stdin.drain()
        except ConnectionError:
            raise ConnectError(Code.INTERNAL, "error writing to stdin: broken pipe") from None
        return pb.SendInputResponse()

    async def send_signal(self, request: Any, context: Any) -> Any:
        command = self.find(request.process)
        with contextlib.suppress(ProcessLookupError):
            command.process.send_signal(int(request.signal))
        return pb.SendSignalResponse()

    def kill_sandbox(self, sandbox: str) -> None:
        for command in self.commands.values():
            if command.sandbox == sandbox:
                kill_group(command.process)

    def cut(self) -> int:
        """Break every listener's stream; return how many there were."""
        queues = [queue for command in self.commands.values() for queue in command.listeners]
        for command in self.commands.values():
            command.listeners.clear()  # from now on output is dropped
        for queue in queues:
            queue.put_nowait(Cut)
        return len(queues)


class E2BStandIn(Served):
    """The server, on a thread; `url` serves control plane and all sandboxes.

    Args:
        extra: What else it serves.
    """

    def __init__(self, extra: Sequence[Route] = ()) -> None:
        self.processes = Processes()
        self.sandboxes: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.faults = self.processes.faults
        envd = ProcessASGIApplication(self.processes, codecs=[ENVD_JSON_CODEC], read_max_bytes=8 << 20)
        rest = Starlette(
            routes=[
                Route("/v2/sandboxes", self.create, methods=["POST"]),
                Route("/sandboxes/{id}", self.kill, methods=["DELETE"]),
                Route("/sandboxes/{id}", self.info, methods=["GET"]),
                Route("/sandboxes/{id}/timeout", self.timeout, methods=["POST"]),
                Route("/sandboxes/{id}/network", self.network, methods=["PUT"]),
                Route("/health", self.health),
                *extra,
            ]
        )

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["path"].startswith("/process.Process/"):
                await envd(scope, receive, send)
            else:
                await rest(scope, receive, send)

        self.app = app
        self.start()

    def cut(self) -> int:
        return self.on_loop(self.processes.cut)

    def close(self) -> None:
        for sandbox in list(self.sandboxes):
            self.on_loop(self.processes.kill_sandbox, sandbox)
        self.stop()

    async def health(self, request: Request) -> Response:
        known = request.headers.get("e2b-sandbox-id", "") in self.sandboxes
        return Response(status_code=204 if known else 502)  # what the vendor's proxy says of one that is gone

    def kill_all(self) -> None:
        """Kill what runs in the sandboxes."""
        for sandbox in self.sandboxes:
            self.processes.kill_sandbox(sandbox)

    def expire_all(self) -> None:
        """End all sandboxes as the end of their lifetime does."""
        self.kill_all()
        self.sandboxes.clear()

    async def create(self, request: Request) -> Response:
        if self.faults.refusals:
            refused = {"code": 503, "message": "injected: no capacity"}
            return JSONResponse(refused, status_code=self.faults.refusals.pop(0))
        self.requests.append(("create", request.headers.get("x-api-key", "")))
        sandbox = f"i{uuid.uuid4().hex[:12]}"
        self.sandboxes[sandbox] = await request.json()
        body = {
            "templateID": "base",
            "sandboxID": sandbox,
            "clientID": "c",
            "envdVersion": "0.6.4",
            "envdAccessToken": "t",
        }
        return JSONResponse(body, status_code=201)

    async def kill(self, request: Request) -> Response:
        sandbox = request.path_params["id"]
        known = self.sandboxes.pop(sandbox, None)
        self.processes.kill_sandbox(sandbox)
        return Response(status_code=204 if known is not None else 404)

    async def info(self, request: Request) -> Response:
        return Response(status_code=404)

    async def timeout(self, request: Request) -> Response:
        self.requests.append(("timeout", request.path_params["id"]))
        return Response(status_code=204)

    async def network(self, request: Request) -> Response:
        self.sandboxes[request.path_params["id"]]["update"] = await request.json()
        return Response(status_code=204)
