"""An MCP request -> something done in a session. Imported only where the `mcp` package is known to be installed."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ImageContent, TextContent, ToolAnnotations
from pydantic import Field

from pinjra.core.errors import PinjraError, SessionLost
from pinjra.core.execution import Artifact, Execution
from pinjra.core.images import image_type, png_of
from pinjra.core.json_data import encodable, text_of
from pinjra.core.safe_text import cut_middle
from pinjra.executors.base import PythonExecutor
from pinjra.server.http.hub import Held, new_name
from pinjra.server.sessions import Sessions

_TEXT_CHARACTERS = 50_000  # of each part of an answer; the middle of more is cut
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")  # what MCP clients show
_FILE_BYTES = 10 << 20  # of one file in one answer
_MOST_FILES = 50  # told by name; a program may write thousands

_SESSION = Field(
    description="The session's name, as an earlier answer gave it. Leave it out for your own first session.",
    max_length=200,
)
_NAME = Field(description="The file's relative path in the session's scratch folder.", max_length=4000)
SessionName = Annotated[str, _SESSION]
FileName = Annotated[str, _NAME]
WallSeconds = Annotated[float | None, Field(description="Longest time the run may take.", gt=0, le=86_400)]
Input = Annotated[str, Field(description="What it reads as its standard input.")]


class SandboxTools:
    """The tools that the server offers. What blocks works in threads, so that one client's long run holds nobody up.

    Args:
        wall_seconds: Longest time that one run may ask for; None for no limit.
        owned: The transport tells clients apart; otherwise a session's name is its only key.
    """

    def __init__(self, sessions: Sessions, *, wall_seconds: float | None, owned: bool) -> None:
        self._sessions = sessions
        self._hub = sessions.hub
        self._wall_seconds = wall_seconds
        self._owned = owned

    def offer(self, server: MCPServer, *, has_programs: bool = False) -> None:
        """Add all tools to the server."""
        writes = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
        reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
        ends = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)
        for function, hints in (
            (self.run_python, writes),
            *(((self.run_program, writes),) if has_programs else ()),
            (self.put_file, writes),
            (self.get_file, reads),
            (self.list_files, reads),
            (self.list_sessions, reads),
            (self.reset_session, ends),
            (self.close_session, ends),
        ):
            server.add_tool(function, annotations=hints, structured_output=False)

    async def run_python(
        self,
        code: Annotated[
            str, Field(description="Python source. The value of its last expression is returned.")
        ],
        context: Context[Any, Any],
        session: SessionName = "",
        wall_seconds: WallSeconds = None,
        stdin: Input = "",
    ) -> CallToolResult:
        """Run Python code in a sandbox and return what it printed, its value, its images and the names of files it wrote.

        Variables, functions and files live on in the session from one call to the next. The sandbox has none of this
        machine's files and no network but what the server's instructions name. What goes wrong is told with the line and
        the reason.
        """
        options: dict[str, Any] = {"wall_seconds": self._wall(wall_seconds)}
        if stdin:  # executors of other packages may have none
            options["stdin"] = stdin
        return await self._ran(context, session, lambda box: partial(box.run, code, **options))

    async def run_program(
        self,
        argv: Annotated[list[str], Field(description='The program and its arguments: ["bash", "-c", "ls"].')],
        context: Context[Any, Any],
        session: SessionName = "",
        wall_seconds: WallSeconds = None,
        stdin: Input = "",
    ) -> CallToolResult:
        """Run a program in the session's folder, in the same sandbox; return what it printed and its exit status."""
        wall = self._wall(wall_seconds)
        return await self._ran(
            context, session, lambda box: partial(box.exec, argv, stdin=stdin, timeout=wall)
        )

    async def _ran(
        self,
        context: Context[Any, Any],
        session: str,
        make: Callable[[PythonExecutor], Callable[[], Execution]],
    ) -> CallToolResult:
        """Return what came of what `make` makes of the session's executor; what it prints is told as it comes."""
        told = 0
        async with self._session(context, session, may_create=True) as (held, name):
            was_new = _is_new(held)
            run = make(held.executor)
            async with aclosing(self._hub.told(held, run)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Execution):
                        return _answer(piece, name, was_new)
                    told += len(piece[1])
                    # it may be that nobody listens any more
                    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                        await context.report_progress(told, None, piece[1])
        raise AssertionError("a run has no end")

    async def put_file(
        self,
        name: FileName,
        context: Context[Any, Any],
        text: Annotated[
            str | None, Field(description="The file's content as text; or give `base64`.")
        ] = None,
        base64: Annotated[str | None, Field(description="The file's content as base64.")] = None,
        session: SessionName = "",
    ) -> str:
        """Write a file into the session's scratch folder, where code opens it by its name."""
        data = _content(text, base64)
        async with self._session(context, session, may_create=True) as (held, known):
            was_new = _is_new(held)
            await self._hub.call(held.executor.put_file, name, data)
            return f"wrote {name} ({len(data)} bytes)\n{_named(known, was_new)}"

    async def get_file(
        self, name: FileName, context: Context[Any, Any], session: SessionName = ""
    ) -> CallToolResult:
        """Return a file of the session's scratch folder: as text, as an image, or as base64."""
        async with self._session(context, session) as (held, _):
            try:
                data = await self._hub.call(held.executor.get_file, name)
            except FileNotFoundError:
                raise ToolError(f"there is no file {name!r}; list_files tells what there is") from None
            return CallToolResult(content=[_file_block(name, data)])

    async def list_files(self, context: Context[Any, Any], session: SessionName = "") -> str:
        """List the files in the session's scratch folder, with their sizes in bytes."""
        async with self._session(context, session) as (held, _):
            files = await self._hub.call(held.executor.list_files)
            return "\n".join(f"{size:>12}  {name}" for name, size in sorted(files.items())) or "no files"

    async def reset_session(self, context: Context[Any, Any], session: SessionName = "") -> str:
        """Forget the session's variables and files."""
        async with self._session(context, session) as (held, known):
            await self._hub.call(held.executor.reset)
            return f"session {known} is empty now"

    async def list_sessions(self, context: Context[Any, Any]) -> str:
        """List your open sessions."""
        owner = self._owner(context)
        names = self._sessions.names(owner) if owner is not None else []
        return "\n".join(names) or "no sessions"

    async def close_session(self, context: Context[Any, Any], session: SessionName = "") -> str:
        """Stop what runs in the session and end it with its variables and files."""
        owner, name, _ = self._key(context, session)
        closed = await self._sessions.close_one(owner, name)
        return f"session {name} is closed" if closed else f"there is no session {name!r}"

    def _wall(self, asked: float | None) -> float | None:
        if asked is None or self._wall_seconds is None:
            return asked
        return min(asked, self._wall_seconds)

    def _owner(self, context: Context[Any, Any]) -> str | None:
        """Return who calls; None where the transport does not tell."""
        if self._owned:
            return "stdio"
        return (context.headers or {}).get("mcp-session-id")

    def _key(
        self, context: Context[Any, Any], session: str, *, may_create: bool = False
    ) -> tuple[str, str, bool]:
        """Return owner and name of the session that is meant, and whether it may be made now."""
        owner = self._owner(context)
        if owner is not None:
            return owner, session or "main", may_create
        if session:
            # SECURITY: without owners, only names that this server made up open a session.
            return "", session, False
        if not may_create:
            raise ToolError("say which session: run_python's answer gives its name")
        return "", new_name(), True

    @asynccontextmanager
    async def _session(
        self, context: Context[Any, Any], session: str, *, may_create: bool = False
    ) -> AsyncIterator[tuple[Held, str]]:
        """Yield a session and its name when it is the caller's turn; a client that cancels interrupts the run."""
        owner, name, may_create = self._key(context, session, may_create=may_create)
        try:
            async with self._sessions.use(owner, name, may_create=may_create) as held:
                yield held, name
        except SessionLost as error:
            await self._sessions.close_one(owner, name)
            raise ToolError(f"{error}; the session is gone with its variables and files") from error
        except PinjraError as error:
            raise ToolError(str(error)) from error


