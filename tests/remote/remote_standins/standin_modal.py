"""A stand-in for Modal on loopback: the control plane and the command router, with commands really run here.

Both server bases are what the vendor's own wheel ships; what is not used here answers "unimplemented".
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from grpclib.server import Server
from modal_proto import api_pb2 as api
from modal_proto import task_command_router_pb2 as router
from modal_proto.api_grpc import ModalClientBase
from modal_proto.task_command_router_grpc import TaskCommandRouterBase

from remote_standins.served import Faults, OnThread, kill_group, spawn


def complete(base: type) -> type:
    """Return `base` with every abstract method answering "unimplemented"."""

    def missing(name: str) -> Any:
        async def method(self: Any, stream: Any) -> None:
            await stream.recv_message()
            raise GRPCError(Status.UNIMPLEMENTED, f"stand-in: {name}")

        return method

    return type(base.__name__, (base,), {name: missing(name) for name in base.__abstractmethods__})


def token() -> str:
    """Return an unsigned JWT that expires in an hour; the client reads only its `exp`."""
    part = lambda d: base64.urlsafe_b64encode(json.dumps(d).encode()).rstrip(b"=").decode()  # noqa: E731
    return f"{part({'alg': 'none'})}.{part({'exp': int(time.time()) + 3600})}.x"


class Exec:
    """One process with its output kept from offset 0, so that reads can begin anywhere (as the vendor's do)."""

    def __init__(self, process: asyncio.subprocess.Process, task: str) -> None:
        self.process = process
        self.task = task
        self.data = {1: bytearray(), 2: bytearray()}
        self.open = {1: True, 2: True}
        self.changed = asyncio.Condition()
        self.written = 0
        self.tasks = [
            asyncio.create_task(self.read(process.stdout, 1)),
            asyncio.create_task(self.read(process.stderr, 2)),
        ]

    async def read(self, stream: Any, which: int) -> None:
        while chunk := await stream.read(1 << 16):
            async with self.changed:
                self.data[which] += chunk
                self.changed.notify_all()
        async with self.changed:
            self.open[which] = False
            self.changed.notify_all()


class Router(complete(TaskCommandRouterBase)):  # type: ignore[misc]
    """Runs commands."""

    def __init__(self) -> None:
        self.execs: dict[str, Exec] = {}
        self.faults = Faults()
        self.cuts = 0  # streams of output to break after their next chunk

    async def TaskExecStart(self, stream: Any) -> None:
        request = await stream.recv_message()
        process = await spawn(*request.command_args)
        self.execs[request.exec_id] = Exec(process, request.task_id)
        await stream.send_message(router.TaskExecStartResponse())

    async def TaskExecStdioRead(self, stream: Any) -> None:
        request = await stream.recv_message()
        found = self.execs[request.exec_id]
        which = 2 if request.file_descriptor == router.TASK_EXEC_STDIO_FILE_DESCRIPTOR_STDERR else 1
        offset = request.offset
        while True:
            async with found.changed:
                while len(found.data[which]) <= offset and found.open[which]:
                    await found.changed.wait()
                chunk = bytes(found.data[which][offset : offset + (self.faults.piece_bytes or 1 << 16)])
            if not chunk:
                return
            offset += len(chunk)
            await stream.send_message(router.TaskExecStdioReadResponse(data=chunk))
            if self.cuts and which == 1:
                self.cuts -= 1
                raise GRPCError(Status.UNAVAILABLE, "injected: the stream was cut")

    async def TaskExecStdinWrite(self, stream: Any) -> None:
        request = await stream.recv_message()
        if self.faults.is_input_refused():
            raise GRPCError(Status.UNAVAILABLE, "injected fault")
        found = self.execs[request.exec_id]
        if found.process.returncode is not None:
            raise GRPCError(Status.NOT_FOUND, "the command has ended")
        new = request.data[found.written - request.offset :] if request.offset <= found.written else b""
        found.process.stdin.write(new)
        found.written += len(new)
        await found.process.stdin.drain()
        if request.eof:
            found.process.stdin.close()
        await stream.send_message(router.TaskExecStdinWriteResponse())

    async def TaskExecStdinStatus(self, stream: Any) -> None:
        request = await stream.recv_message()
        await stream.send_message(
            router.TaskExecStdinStatusResponse(num_bytes_written=self.execs[request.exec_id].written)
        )

    async def TaskExecStdinWriteStream(self, stream: Any) -> None:
        found: Exec | None = None
        async for request in stream:
            kind = request.WhichOneof("request") or request.WhichOneof("payload")
            if kind == "start":
                found = self.execs[request.start.exec_id]
            elif kind == "data" and found is not None:
                found.process.stdin.write(request.data)
                found.written += len(request.data)
                await found.process.stdin.drain()
        await stream.send_message(router.TaskExecStdinWriteStreamResponse())

    async def TaskExecPoll(self, stream: Any) -> None:
        request = await stream.recv_message()
        code = self.execs[request.exec_id].process.returncode
        answer = router.TaskExecPollResponse()
        if code is not None:
            answer = (
                router.TaskExecPollResponse(code=code)
                if code >= 0
                else router.TaskExecPollResponse(signal=-code)
            )
        await stream.send_message(answer)

    async def TaskExecWait(self, stream: Any) -> None:
        request = await stream.recv_message()
        code = await self.execs[request.exec_id].process.wait()
        answer = (
            router.TaskExecWaitResponse(code=code) if code >= 0 else router.TaskExecWaitResponse(signal=-code)
        )
        await stream.send_message(answer)

    def kill(self, task: str | None = None) -> None:
        """Kill the commands of one task; of all, without."""
        for found in self.execs.values():
            if task in (None, found.task):
                kill_group(found.process)


class Control(complete(ModalClientBase)):  # type: ignore[misc]
    """Creates sandboxes: each is only a name for the router."""

    def __init__(self, standin: ModalStandIn) -> None:
        self.standin = standin
        self.created: list[Any] = []
        self.terminated: list[str] = []

    async def answer(self, stream: Any, message: Any) -> Any:
        request = await stream.recv_message()
        await stream.send_message(message)
        return request

    async def ClientHello(self, stream: Any) -> None:
        await self.answer(stream, api.ClientHelloResponse())

    async def AuthTokenGet(self, stream: Any) -> None:
        await self.answer(stream, api.AuthTokenGetResponse(token=token()))

    async def AppGetOrCreate(self, stream: Any) -> None:
        await self.answer(stream, api.AppGetOrCreateResponse(app_id="ap-1"))

    async def EnvironmentGetOrCreate(self, stream: Any) -> None:
        metadata = api.EnvironmentMetadata(
            name="main", settings=api.EnvironmentSettings(image_builder_version="2025.06")
        )
        await self.answer(
            stream, api.EnvironmentGetOrCreateResponse(environment_id="en-1", metadata=metadata)
        )

    async def ImageGetOrCreate(self, stream: Any) -> None:
        result = api.GenericResult(status=api.GenericResult.GENERIC_STATUS_SUCCESS)
        await self.answer(stream, api.ImageGetOrCreateResponse(image_id="im-1", result=result))

    def access(self, kind: type) -> Any:
        return kind(url=self.standin.url, jwt=token())

    async def SandboxCreateV2(self, stream: Any) -> None:
        request = await stream.recv_message()
        if self.standin.faults.refusals:
            self.standin.faults.refusals.pop(0)
            raise GRPCError(Status.RESOURCE_EXHAUSTED, "injected: no capacity")
        self.created.append(request)
        number = len(self.created)
        answer = api.SandboxCreateV2Response(sandbox_id=f"sb-{number}", task_id=f"ta-{number}")
        answer.command_router_access.url = self.standin.url
        answer.command_router_access.jwt = token()
        await stream.send_message(answer)

    async def SandboxGetCommandRouterAccess(self, stream: Any) -> None:
        await self.answer(
            stream, api.SandboxGetCommandRouterAccessResponse(url=self.standin.url, jwt=token())
        )

    async def SandboxTerminateV2(self, stream: Any) -> None:
        request = await self.answer(stream, api.SandboxTerminateResponse())
        self.terminated.append(request.sandbox_id)
        self.standin.router.kill(request.sandbox_id.replace("sb-", "ta-"))

    SandboxTerminate = SandboxTerminateV2

    async def ClientHeartbeat(self, stream: Any) -> None:
        await self.answer(stream, Empty())


class ModalStandIn(OnThread):
    """Both servers on one port, on a thread."""

    def __init__(self) -> None:
        self.router = Router()
        self.faults = self.router.faults
        self.control = Control(self)
        self.stop = asyncio.Event()
        self.start()

    async def serve(self) -> None:
        server = Server([self.control, self.router])
        await server.start(sock=self.socket)
        await self.stop.wait()
        self.router.kill()
        server.close()

    def cut(self) -> None:
        """Break the next stream of output after its next chunk."""
        self.router.cuts += 1

    def kill_all(self) -> None:
        """Kill what runs in the sandboxes."""
        self.router.kill()

    def expire_all(self) -> None:
        """End all sandboxes: here no other thing than to be killed."""
        self.router.kill()

    def close(self) -> None:
        self.on_loop(self.stop.set)
        self.halt()
