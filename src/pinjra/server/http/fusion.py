"""SandboxFusion's API: `POST /run_code`, `/run_jupyter`, `GET /v1/ping`. Each program runs in a process, or a jail, of its own.

The API, as its client `sandbox-fusion` 0.3 and verl speak it: https://github.com/bytedance/SandboxFusion
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from functools import cache, partial
from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse, Response

from pinjra.core.errors import ConfigurationError
from pinjra.core.execution import Cause, Execution
from pinjra.core.file_names import check_file_name
from pinjra.core.limits import Limits
from pinjra.core.value_text import text_of
from pinjra.executors.base import PythonExecutor
from pinjra.executors.parameters import constructor_parameters
from pinjra.executors.registry import executor_class, sandbox
from pinjra.fleet import Fleet, SnippetResult
from pinjra.fleet.requests import MOST_STARVING, Request
from pinjra.server.http.asked import Asked
from pinjra.server.http.errors import Forbidden
from pinjra.server.http.hub import Held, Hub
from pinjra.server.http.operations import Operation
from pinjra.server.http.requests import OpenBody, decoded_files
from pinjra.server.http.tenants import Tenant

_PROGRAM_PATH = "/usr/local/bin:/usr/bin:/bin"
# Without /proc the loader does not find what lies beside a program.
_BESIDE = ("env", "LD_LIBRARY_PATH={prefix}/lib")
_GNU_LINKER = ("-C", "link-arg=-fuse-ld=bfd")  # Rust's own looks for itself in /proc
# Language -> the program that must be installed for all users of this machine, its file, what builds it, what runs it; "{prefix}"
# is where the program is installed.
LANGUAGES: Mapping[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    "bash": ("bash", "main.sh", (), ("bash", "main.sh")),
    "nodejs": ("node", "main.js", (), ("node", "main.js")),
    "typescript": ("tsx", "main.ts", (), ("node", "--require", "tsx/cjs", "main.ts")),
    "cpp": ("g++", "main.cpp", ("g++", "-std=c++17", "main.cpp", "-o", "main", "-lpthread"), ("./main",)),
    "pytest": (
        "python3",
        "test_main.py",
        (),
        ("python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_main.py"),
    ),
    "java": (
        "javac",
        "Main.java",
        (*_BESIDE, "javac", "Main.java"),
        (*_BESIDE, "java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-ea", "Main"),
    ),
    "perl": ("perl", "main.pl", (), ("perl", "main.pl")),
    "lua": ("lua", "main.lua", (), ("lua", "main.lua")),
    "ruby": ("ruby", "main.rb", (), ("ruby", "main.rb")),
    "php": ("php", "main.php", (), ("php", "-f", "main.php")),
    "R": ("Rscript", "main.R", (), ("Rscript", "main.R")),
    "go": ("go", "main.go", ("go", "build", "-o", "main", "main.go"), ("./main",)),
    "go_test": ("go", "main_test.go", (), ("go", "test", "main_test.go")),
    "rust": (
        "rustc",
        "main.rs",
        (*_BESIDE, "rustc", "--sysroot", "{prefix}", *_GNU_LINKER, "main.rs", "-o", "main"),
        ("./main",),
    ),
    "verilog": (
        "iverilog",
        "main.sv",
        ("iverilog", "-Wall", "-Winfloop", "-Wno-timescale", "-g2012", "-s", "tb", "-o", "main", "main.sv"),
        ("vvp", "-n", "main"),
    ),
}
_MODULES = {"pytest": "pytest"}  # language -> what its program, a Python, must be able to import
_ALIASES = {"js": "nodejs", "ts": "typescript"}
# What `npm install -g` and Debian's packages bring is found by require() and import, as there.
_PROGRAM_ENV = {
    "NODE_PATH": "/usr/local/lib/node_modules:/usr/lib/node_modules:/usr/share/nodejs",
    "CLASSPATH": ".:/usr/share/java/*",
    "GO111MODULE": "off",
    "GOPATH": "/usr/share/gocode",
}
# Folders besides its own that a program finds empty and may write, where images of this service have them.
_FOLDERS = ("/mnt", "/home", "/root", "/workspace", "/data")
_LARGEST_SECONDS = 3600.0
_OUTPUT_BYTES = 8 << 20
_CLIENT_SECONDS = 8.0  # clients wait 10 s more than both limits
_FETCH_SECONDS = 10.0  # for a session to read one of its files


class RunCode(OpenBody):
    """Body of `/run_code`."""

    code: str
    language: str
    compile_timeout: float = Field(default=10, gt=0, le=_LARGEST_SECONDS)
    run_timeout: float = Field(default=10, gt=0, le=_LARGEST_SECONDS)
    memory_limit_MB: int = -1  # noqa: N815  (its name there)
    stdin: str | None = None
    files: dict[str, str | None] = Field(default_factory=dict)
    fetch_files: list[str] = Field(default_factory=list)


class RunJupyter(OpenBody):
    """Body of `/run_jupyter`."""

    cells: list[str]
    cell_timeout: float = Field(default=0, ge=0, le=_LARGEST_SECONDS)
    total_timeout: float = Field(default=45, gt=0, le=_LARGEST_SECONDS)
    memory_limit_MB: int = -1  # noqa: N815  (its name there)
    kernel: Literal["python3"] = "python3"
    files: dict[str, str | None] = Field(default_factory=dict)
    fetch_files: list[str] = Field(default_factory=list)


class CommandAnswer(BaseModel):
    """How one program ended."""

    status: Literal["Finished", "Error", "TimeLimitExceeded"]
    execution_time: float | None
    return_code: int | None
    stdout: str | None
    stderr: str | None


class _ProgramsAnswer(BaseModel):
    status: Literal["Success", "Failed", "SandboxError"]
    message: str
    executor_pod_name: str | None
    files: dict[str, str]


class RunCodeAnswer(_ProgramsAnswer):
    """What came of a program. `files` are base64."""

    compile_result: CommandAnswer | None
    run_result: CommandAnswer | None


class CellAnswer(BaseModel):
    """What came of one cell."""

    stdout: str
    stderr: str
    display: list[dict[str, Any]]
    error: list[dict[str, Any]]


class RunJupyterAnswer(_ProgramsAnswer):
    """What came of the cells. `files` are base64."""

    driver: CommandAnswer
    cells: list[CellAnswer]


class Fleets:
    """The warm boxes of each tenant: only programs of one tenant ever share one."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._open: dict[tuple[str, bool], Fleet] = {}

    def of(self, tenant: Tenant, *, has_programs: bool) -> Fleet:
        """Return the tenant's fleet for Python, or for other programs."""
        settings = self._hub.settings
        key = (tenant.name, has_programs)
        if key not in self._open:
            options = _folders(settings.executor)
            options |= {"programs": "*", "env": _PROGRAM_ENV} if has_programs else {}
            self._open[key] = Fleet(
                executor=settings.executor,
                isolation=settings.isolation,
                preload=settings.warm_imports,
                **options,
            )
        return self._open[key]

    def close(self) -> None:
        """End them all."""
        for fleet in self._open.values():
            fleet.close()


