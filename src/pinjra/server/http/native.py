"""The native API below /v1: sessions, runs, programs, files, tools. One small function a route."""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from pydantic import Field
from pydantic_core import to_jsonable_python
from sse_starlette import EventSourceResponse
from starlette.responses import JSONResponse, Response
from starlette.routing import WebSocketRoute

from pinjra.core.errors import PinjraError
from pinjra.core.execution import Execution, GuestError, Usage
from pinjra.executors.base import PythonExecutor
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.registry import executor_names, sandbox
from pinjra.server.http.asked import Asked
from pinjra.server.http.errors import told
from pinjra.server.http.hub import Held, Hub, new_name, watched
from pinjra.server.http.operations import Operation, StrictAnswer
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


class SessionAnswer(StrictAnswer):
    """An open session."""

    id: str
    executor: str
    started: float
    idle_seconds: float
    in_use: bool


class OpenedAnswer(SessionAnswer):
    """An open session with what it enforces; where it is asked for, also what a run may use."""

    guarantees: Guarantees
    limits: dict[str, float | None] = Field(default_factory=dict)


class SessionsAnswer(StrictAnswer):
    """The tenant's open sessions, the oldest first."""

    sessions: list[SessionAnswer]


class ArtifactAnswer(StrictAnswer):
    """Something to look at. `data` is base64."""

    media_type: str
    name: str
    data: str


class RunAnswer(StrictAnswer):
    """Everything that came of a run.

    `files` has name -> size of those that it wrote, `status` the exit status of a program in another language.
    """

    value: Any
    stdout: str
    stderr: str
    error: GuestError | None
    artifacts: list[ArtifactAnswer]
    usage: Usage
    is_final_answer: bool
    notes: list[str]
    status: int | None
    files: dict[str, int]


class ProgramAnswer(StrictAnswer):
    """How a program ended; `returncode` is null where it did not end by itself."""

    returncode: int | None
    stdout: str
    stderr: str


class FilesAnswer(StrictAnswer):
    """Name -> size in bytes."""

    files: dict[str, int]


class ExecutorsAnswer(StrictAnswer):
    """What a session may ask for."""

    default: str
    executors: list[str]


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


async def create_session(request: Asked, wanted: SessionRequest) -> Response:
    """Open a session, with its files and variables in it."""
    hub, tenant, session = request.hub, request.tenant, new_name()
    name, parameters = wanted.options(tenant, hub.settings)
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

    seconds = wanted.timeout_seconds
    held = await hub.open(tenant, make, executor_name=name, idle_seconds=seconds, name=session, given=noted)
    body = {**described(held), "guarantees": to_jsonable_python(held.executor.guarantees)}
    return JSONResponse(body, 201, {"Location": f"/v1/sessions/{held.id}"})


async def list_sessions(request: Asked) -> dict[str, Any]:
    """List the tenant's sessions."""
    return {"sessions": [described(held) for held in request.hub.of(request.tenant)]}


async def show_session(request: Asked) -> dict[str, Any]:
    """Describe a session and what it enforces."""
    executor = request.held.executor
    more = {"guarantees": executor.guarantees, "limits": executor.limits}
    return {**described(request.held), **to_jsonable_python(more)}


async def close_session(request: Asked) -> None:
    """Close a session."""
    await request.hub.close(request.held_by_any)


async def fork_session(request: Asked) -> Response:
    """Open a session with the same variables and files."""
    hub, tenant, held = request.hub, request.tenant, request.held
    async with hub.using(held) as executor:
        copy = await hub.open(
            tenant, executor.fork, executor_name=held.executor_name, idle_seconds=held.idle_seconds
        )
    return JSONResponse(described(copy), 201, {"Location": f"/v1/sessions/{copy.id}"})


async def reset_session(request: Asked) -> None:
    """Forget variables and files."""
    await request.use(lambda executor: executor.reset())


async def interrupt_session(request: Asked) -> None:
    """Stop the run in progress."""
    await request.hub.call(request.held.executor.interrupt)


async def set_variables(request: Asked, wanted: VariablesRequest) -> None:
    """Set variables to JSON data."""
    await request.use(lambda executor: executor.send_variables(wanted.variables))


# ---------------------------------------------------------------- runs


async def run_code(request: Asked, wanted: RunRequest) -> Response:
    """Run code in a session; with `stream` as server-sent events."""
    hub, held = request.hub, request.held
    if wanted.stream:
        return EventSourceResponse(
            _events(hub, held, wanted), shutdown_grace_period=hub.settings.drain_seconds
        )
    async with hub.using(held) as executor:
        done = await hub.run(held, lambda: _execute(executor, held.tenant, wanted), code=wanted.code)
    return JSONResponse(await hub.call(execution_json, done))  # a large value takes a while


def _execute(executor: PythonExecutor, tenant: Tenant, wanted: RunRequest) -> Execution:
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
        return _execute(held.executor, held.tenant, wanted)

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


async def run_program(request: Asked, wanted: ProgramRequest) -> dict[str, Any]:
    """Start a program in a session and wait for its end."""
    hub, held = request.hub, request.held
    seconds = min(wanted.timeout_seconds or held.tenant.quota.wall_seconds, held.tenant.quota.wall_seconds)
    async with hub.using(held) as executor:
        start = partial(executor.exec, wanted.argv, stdin=wanted.stdin or "", timeout=seconds)
        done = await hub.run(held, start, code=shlex.join(wanted.argv), kind="program")
    return {"returncode": done.status, "stdout": done.stdout, "stderr": done.stderr}


# ---------------------------------------------------------------- files


async def list_files(request: Asked) -> dict[str, Any]:
    """List name and size of the session's files."""
    return {"files": await request.use(lambda executor: executor.list_files(), alone=False)}


async def read_file(request: Asked) -> Response:
    """Return a file's bytes."""
    name = request.path_params["name"]
    async with request.held.reads:
        return attachment(await request.use(lambda executor: executor.get_file(name), alone=False))


async def write_file(request: Asked) -> None:
    """Write a file; the body is its bytes."""
    name, data = request.path_params["name"], await request.body()
    await request.use(lambda executor: executor.put_file(name, data), alone=False)


# ---------------------------------------------------------------- the machine


async def show_executors(request: Asked) -> dict[str, Any]:
    """List the executors that a session may ask for."""
    settings = request.settings
    offered = [name for name in executor_names() if name in (settings.executor, *settings.executors)]
    return {"default": settings.executor, "executors": offered}


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