def _is_new(held: Held) -> bool:
    """Return whether nothing has been done in a session yet."""
    return "used" not in held.details


def _named(session: str, was_new: bool) -> str:
    return f"[session {session}{', new' if was_new else ''}]"


def _answer(done: Execution, session: str, was_new: bool) -> CallToolResult:
    parts = [_cut(done.stdout.rstrip("\n"))]
    if done.stderr.strip():
        parts.append(f"[stderr]\n{_cut(done.stderr.rstrip())}")
    if done.value is not None and done.error is None:
        parts.append(f"[value]\n{_cut(text_of(done.value))}")
    if done.error is not None:
        parts.append(f"[error]\n{_cut(done.error.text)}")
    if done.status is not None:
        parts.append(f"[exit status {done.status}]")
    parts += [f"[file] {file.name} ({file.size} bytes)" for file in list(done.files.values())[:_MOST_FILES]]
    if len(done.files) > _MOST_FILES:
        parts.append(f"[note] {len(done.files) - _MOST_FILES} more files were written; list_files names them")
    parts += [f"[note] {note}" for note in done.notes]
    parts.append(_named(session, was_new))
    content: list[Any] = [TextContent(type="text", text=encodable("\n".join(part for part in parts if part)))]
    content += [_artifact_block(artifact) for artifact in done.artifacts or _picture(done.value)]
    return CallToolResult(content=content, is_error=done.error is not None)


def _picture(value: object) -> list[Artifact]:
    """Return a run's value as something to look at, when it is an image and the executor did not do so."""
    if not type(value).__module__.startswith("PIL."):
        return []
    from PIL import Image

    if not isinstance(value, Image.Image):
        return []
    return [Artifact(media_type="image/png", data=png_of(value))]


def _artifact_block(artifact: Artifact) -> Any:
    if artifact.media_type in _IMAGES:
        data = base64.b64encode(artifact.data).decode("ascii")
        return ImageContent(type="image", data=data, mime_type=artifact.media_type)
    text = _cut(artifact.data.decode("utf-8", "replace"))
    return TextContent(type="text", text=f"[{artifact.media_type}]\n{text}")


def _file_block(name: str, data: bytes) -> Any:
    if len(data) > _FILE_BYTES:
        raise ToolError(
            f"{name} has {len(data)} bytes, more than an answer holds ({_FILE_BYTES}); read parts of it"
        )
    media_type = image_type(data)
    encoded = base64.b64encode(data).decode("ascii")
    if media_type:
        return ImageContent(type="image", data=encoded, mime_type=media_type)
    try:
        return TextContent(type="text", text=data.decode("utf-8"))
    except UnicodeDecodeError:
        return TextContent(type="text", text=f"base64:{encoded}")


def _content(text: str | None, encoded: str | None) -> bytes:
    if (text is None) == (encoded is None):
        raise ToolError("give the content either as text or as base64")
    if text is not None:
        return text.encode("utf-8")
    try:
        return base64.b64decode(encoded or "", validate=True)
    except ValueError as error:
        raise ToolError(f"base64 does not decode: {error}") from None


def _cut(text: str) -> str:
    return cut_middle(text, _TEXT_CHARACTERS)