def _folders(executor: str) -> dict[str, Any]:
    """Return the parameter for folders of programs' own, where this executor has it."""
    takes = constructor_parameters(executor_class(executor)).kinds
    return {"folders": _FOLDERS} if "folders" in takes else {}


# ---------------------------------------------------------------- /run_code


async def run_code(asked: Asked, wanted: RunCode) -> dict[str, Any]:
    """Run one program."""
    hub, tenant = asked.hub, asked.tenant
    tenant.check_budget()
    request = _request(wanted, tenant)
    fleet = asked.service.fleets.of(tenant, has_programs=bool(request.argv))
    begun = time.monotonic()
    try:
        result = await asyncio.wrap_future(fleet.submit_request(request))
    except asyncio.CancelledError:  # the service ends
        seconds = (time.monotonic() - begun, None)
        hub.note_run("run", tenant, "cancelled", seconds, 0, wanted.code, language=wanted.language)
        raise
    # SECURITY: what kills itself runs again, and all of its runs are paid
    cpu_seconds = result.total_cpu_seconds
    tenant.charge(cpu_seconds)
    end, output = result.reason or "ok", len(result.stdout) + len(result.stderr)
    hub.metrics.verdicts.labels(tenant.name, end).inc()
    hub.note_run(
        "run", tenant, end, (result.wall_seconds, cpu_seconds), output, wanted.code, language=wanted.language
    )
    return _answer(result)


