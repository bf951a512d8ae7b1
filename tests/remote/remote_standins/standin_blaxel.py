"""A stand-in for Blaxel's sandbox API on loopback: processes with stdin and a log stream, really run here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from remote_standins.served import Faults, Served, kill_group, spawn


class Process:
    """One process and its whole log, line by line: the stream replays it from the start."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, command: str) -> None:
        self.process, self.name, self.command = process, name, command
        self.lines: list[str] = []
        self.ended = False
        self.changed = asyncio.Condition()
        self.cut = 0
        self.task = asyncio.create_task(self.run())

    async def read(self, stream: asyncio.StreamReader, name: str) -> None:
        rest = b""
        while chunk := await stream.read(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            async with self.changed:
                self.lines += [f"{name}:{line.decode('utf-8', 'replace')}\n" for line in lines]
                self.changed.notify_all()

    async def run(self) -> None:
        await asyncio.gather(
            self.read(self.process.stdout, "stdout"), self.read(self.process.stderr, "stderr")
        )
        await self.process.wait()
        async with self.changed:
            self.ended = True
            self.changed.notify_all()

    def describe(self) -> dict[str, Any]:
        code = self.process.returncode
        status = "running" if code is None else "completed" if code == 0 else "failed"
        return {
            "name": self.name, "pid": str(self.process.pid), "command": self.command, "status": status, "exitCode": code or 0,
            "startedAt": "", "completedAt": "", "workingDir": "/", "logs": "", "stdout": "", "stderr": "",
        }  # fmt: skip


class BlaxelStandIn(Served):
    """The server, on a thread."""

    def __init__(self) -> None:
        self.processes: dict[str, Process] = {}
        self.cuts = 0
        self.faults = Faults()
        routes = [
            Route("/process", self.exec, methods=["POST"]),
            Route("/process/{name}", self.get, methods=["GET"]),
            Route("/process/{name}/logs/stream", self.stream, methods=["GET"]),
            Route("/process/{name}/stdin", self.stdin, methods=["POST"]),
            Route("/process/{name}/kill", self.kill, methods=["DELETE"]),
        ]
        self.app = Starlette(routes=routes)
        self.start()

    async def exec(self, request: Request) -> Response:
        if self.faults.refusals:
            return JSONResponse({"error": "injected: no process"}, status_code=self.faults.refusals.pop(0))
        body = await request.json()
        process = await spawn("/bin/sh", "-c", "exec " + body["command"])
        found = Process(process, body["name"], body["command"])
        self.processes[body["name"]] = found
        return JSONResponse(found.describe())

    async def get(self, request: Request) -> Response:
        found = self.processes.get(request.path_params["name"])
        return JSONResponse(found.describe()) if found else Response(status_code=404)

    async def stream(self, request: Request) -> Response:
        found = self.processes[request.path_params["name"]]

        async def lines() -> AsyncIterator[str]:
            position = 0
            while True:
                async with found.changed:
                    while len(found.lines) <= position and not found.ended and not self.cuts:
                        await found.changed.wait()
                    new, ended = found.lines[position:], found.ended
                if self.cuts and position:
                    self.cuts -= 1
                    raise ConnectionResetError("injected")
                text = "".join(new)
                size = self.faults.piece_bytes or max(len(text), 1)
                for start in range(0, len(text), size):
                    yield text[start : start + size]
                position += len(new)
                if ended and position == len(found.lines):
                    return

        return StreamingResponse(lines(), media_type="text/plain")

    async def stdin(self, request: Request) -> Response:
        if self.faults.is_input_refused():
            return JSONResponse({"error": "injected fault"}, status_code=500)
        found = self.processes[request.path_params["name"]]
        found.process.stdin.write(await request.body())
        await found.process.stdin.drain()
        return JSONResponse({"message": "ok"})

    async def kill(self, request: Request) -> Response:
        found = self.processes[request.path_params["name"]]
        kill_group(found.process)
        return JSONResponse({"message": "ok"})

    def cut(self) -> int:
        """Break the next log stream that has something to say."""
        self.cuts += 1
        return self.cuts

    def kill_all(self) -> None:
        """Kill every process."""
        for found in self.processes.values():
            kill_group(found.process)

    def expire_all(self) -> None:
        """End the sandbox as the end of its lifetime does."""
        self.kill_all()
        self.processes.clear()

    def close(self) -> None:
        self.on_loop(self.kill_all)
        self.stop()
