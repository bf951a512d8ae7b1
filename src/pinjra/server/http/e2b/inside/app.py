"""Requests that the host lets through -> the service that listens at the port which they name."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

from connectrpc.codec import proto_binary_codec
from e2b.envd.client_shared import ENVD_JSON_CODEC
from e2b.envd.filesystem.filesystem_connect import FilesystemASGIApplication
from e2b.envd.process.process_connect import ProcessASGIApplication
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pinjra.server.http.e2b.inside.children import Reaper
from pinjra.server.http.e2b.inside.contexts import Contexts
from pinjra.server.http.e2b.inside.files import FileService
from pinjra.server.http.e2b.inside.processes import ProcessService
from pinjra.server.http.e2b.inside.surroundings import Surroundings

_MESSAGE_BYTES = 64 << 20
ENVD, CONTEXTS, HOST = "49983", "49999", "host"


def create_app(place: Surroundings, reaper: Reaper) -> ASGIApp:
    """Return everything that answers in the box."""
    codecs = [proto_binary_codec(), ENVD_JSON_CODEC]
    processes, files, contexts = ProcessService(place, reaper), FileService(place), Contexts(place, reaper)

    async def health(request: Request) -> Response:
        return Response(status_code=204)

    async def variables(request: Request) -> Response:
        return JSONResponse(place.variables)

    async def begin(request: Request) -> Response:
        """Take what the host says at the beginning."""
        given: dict[str, Any] = json.loads(await request.body())
        place.variables, place.path = dict(given["variables"]), str(given["path"])
        if given.get("warm"):
            asyncio.get_running_loop().call_soon(asyncio.ensure_future, contexts.warm())
        return Response(status_code=204)

    async def freeze(request: Request) -> Response:
        _signal_all(signal.SIGSTOP)
        return Response(status_code=204)

    async def thaw(request: Request) -> Response:
        _signal_all(signal.SIGCONT)
        return Response(status_code=204)

    envd = Starlette(
        routes=[
            Route("/health", health),
            Route("/envs", variables),
            *files.routes,
            Mount(
                "/process.Process",
                ProcessASGIApplication(processes, codecs=codecs, read_max_bytes=_MESSAGE_BYTES),
            ),
            Mount(
                "/filesystem.Filesystem",
                FilesystemASGIApplication(files, codecs=codecs, read_max_bytes=_MESSAGE_BYTES),
            ),
        ]
    )
    host = Starlette(
        routes=[
            Route("/begin", begin, methods=["POST"]),
            Route("/freeze", freeze, methods=["POST"]),
            Route("/thaw", thaw, methods=["POST"]),
        ]
    )
    services: dict[str, ASGIApp] = {ENVD: envd, CONTEXTS: Starlette(routes=contexts.routes), HOST: host}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        port = next((value for name, value in scope["headers"] if name == b"x-box-port"), b"").decode(
            "latin-1"
        )
        port = port or str((scope.get("server") or ("", ""))[1])  # from within the box
        service = services.get(port) or PlainTextResponse(f"nothing listens at port {port}", 502)
        await service(scope, receive, send)

    return app


def _signal_all(number: int) -> None:
    """Signal everybody else in the box."""
    if os.getpid() == 1:  # SECURITY: only in a pid namespace of its own is "all" the box
        try:
            os.kill(-1, number)
        except ProcessLookupError:
            return  # nobody else