def _request(wanted: RunCode, tenant: Tenant) -> Request:
    files = _files(wanted.files)
    limits = _limits(wanted.run_timeout, wanted.memory_limit_MB, tenant)
    shared: dict[str, Any] = {
        "stdin": (wanted.stdin or "").encode(),
        "fetch": tuple(wanted.fetch_files),
        "limits": limits,
        # a client that still waits is told
        "most_starving": min((wanted.compile_timeout + _CLIENT_SECONDS) / wanted.run_timeout, MOST_STARVING),
    }
    if wanted.language == "python":
        return Request(code=wanted.code, files=files, **shared)
    language = _ALIASES.get(wanted.language, wanted.language)
    if language not in LANGUAGES:
        raise ConfigurationError(
            f"language {wanted.language!r} is not offered; there are: {', '.join(_offered())}"
        )
    if not tenant.quota.programs:
        raise Forbidden(f"tenant {tenant.name!r} may not start programs")
    program, name, build, argv = LANGUAGES[language]
    found = _installed(language)
    if found is None:
        missing = _MODULES.get(language, program)
        raise ConfigurationError(f"{missing} is not installed here; there are: {', '.join(_offered())}")
    prefix = os.path.dirname(os.path.dirname(os.path.realpath(found)))
    build, argv = (tuple(part.replace("{prefix}", prefix) for part in parts) for parts in (build, argv))
    is_untagged = language == "php" and not wanted.code.lstrip().startswith("<?php")
    files[name] = ("<?php\n" * is_untagged + wanted.code).encode()
    return Request(
        files=files,
        argv=argv,
        build=build,
        build_seconds=min(wanted.compile_timeout, tenant.quota.wall_seconds),
        **shared,
    )


def _offered() -> list[str]:
    return ["python", *filter(_installed, LANGUAGES)]


def _installed(language: str) -> str | None:
    """Return where a language's program is; None where it, or a module that it needs, is not installed for all users."""
    found = shutil.which(LANGUAGES[language][0], path=_PROGRAM_PATH)
    is_whole = found is None or language not in _MODULES or _has_module(found, _MODULES[language])
    return found if is_whole else None


