"""The native API below /v1: sessions, runs, programs, files, tools. One small function a route."""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from pydantic_core import to_jsonable_python
from sse_starlette import EventSourceResponse
from starlette.responses import JSONResponse, Response
from starlette.routing import WebSocketRoute

from pinjra.core.errors import PinjraError
from pinjra.core.execution import Execution
from pinjra.executors.base import PythonExecutor
from pinjra.executors.registry import executor_names, sandbox
from pinjra.server.http.answers import (
    ExecutorsAnswer,
    FilesAnswer,
    OpenedAnswer,
    ProgramAnswer,
    RunAnswer,
    SessionAnswer,
    SessionsAnswer,
)
from pinjra.server.http.asked import Asked
from pinjra.server.http.errors import told
from pinjra.server.http.hub import Held, Hub, new_name, watched
from pinjra.server.http.operations import Operation
from pinjra.server.http.requests import (
    ProgramRequest,
    RunRequest,
    SessionRequest,
    VariablesRequest,
    decoded_files,
)
from pinjra.server.http.results import attachment, execution_json
from pinjra.server.http.tenants import Tenant
from pinjra.server.http.tools import tools_socket

__all__ = ["OPERATIONS", "ROUTES", "execute", "opened"]


def described(held: Held) -> dict[str, Any]:
    """Return what a client is told of a session."""
    return {
        "id": held.id,
        "executor": held.executor_name,
        "started": held.started,
        "idle_seconds": held.idle_seconds,
        "in_use": held.users > 0,
    }


# ---------------------------------------------------------------- sessions


async def opened(hub: Hub, tenant: Tenant, wanted: SessionRequest, **options: Any) -> Held:
    """Open the session that a request asks for, with its files and variables in it."""
    name, parameters = wanted.options(tenant, hub.settings)
    session = new_name()
    noted = watched(hub, tenant, session, name, parameters)
    files = decoded_files(wanted.files)

    def make() -> PythonExecutor:
        executor = sandbox(name, **parameters)
        try:
            for file, data in files.items():
                executor.put_file(file, data)
            if wanted.variables:
                executor.send_variables(wanted.variables)
        except BaseException:
            executor.close()
            raise
        return executor

    return await hub.open(
        tenant,
        make,
        executor_name=name,
        idle_seconds=wanted.timeout_seconds,
        name=session,
        given=noted,
        **options,
    )


async def create_session(request: Asked) -> Response:
    """Open a session."""
    held = await opened(request.hub, request.tenant, await request.body_as(SessionRequest))
    body = {**described(held), "guarantees": to_jsonable_python(held.executor.guarantees)}
    return JSONResponse(body, 201, {"Location": f"/v1/sessions/{held.id}"})


async def list_sessions(request: Asked) -> Response:
    """List the tenant's sessions."""
    return JSONResponse({"sessions": [described(held) for held in request.hub.of(request.tenant)]})


async def show_session(request: Asked) -> Response:
    """Describe a session and what it enforces."""
    held = request.held
    limits = to_jsonable_python(held.executor.limits)
    return JSONResponse(
        {**described(held), "guarantees": to_jsonable_python(held.executor.guarantees), "limits": limits}
    )


async def close_session(request: Asked) -> Response:
    """Close a session."""
    await request.hub.close(request.held)
    return Response(status_code=204)


async def fork_session(request: Asked) -> Response:
    """Open a session with the same variables and files."""
    hub, tenant, held = request.hub, request.tenant, request.held
    async with hub.using(held) as executor:
        copy = await hub.open(
            tenant, executor.fork, executor_name=held.executor_name, idle_seconds=held.idle_seconds
        )
    return JSONResponse(described(copy), 201, {"Location": f"/v1/sessions/{copy.id}"})


async def reset_session(request: Asked) -> Response:
    """Forget variables and files."""
    hub, held = request.hub, request.held
    async with hub.using(held) as executor:
        await hub.call(executor.reset)
    return Response(status_code=204)


async def interrupt_session(request: Asked) -> Response:
    """Stop the run in progress."""
    await request.hub.call(request.held.executor.interrupt)
    return Response(status_code=204)


async def set_variables(request: Asked) -> Response:
    """Set variables to JSON data."""
    hub, held = request.hub, request.held
    wanted = await request.body_as(VariablesRequest)
    async with hub.using(held) as executor:
        await hub.call(executor.send_variables, wanted.variables)
    return Response(status_code=204)


# ---------------------------------------------------------------- runs


async def run_code(request: Asked) -> Response:
    """Run code in a session; with `stream` as server-sent events."""
    hub, held = request.hub, request.held
    wanted = await request.body_as(RunRequest)
    if wanted.stream:
        return EventSourceResponse(
            _events(hub, held, wanted), shutdown_grace_period=hub.settings.drain_seconds
        )
    async with hub.using(held) as executor:
        done = await hub.run(held, lambda: execute(executor, held.tenant, wanted), code=wanted.code)
    return JSONResponse(await hub.call(execution_json, done))  # a large value takes a while


