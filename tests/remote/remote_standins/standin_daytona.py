"""A stand-in for Daytona on loopback: its sandbox API and the toolbox's sessions, with commands really run here.

What a command prints is kept from its start, with the markers that name the stream; each listener hears all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from remote_standins.served import Faults, Served, kill_group, spawn

MARKERS = {"stdout": b"\x01\x01\x01", "stderr": b"\x02\x02\x02"}
BOX = "/toolbox/{box}/process"


class Command:
    """One command of a session."""

    def __init__(self, box: str, process: asyncio.subprocess.Process) -> None:
        self.box = box
        self.process = process
        self.log = bytearray()
        self.exit_code: int | None = None
        self.changed = asyncio.Condition()
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        await asyncio.gather(*(self.read(getattr(self.process, name), name) for name in MARKERS))
        self.exit_code = await self.process.wait()
        async with self.changed:
            self.changed.notify_all()

    async def read(self, stream: Any, name: str) -> None:
        while data := await stream.read(1 << 16):
            async with self.changed:
                self.log += MARKERS[name] + data
                self.changed.notify_all()


class DaytonaStandIn(Served):
    """The API below /api, and the toolbox of every sandbox below /toolbox."""

    def __init__(self) -> None:
        self.sandboxes: dict[str, dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        self.networks: list[dict[str, Any]] = []
        self.executed: list[str] = []
        self.exec_code = 0
        self.commands: dict[str, Command] = {}
        self.faults = Faults()
        self.app = Starlette(
            routes=[
                Route("/api/sandbox", self.create, methods=["POST"]),
                Route("/api/sandbox/{box}", self.get, methods=["GET"]),
                Route("/api/sandbox/{box}", self.delete, methods=["DELETE"]),
                Route("/api/sandbox/{box}/network-settings", self.network, methods=["POST"]),
                Route(
                    "/api/sandbox/{box}/last-activity", lambda _: Response(status_code=201), methods=["POST"]
                ),
                Route(BOX + "/execute", self.execute, methods=["POST"]),
                Route(BOX + "/session", lambda _: Response(status_code=201), methods=["POST"]),
                Route(BOX + "/session/{session}/exec", self.start_command, methods=["POST"]),
                Route(BOX + "/session/{session}/command/{id}", self.get_command, methods=["GET"]),
                Route(BOX + "/session/{session}/command/{id}/input", self.input, methods=["POST"]),
                WebSocketRoute(BOX + "/session/{session}/command/{id}/logs", self.logs),
            ]
        )
        self.start()

    def close(self) -> None:
        for box in list(self.sandboxes):
            self.on_loop(self.kill, box)
        self.stop()

    # ------------------------------------------------------------ sandboxes

    async def create(self, request: Request) -> Response:
        if self.faults.refusals:
            return JSONResponse({"message": "injected: no sandbox"}, status_code=self.faults.refusals.pop(0))
        asked = await request.json()
        self.created.append(asked)
        box = str(uuid.uuid4())
        self.sandboxes[box] = {
            "id": box, "organizationId": "o", "name": box, "user": "daytona", "env": {}, "labels": {}, "public": False,
            "networkBlockAll": bool(asked.get("networkBlockAll")), "kvm": False, "target": "local", "cpu": 1, "gpu": 0,
            "memory": 1, "disk": 3, "state": "started", "toolboxProxyUrl": f"{self.url}/toolbox",
        }  # fmt: skip
        return JSONResponse(self.sandboxes[box])

    async def get(self, request: Request) -> Response:
        found = self.sandboxes.get(request.path_params["box"])
        if found is None:
            return JSONResponse({"message": "no such sandbox"}, status_code=404)
        return JSONResponse(found)

    async def delete(self, request: Request) -> Response:
        box = request.path_params["box"]
        found = self.sandboxes.pop(box, None)
        self.kill(box)
        if found is None:
            return JSONResponse({"message": "no such sandbox"}, status_code=404)
        return JSONResponse({**found, "state": "destroyed"})

    async def network(self, request: Request) -> Response:
        self.networks.append(await request.json())
        return JSONResponse(self.sandboxes[request.path_params["box"]])

    def kill(self, box: str) -> None:
        """Kill what runs in a sandbox."""
        for command in self.commands.values():
            if command.box == box:
                kill_group(command.process)

    def kill_all(self) -> None:
        """Kill what runs in the sandboxes."""
        for box in self.sandboxes:
            self.kill(box)

    def expire_all(self) -> None:
        """Stop and delete all sandboxes, as the vendor does with idle ones."""
        self.kill_all()
        self.sandboxes.clear()

    # ------------------------------------------------------------ commands

    async def execute(self, request: Request) -> Response:
        self.executed.append((await request.json())["command"])
        return JSONResponse({"exitCode": self.exec_code, "result": "injected: no such distribution"})

    async def start_command(self, request: Request) -> Response:
        asked = await request.json()
        assert asked["suppressInputEcho"], "without it the log would hold what is written"
        process = await spawn("/bin/sh", "-c", asked["command"])
        name = str(uuid.uuid4())
        self.commands[name] = Command(request.path_params["box"], process)
        return JSONResponse({"cmdId": name}, status_code=202)

    async def get_command(self, request: Request) -> Response:
        command = self.commands[request.path_params["id"]]
        if command.box not in self.sandboxes:
            return JSONResponse({"message": "no such sandbox"}, status_code=404)
        body: dict[str, Any] = {"id": request.path_params["id"], "command": "…"}
        if command.exit_code is not None:
            body["exitCode"] = command.exit_code if command.exit_code >= 0 else 128 - command.exit_code
        return JSONResponse(body)

    async def input(self, request: Request) -> Response:
        if self.faults.is_input_refused():
            return JSONResponse({"message": "injected fault"}, status_code=500)
        command = self.commands[request.path_params["id"]]
        data = (await request.json())["data"]
        command.process.stdin.write((data if data.endswith("\n") else data + "\n").encode())
        with contextlib.suppress(ConnectionError):
            await command.process.stdin.drain()
        return Response(status_code=204)

    async def logs(self, socket: WebSocket) -> None:
        command = self.commands[socket.path_params["id"]]
        await socket.accept()
        sent = 0
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
            while True:
                async with command.changed:
                    while len(command.log) == sent and command.exit_code is None:
                        await command.changed.wait()
                    chunk = bytes(command.log[sent : sent + (self.faults.piece_bytes or 1 << 16)])
                if not chunk:
                    break
                sent += len(chunk)
                await socket.send_bytes(chunk)
            await socket.close(1000)