@cache
def _has_module(python: str, module: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    done = subprocess.run(  # noqa: S603 (this machine's own Python, fixed words)
        [python, "-I", "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return done.returncode == 0


def _files(given: Mapping[str, str | None]) -> dict[str, bytes]:
    files = decoded_files({name.removeprefix("./"): data for name, data in given.items() if data is not None})
    return {_checked(name): data for name, data in files.items()}


def _checked(name: str) -> str:
    is_shared = name.startswith(tuple(f"{folder}/" for folder in _FOLDERS))
    check_file_name(name.removeprefix("/") if is_shared else name)
    return name


def _limits(seconds: float, memory_mib: int, tenant: Tenant) -> Limits:
    quota = tenant.quota
    asked = Limits(
        wall_seconds=seconds,
        cpu_seconds=max(min(seconds, quota.wall_seconds) * 4, 1.0),  # of several threads
        memory_bytes=memory_mib << 20 if memory_mib > 0 else quota.memory_bytes,
        disk_bytes=quota.disk_bytes,
        output_bytes=_OUTPUT_BYTES,
    )
    return quota.capped(asked)


def _answer(result: SnippetResult) -> dict[str, Any]:
    build, run = result.build, result
    is_built = build is None or build.ok
    status = "Success" if result.ok else "Failed"
    message = ""
    if result.reason == "infrastructure":
        status, message = "SandboxError", result.message
    return {
        "status": status,
        "message": message,
        "compile_result": None if build is None else _command(build),
        "run_result": _command(run) if is_built else None,
        "executor_pod_name": None,
        "files": {name: base64.b64encode(data).decode() for name, data in result.files.items()},
    }


def _command(result: SnippetResult) -> dict[str, Any]:
    is_late = result.reason in ("wall", "processor")
    return {
        "status": "TimeLimitExceeded" if is_late else "Finished",
        "execution_time": result.wall_seconds,
        "return_code": None if is_late else result.returncode,
        "stdout": result.stdout,
        "stderr": result.stderr,
    }


# ---------------------------------------------------------------- /run_jupyter


async def run_jupyter(asked: Asked, wanted: RunJupyter) -> dict[str, Any]:
    """Run cells one after the other in one session of their own."""
    hub, tenant = asked.hub, asked.tenant
    files = _files(wanted.files)
    limits = _limits(wanted.total_timeout, wanted.memory_limit_MB, tenant)

    def make() -> PythonExecutor:
        options = _folders(hub.settings.executor)
        executor = sandbox(
            hub.settings.executor, authorized_imports=["*"], limits=limits, guard=False, **options
        )
        for name, data in files.items():
            _put(executor, name, data)
        return executor

    held = await hub.open(tenant, make, executor_name=hub.settings.executor)
    try:
        async with hub.using(held) as executor:
            return await _cells(hub, held, executor, wanted)
    finally:
        await hub.close(held)


async def _cells(hub: Hub, held: Held, executor: PythonExecutor, wanted: RunJupyter) -> dict[str, Any]:
    cells: list[dict[str, Any]] = []
    left, is_late = wanted.total_timeout, False
    for code in wanted.cells:
        seconds = min(left, wanted.cell_timeout or left, held.tenant.quota.wall_seconds)

        def run(code: str = code, seconds: float = seconds) -> Execution:
            return executor.run(code, wall_seconds=seconds)

        done = await hub.run(held, run, code=code)
        cells.append(_cell(done))
        left -= done.usage.wall_seconds
        is_late = done.error is not None and done.error.cause is Cause.WALL
        if is_late or left <= 0:
            break
    fetched = {}
    for name in wanted.fetch_files:
        try:
            fetched[name] = base64.b64encode(await _fetched(hub, held, executor, name)).decode()
        except (FileNotFoundError, ConfigurationError):
            continue
    driver = {"status": "TimeLimitExceeded" if is_late else "Finished", "execution_time": wanted.total_timeout - left,
              "return_code": None if is_late else 0, "stdout": "", "stderr": ""}  # fmt: skip
    return {
        "status": "Failed" if is_late else "Success",
        "message": "",
        "driver": driver,
        "cells": cells,
        "executor_pod_name": None,
        "files": fetched,
    }


def _put(executor: PythonExecutor, name: str, data: bytes) -> None:
    """Write a file of the scratch folder, or of the other folders, which the session's own code writes."""
    if not name.startswith("/"):
        executor.put_file(name, data)
        return
    executor.send_variables({"_data": data})
    executor.run(
        f"import os\nos.makedirs({os.path.dirname(name)!r}, exist_ok=True)\n"
        f"with open({name!r}, 'wb') as _file: _file.write(_data)\ndel _data, _file"
    )


async def _fetched(hub: Hub, held: Held, executor: PythonExecutor, name: str) -> bytes:
    """Return a file of the scratch folder, or of the other folders, which the session's own code reads.

    Raises:
        FileNotFoundError: There is none.
    """
    if not name.startswith("/"):
        return await hub.call(executor.get_file, name)
    code = f"with open({name!r}, 'rb') as _file: _data = _file.read()\n_data"
    # SECURITY: `open` may be the guest's by now: it has little time, and is paid for
    done = await hub.run(held, partial(executor.run, code, wall_seconds=_FETCH_SECONDS), kind="fetch")
    if not isinstance(done.value, bytes):
        raise FileNotFoundError(name)
    return done.value


def _cell(done: Execution) -> dict[str, Any]:
    error = done.error
    display: list[dict[str, Any]] = [
        {artifact.media_type: base64.b64encode(artifact.data).decode()} for artifact in done.artifacts
    ]
    if done.value is not None:
        display.append({"text/plain": text_of(done.value)})
    return {
        "stdout": done.stdout,
        "stderr": done.stderr,
        "display": display,
        "error": []
        if error is None
        else [{"ename": error.type, "evalue": error.message, "traceback": error.traceback.splitlines()}],
    }


async def ping(asked: Asked) -> Response:
    """Answer that the service lives."""
    return PlainTextResponse("pong")


OPERATIONS = (
    Operation(method="POST", path="/run_code", endpoint=run_code, body=RunCode, answer=RunCodeAnswer),
    Operation(
        method="POST", path="/run_jupyter", endpoint=run_jupyter, body=RunJupyter, answer=RunJupyterAnswer
    ),
    Operation(method="GET", path="/v1/ping", endpoint=ping, answer=str, is_open=True),
)