def execute(executor: PythonExecutor, tenant: Tenant, wanted: RunRequest) -> Execution:
    """Run what a request asks for; blocking."""
    options: dict[str, Any] = {}
    if wanted.wall_seconds is not None:
        options["wall_seconds"] = min(wanted.wall_seconds, tenant.quota.wall_seconds)
    if wanted.stdin is not None:
        options["stdin"] = wanted.stdin
    if wanted.language != "python":
        options["language"] = wanted.language
    return executor.run(wanted.code, **options)


async def _events(hub: Hub, held: Held, wanted: RunRequest) -> AsyncIterator[dict[str, str]]:
    """Yield output as it is printed, artifacts, and last the whole result, or the error of the session."""

    def run() -> Execution:
        return execute(held.executor, held.tenant, wanted)

    async with hub.using(held), aclosing(hub.told(held, run, code=wanted.code)) as pieces:
        try:
            async for piece in pieces:
                if not isinstance(piece, Execution):
                    stream, text = piece
                    yield {"event": "output", "data": json.dumps({"stream": stream, "text": text})}
                    continue
                done = await hub.call(execution_json, piece)
                for artifact in done["artifacts"]:
                    yield {"event": "artifact", "data": json.dumps(artifact)}
                yield {"event": "finished", "data": json.dumps(done)}
        except PinjraError as error:  # the answer has begun: its status cannot say it any more
            yield {"event": "error", "data": json.dumps(told(error))}


async def run_program(request: Asked) -> Response:
    """Start a program in a session and wait for its end."""
    hub, held = request.hub, request.held
    wanted = await request.body_as(ProgramRequest)
    seconds = min(wanted.timeout_seconds or held.tenant.quota.wall_seconds, held.tenant.quota.wall_seconds)
    async with hub.using(held) as executor:
        start = partial(executor.exec, wanted.argv, stdin=wanted.stdin or "", timeout=seconds)
        done = await hub.run(held, start, code=shlex.join(wanted.argv), kind="program")
    return JSONResponse({"returncode": done.status, "stdout": done.stdout, "stderr": done.stderr})


# ---------------------------------------------------------------- files


async def list_files(request: Asked) -> Response:
    """List name and size of the session's files."""
    hub, held = request.hub, request.held
    async with hub.using(held, alone=False) as executor:
        return JSONResponse({"files": await hub.call(executor.list_files)})


async def read_file(request: Asked) -> Response:
    """Return a file's bytes."""
    hub, held = request.hub, request.held
    async with hub.using(held, alone=False) as executor:
        data = await hub.call(executor.get_file, request.path_params["name"])
    return attachment(data)


async def write_file(request: Asked) -> Response:
    """Write a file; the body is its bytes."""
    hub, held = request.hub, request.held
    data = await request.body()
    async with hub.using(held, alone=False) as executor:
        await hub.call(executor.put_file, request.path_params["name"], data)
    return Response(status_code=204)


# ---------------------------------------------------------------- the machine


async def show_executors(request: Asked) -> Response:
    """List the executors that a session may ask for."""
    settings = request.settings
    offered = [name for name in executor_names() if name in (settings.executor, *settings.executors)]
    return JSONResponse({"default": settings.executor, "executors": offered})


_S = "/v1/sessions/{session}"
OPERATIONS = (
    Operation(method="POST", path="/v1/sessions", endpoint=create_session, body=SessionRequest, answer=OpenedAnswer, status=201),
    Operation(method="GET", path="/v1/sessions", endpoint=list_sessions, answer=SessionsAnswer),
    Operation(method="GET", path=_S, endpoint=show_session, answer=OpenedAnswer),
    Operation(method="DELETE", path=_S, endpoint=close_session, status=204),
    Operation(method="POST", path=_S + "/runs", endpoint=run_code, body=RunRequest, answer=RunAnswer, streams=True),
    Operation(method="POST", path=_S + "/programs", endpoint=run_program, body=ProgramRequest, answer=ProgramAnswer),
    Operation(method="POST", path=_S + "/fork", endpoint=fork_session, answer=SessionAnswer, status=201),
    Operation(method="POST", path=_S + "/reset", endpoint=reset_session, status=204),
    Operation(method="POST", path=_S + "/interrupt", endpoint=interrupt_session, status=204),
    Operation(method="PUT", path=_S + "/variables", endpoint=set_variables, body=VariablesRequest, status=204),
    Operation(method="GET", path=_S + "/files", endpoint=list_files, answer=FilesAnswer),
    Operation(method="GET", path=_S + "/files/{name:file}", endpoint=read_file, answer=bytes),
    Operation(method="PUT", path=_S + "/files/{name:file}", endpoint=write_file, body=bytes, status=204),
    Operation(method="GET", path="/v1/executors", endpoint=show_executors, answer=ExecutorsAnswer),
)  # fmt: skip
ROUTES = [WebSocketRoute(_S + "/tools", tools_socket)]
