"""The code interpreter's API: contexts, and code in them -> lines of JSON as things happen."""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import shutil
import signal
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pinjra.server.http.e2b.inside.children import Child, Listener, Reaper
from pinjra.server.http.e2b.inside.surroundings import HOME, Surroundings
from pinjra.server.http.e2b.streams import open_streams

_KEEPALIVE_SECONDS = 5.0
_LINE_BYTES = 256 << 20  # of one event: a picture is one line
_NAMES = {"js": "javascript", "ts": "typescript", "py": "python"}
_SHORT = {
    "text/plain": "text",
    "text/html": "html",
    "text/markdown": "markdown",
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpeg",
    "application/pdf": "pdf",
    "text/latex": "latex",
    "application/json": "json",
    "application/javascript": "javascript",
    "e2b/data": "data",
    "e2b/chart": "chart",
}  # media type -> field of a result


_JSHELL = ("--add-modules", "jdk.jshell")
# language -> what must be installed, and the command; "{runner}" is a folder, "{fd}" the descriptor of the socket, as 0 is
_COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bash": ("bash", ("bash", "--norc", "{runner}/bash.sh", "{fd}")),
    "javascript": ("node", ("node", "--no-warnings", "{runner}/node.js", "{fd}")),
    "typescript": ("node", ("node", "--no-warnings", "{runner}/node.js", "{fd}", "typescript")),
    "r": ("Rscript", ("Rscript", "--vanilla", "{runner}/cells.R", "{fd}")),
    "java": (
        "jshell",
        ("java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *_JSHELL, "{runner}/Cells.java"),
    ),
}


class Unavailable(Exception):
    """The box cannot run this language."""


def _start_program(
    child: Child, language: str, stream: socket.socket, cwd: str, environment: Mapping[str, str]
) -> None:
    """Start a context of a language.

    Raises:
        Unavailable: It is not known, or not installed on this machine.
    """
    if language not in _COMMANDS:
        raise Unavailable(f"language {language!r} is not known; there are: python, {', '.join(_COMMANDS)}")
    program, command = _COMMANDS[language]
    if shutil.which(program, path=environment["PATH"]) is None:
        raise Unavailable(f"{language} needs {program}, which is not installed on the machine that serves")
    started = os.path.realpath(shutil.which(command[0], path=environment["PATH"]) or command[0])
    runner = f"{os.path.dirname(__file__)}/runners"
    os.set_inheritable(stream.fileno(), True)
    child.start(
        [started, *(part.format(runner=runner, fd=stream.fileno()) for part in command[1:])],
        cwd=cwd,
        environment={
            "NODE_PATH": "/usr/local/lib/node_modules:/usr/lib/node_modules",  # what `npm install -g` has installed
            **environment,
            "PINJRA_PYTHON": sys.executable,
            # There is no /proc, by which the loader finds what lies beside a program
            **(
                {"LD_LIBRARY_PATH": f"{os.path.dirname(os.path.dirname(started))}/lib"}
                if language == "java"
                else {}
            ),
        },
        stdin=stream.fileno(),
        pass_fds=(stream.fileno(),),
    )


class Context:
    """Code runs in it one after the other. Its process is started when it is first needed."""

    def __init__(self, place: Surroundings, reaper: Reaper, language: str, cwd: str) -> None:
        self.id = str(uuid.uuid4())
        self.language = language
        self.cwd = cwd
        self._place = place
        self._reaper = reaper
        self._turn = asyncio.Lock()
        self._child: Child | None = None
        self._known = place.variables
        self._interrupting: asyncio.Task[None] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def start(self) -> Child:
        """Return the running process.

        Raises:
            Unavailable: The language is not installed, or the folder is not there.
        """
        if self._child is not None and self._child.status is None:
            return self._child
        self.stop()
        folder = self._place.resolve(self.cwd)
        if not os.path.isdir(folder):
            raise Unavailable(f"there is no folder {self.cwd}")
        ours, theirs = socket.socketpair()
        with theirs:
            child = Child(self._reaper)
            try:
                if self.language == "python":
                    self._fork(child, theirs, folder)
                else:
                    _start_program(child, self.language, theirs, folder, self._place.environment())
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        self._reader, self._writer = await open_streams(sock=ours, limit=_LINE_BYTES)
        self._child = child
        # Java's are properties of the machine, which the environment of its process does not set
        self._known = {} if self.language == "java" else self._place.variables
        return child

    def _fork(self, child: Child, theirs: socket.socket, folder: str) -> None:
        """Start IPython: this process has it loaded, a fork of it begins at once."""
        environment = self._place.environment()
        out, out_theirs = os.pipe()
        err, err_theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            from pinjra.server.http.e2b.inside.kernel import serve_cells

            serve_cells(theirs, (out_theirs, err_theirs), folder, environment)
        os.close(out_theirs)
        os.close(err_theirs)
        child.attend(pid, {out: "stdout", err: "stderr"})

    def stop(self) -> None:
        """End the process and all that it has started."""
        if self._child is not None:
            self._child.kill(group=True)
            self._child = None
        if self._writer is not None:
            self._writer.close()
            self._writer = self._reader = None

    def _new_variables(self) -> dict[str, str]:
        """Return the sandbox's variables where the process was started before they were known."""
        known, self._known = self._known, self._place.variables
        return {} if known is self._place.variables else self._place.variables

    async def execute(self, code: str, variables: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Yield what comes of the code, as it comes."""
        await self._turn.acquire()
        child, is_done = None, False
        try:
            child = await self.start()
            async for event in self._run(child, code, variables):
                is_done = is_done or event["type"] == "done"
                if event["type"] != "done":
                    yield event
        except (Unavailable, OSError) as error:
            self.stop()
            is_done = True
            yield _error("ContextUnavailable", str(error))
        finally:
            if child is None or is_done or child.status is not None:
                self._turn.release()
            else:  # in a task of its own: this one has been cancelled
                self._interrupting = asyncio.create_task(self._interrupt(child))

    async def _run(self, child: Child, code: str, variables: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
        assert self._reader is not None and self._writer is not None  # noqa: S101 (start has made them)
        listener = child.join()
        decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}
        line: asyncio.Task[bytes] | None = None
        printed: asyncio.Task[Any] | None = None
        try:
            self._writer.write(
                json.dumps({"code": code, "env": variables, "base": self._new_variables()}).encode() + b"\n"
            )
            while True:
                line = line or asyncio.ensure_future(self._reader.readline())
                printed = printed or asyncio.ensure_future(listener.next(None))
                await asyncio.wait(
                    {line, printed}, timeout=_KEEPALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if line.done():
                    child.drain()  # what was printed before the event
                is_silent = True
                for said in _printed(printed, listener, decoders):
                    is_silent = False
                    yield said
                if printed.done():
                    printed = None
                if line.done():
                    is_silent = False
                    event = _event(line.result())
                    line = None
                    yield event
                    if event["type"] == "done":
                        return
                    if event.get("name") == "ContextRestarting":
                        self.stop()
                        yield {"type": "done"}
                        return
                if is_silent:
                    yield {"type": "keepalive"}
        finally:
            for task in (line, printed):
                if task is not None:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
            child.leave(listener)

    async def _interrupt(self, child: Child) -> None:
        """Stop the code whose client has left, then let others in; a context that does not stop is ended."""
        try:
            await self._stop_code(child)
        finally:
            self._turn.release()

    async def _stop_code(self, child: Child) -> None:
        child.kill(signal.SIGINT, group=True)
        reader = self._reader
        try:
            async with asyncio.timeout(2.0):
                while reader is not None and (line := await reader.readline()):
                    if _event(line)["type"] == "done":
                        return
        except (TimeoutError, ValueError, OSError):
            pass
        self.stop()


def _printed(task: asyncio.Task[Any], listener: Listener, decoders: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what was printed, neighbours put together."""
    events = [task.result()] if task.done() else []
    while listener.events:
        events.append(listener.events.popleft())
    found: list[dict[str, Any]] = []
    for event in events:
        if event is None or event[0] not in decoders:
            continue
        name, data = event
        text = decoders[name].decode(data)
        if found and found[-1]["type"] == name:
            found[-1]["text"] += text
        elif text:
            found.append({"type": name, "text": text, "timestamp": time.time_ns()})
    return found


def _event(line: bytes) -> dict[str, Any]:
    """Return a context's event in the API's words."""
    if not line.endswith(b"\n"):  # it has ended, perhaps within a line
        return _error("ContextRestarting", "Context was restarted")
    event: dict[str, Any] = json.loads(line)
    return _WORDS.get(event["type"], dict)(event)


def _begin(event: dict[str, Any]) -> dict[str, Any]:
    return {"type": "number_of_executions", "execution_count": event["count"]}


def _result(event: dict[str, Any]) -> dict[str, Any]:
    data = {kind: value for kind, value in event["data"].items() if value is not None}
    result = {field: data.pop(kind) for kind, field in _SHORT.items() if kind in data}
    text = result.get("text")
    if isinstance(text, str) and len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        result["text"] = text[1:-1]
    if not isinstance(result.get("json", {}), dict):
        del result["json"]  # the API's JSON is an object
    return {"type": "result", **result, "extra": data, "is_main_result": event["is_main"]}


def _error(name: str, value: str) -> dict[str, Any]:
    return {"type": "error", "name": name, "value": value, "traceback": ""}


_WORDS = {"begin": _begin, "result": _result}


class Contexts:
    """The API's requests."""

    def __init__(self, place: Surroundings, reaper: Reaper) -> None:
        self._place = place
        self._reaper = reaper
        self._all: dict[str, Context] = {}
        self._defaults: dict[str, Context] = {}
        self.routes = [
            Route("/health", self.health),
            Route("/execute", self.execute, methods=["POST"]),
            Route("/contexts", self.create, methods=["POST"]),
            Route("/contexts", self.list, methods=["GET"]),
            Route("/contexts/{id}", self.remove, methods=["DELETE"]),
            Route("/contexts/{id}/restart", self.restart, methods=["POST"]),
        ]
        for language in ("python", "javascript"):
            self._default(language)

    def _default(self, language: str) -> Context:
        found = self._defaults.get(language)
        if found is None or found.id not in self._all:
            found = self._defaults[language] = self._add(language, HOME)
        return found

    def _add(self, language: str, cwd: str) -> Context:
        context = Context(self._place, self._reaper, language, cwd)
        self._all[context.id] = context
        return context

    async def warm(self) -> None:
        """Start the context that is used unless a request names one."""
        await self._default("python").start()

    async def health(self, request: Request) -> Response:
        return PlainTextResponse("OK")

    async def execute(self, request: Request) -> Response:
        """Run code; the answer is one line for each thing that happens."""
        wanted = await request.json()
        name, language = wanted.get("context_id"), wanted.get("language")
        if name and language:
            return PlainTextResponse("Only one of context_id or language can be provided", 400)
        context = self._all.get(name) if name else self._default(_language(language))
        if context is None:
            return PlainTextResponse(f"Context {name} not found", 404)
        events = context.execute(str(wanted["code"]), dict(wanted.get("env_vars") or {}))
        return StreamingResponse(_lines(events), media_type="application/x-ndjson")

    async def create(self, request: Request) -> Response:
        wanted = json.loads(await request.body() or b"{}")
        context = self._add(_language(wanted.get("language")), wanted.get("cwd") or HOME)
        try:
            await context.start()
        except (Unavailable, OSError) as error:
            del self._all[context.id]
            return PlainTextResponse(str(error), 500)
        return JSONResponse(_described(context))

    async def list(self, request: Request) -> Response:
        return JSONResponse([_described(context) for context in self._all.values()])

    async def remove(self, request: Request) -> Response:
        context = self._all.pop(request.path_params["id"], None)
        if context is None:
            return PlainTextResponse(f"Context {request.path_params['id']} not found", 404)
        context.stop()
        return Response("null", media_type="application/json")

    async def restart(self, request: Request) -> Response:
        context = self._all.get(request.path_params["id"])
        if context is None:
            return PlainTextResponse(f"Context {request.path_params['id']} not found", 404)
        context.stop()
        return Response("null", media_type="application/json")


def _described(context: Context) -> dict[str, str]:
    return {"id": context.id, "language": context.language, "cwd": context.cwd}


def _language(name: str | None) -> str:
    word = (name or "python").strip().lower()
    return _NAMES.get(word, word)


async def _lines(events: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    async for event in events:
        yield json.dumps(event).encode() + b"\n"
    yield b'{"type": "end_of_execution"}\n'
