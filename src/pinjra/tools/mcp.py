"""The address of an MCP server -> its tools, usable from any thread and in every executor.

One thread with one event loop holds all connections of a client: the SDK wants its contexts entered and left by the
same task, so one coroutine enters them, waits for the end, and leaves them. Calls come from other threads.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pinjra.core.errors import BackendError, ConfigurationError, PinjraError
from pinjra.core.optional import optional
from pinjra.tools.base import Tool
from pinjra.tools.mcp_tool import MCPTool

if TYPE_CHECKING:
    import mcp
    from mcp.types import CallToolResult

Server = Any  # mcp.StdioServerParameters | dict[str, Any] | str; the SDK is optional

_TOOL_PAGES = 100  # a server that always has one more page of tools cannot hold the start up
_STOP_SECONDS = 10.0  # for a server to end by itself before its connection is cut
_ANSWER_BYTES = 64 << 20  # of one answer over HTTP
_TAIL_BYTES = 4000  # kept of what a server's program writes to its standard error


@dataclass(eq=False, repr=False)
class MCPClient:
    """A connection to one or more MCP servers, and their tools. Connected when made; close it with `disconnect`.

    Args:
        server_parameters: As for `ToolCollection.from_mcp`, or a list of them.
        structured_output: Give structured results as data, or the text of them only.
        seconds: Longest time one call may take.
        start_seconds: Longest time all servers together may take to come up.

    Raises:
        ConfigurationError: The parameters are wrong (the caller's fault).
        MissingDependency: The `mcp` package is not installed.
        BackendError: A server does not start, answer, or speak the protocol (the server's fault).
    """

    server_parameters: Server | Sequence[Server]
    structured_output: bool = True
    _: KW_ONLY
    seconds: float = 60.0
    start_seconds: float = 30.0

    def __post_init__(self) -> None:
        several = isinstance(self.server_parameters, (list, tuple))
        given = self.server_parameters if several else [self.server_parameters]
        self._servers = [_checked(server) for server in given]
        self._tools: list[Tool] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self.connect()

    def connect(self) -> None:
        """Connect, unless connected already; called by the constructor."""
        if self._tools is not None:
            return
        self._started: concurrent.futures.Future[list[Tool]] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._hold, name="pinjra-mcp", daemon=True)
        self._thread.start()
        try:
            self._tools = self._started.result(self.start_seconds)
        except concurrent.futures.TimeoutError:
            self.disconnect()
            raise BackendError(
                f"the MCP server {self._names()} did not come up within {self.start_seconds:g} seconds"
            ) from None
        atexit.register(self.disconnect)

    def get_tools(self) -> list[Tool]:
        """Return the tools that the servers offered when the connection was made.

        Raises:
            ConfigurationError: The client is not connected (the caller's fault).
        """
        if self._tools is None:
            raise ConfigurationError("the MCP client is not connected: call connect() first")
        return list(self._tools)

    def disconnect(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        exc_traceback: TracebackType | None = None,
    ) -> None:
        """Close the connections and end the servers' programs. Idempotent."""
        atexit.unregister(self.disconnect)
        self._tools = None
        loop = self._loop
        if loop is None:
            return
        if self._started.done():  # else it waits for a server, and not for this
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive() and self._task is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(_STOP_SECONDS)

    def __enter__(self) -> list[Tool]:
        return self.get_tools()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    def _names(self) -> str:
        return " and ".join(repr(_name(server)) for server in self._servers)

    def _hold(self) -> None:
        """Run the loop that holds the connections; the thread's whole work."""
        try:
            asyncio.run(self._hold_open())
        except BaseException as error:  # also of a server that fails on its way down: nobody is left to tell
            if not self._started.done():
                self._started.set_exception(_told(error, self._names()))

    async def _hold_open(self) -> None:
        self._task = asyncio.current_task()
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            tools: list[Tool] = []
            for server in self._servers:
                tools += await self._connected(stack, server)
            self._started.set_result(_distinct(tools))
            await self._stop.wait()

    async def _connected(self, stack: AsyncExitStack, server: Server) -> list[Tool]:
        import mcp

        tail = await stack.enter_async_context(_tail())
        try:
            client = await stack.enter_async_context(mcp.Client(_transport(server, tail.writer)))
            # SECURITY: the SDK checks answers by the server's own schema, whose regular expressions may take for ever
            client.session.validate_tool_result = _unchecked
            told = await _all_tools(client)
        except Exception as error:
            said = await tail.text()
            raise BackendError(f"{_said(error)}{said and f'; its program said: {said}'}") from error

        def call(name: str, arguments: dict[str, Any]) -> CallToolResult:
            return self._call(client, name, arguments)

        options: dict[str, Any] = {"structured_output": self.structured_output, "seconds": self.seconds}
        return [MCPTool(tool, call, **options) for tool in told]

    def _call(self, client: mcp.Client, name: str, arguments: dict[str, Any]) -> CallToolResult:
        """Return the server's answer, waiting on the calling thread."""
        if self._tools is None or self._loop is None:
            raise BackendError(f"the connection to the MCP server {self._names()} is closed")
        work = client.call_tool(name, arguments)
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise BackendError(f"the connection to the MCP server {self._names()} is closed") from None
        try:
            return future.result(self.seconds)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise BackendError(f"{name} did not answer within {self.seconds:g} seconds") from None
        except concurrent.futures.CancelledError:
            raise BackendError(f"the connection to the MCP server {self._names()} was closed") from None
        except PinjraError:
            raise
        except Exception as error:
            raise BackendError(f"{name} could not be called: {_said(error)}") from error


def _checked(server: Server) -> Server:
    """Return what to connect to: a URL with headers, or a program to start.

    Raises:
        ConfigurationError: It is neither (the caller's fault).
        MissingDependency: The SDK is not installed.
    """
    optional("mcp", "pinjra[mcp]")
    import mcp

    if isinstance(server, str):
        server = {"url": server}
    if isinstance(server, mcp.StdioServerParameters):
        return server
    if not isinstance(server, dict) or not ({"url", "command"} & set(server)):
        raise ConfigurationError(
            "an MCP server is a URL, a dict with 'url' or 'command', or StdioServerParameters"
        )
    if "command" in server:
        return mcp.StdioServerParameters(**server)
    if not str(server["url"]).startswith(("http://", "https://")):
        raise ConfigurationError(
            f"the URL of an MCP server begins with http:// or https://, not {server['url']!r}"
        )
    transport = server.get("transport") or _usual_transport(server["url"])
    if transport not in ("streamable-http", "sse"):
        raise ConfigurationError(f"the transport must be 'streamable-http' or 'sse', not {transport!r}")
    return {**server, "transport": transport}


def _usual_transport(url: str) -> str:
    """Return the transport of a URL that comes without one: servers of the old kind, SSE, are served at `/sse`."""
    path = url.partition("?")[0].rstrip("/")
    return "sse" if path.endswith("/sse") else "streamable-http"


def _transport(server: Server, errors: Any) -> Any:
    from mcp.client.sse import sse_client
    from mcp.client.stdio import stdio_client

    if not isinstance(server, dict):
        return stdio_client(server, errlog=errors)
    if server["transport"] == "sse":
        return sse_client(server["url"], headers=server.get("headers"))
    return _http(server)


@asynccontextmanager
async def _http(server: dict[str, Any]) -> AsyncIterator[Any]:
    import httpx2  # the SDK's own HTTP client
    from mcp.client.streamable_http import streamable_http_client

    refused: list[str] = []  # the SDK says only that there was an error

    async def note(response: httpx2.Response) -> None:
        if response.request.method == "POST":
            refused[:] = [f"{response.status_code} {response.reason_phrase}"] * response.is_error

    timeout, hooks = httpx2.Timeout(30.0, read=300.0), {"response": [note, _bounding()]}
    headers = {"Accept-Encoding": "identity", **(server.get("headers") or {})}
    try:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=timeout, event_hooks=hooks) as client,
            streamable_http_client(server["url"], http_client=client) as streams,
        ):
            yield streams
    except Exception as error:
        if refused and not isinstance(error, PinjraError):
            raise BackendError(f"it answered with status {refused[0]}") from error
        raise


def _bounding() -> Any:
    """Return what bounds an answer over HTTP that is no stream of events; the SDK bounds each of those."""
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            left = _ANSWER_BYTES
            async for piece in self._stream:
                left -= len(piece)
                if left < 0:
                    raise httpx2.ReadError("the answer has no end")
                yield piece

        async def aclose(self) -> None:
            await self._stream.aclose()

    async def bound(answer: Any) -> None:
        if answer.headers.get("content-encoding", "identity") != "identity":  # a bomb is small as it comes
            raise httpx2.ReadError("the answer is compressed, which was not asked for")
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            answer.stream = Bounded(answer.stream)

    return bound


async def _unchecked(name: str, result: CallToolResult) -> None:
    """Take an answer as it is: whoever made the schema has made the answer, too."""


async def _all_tools(client: mcp.Client) -> list[Any]:
    found: list[Any] = []
    cursor: str | None = None
    for _ in range(_TOOL_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if not cursor:
            return found
    raise BackendError(f"the MCP server lists its tools on more than {_TOOL_PAGES} pages")


class _Tail:
    """The end of what a program writes to its standard error, for the message when it fails."""

    def __init__(self) -> None:
        self._reader, descriptor = os.pipe()
        self.writer = os.fdopen(descriptor, "w")
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="pinjra-mcp-stderr", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with os.fdopen(self._reader, "rb", buffering=0) as reader:
            while data := reader.read(65536):
                self._kept = (self._kept + data)[-_TAIL_BYTES:]

    async def text(self) -> str:
        """Return what was kept; waits a moment for a dying program's last words."""
        self.writer.close()
        await asyncio.to_thread(self._thread.join, 1.0)
        return self._kept.decode("utf-8", "replace").strip()


@asynccontextmanager
async def _tail() -> AsyncIterator[_Tail]:
    tail = _Tail()
    try:
        yield tail
    finally:
        tail.writer.close()


def _distinct(tools: list[Tool]) -> list[Tool]:
    """Return the tools, those of equal names (two servers, or names made equal) told apart by a number."""
    taken: set[str] = set()
    for tool in tools:
        number = 2
        name = tool.name
        while tool.name in taken:
            tool.name = f"{name}_{number}"
            number += 1
        taken.add(tool.name)
    return tools


def _name(server: Server) -> str:
    # Not arguments, headers, queries, or names before an "@": they may hold keys.
    if not isinstance(server, dict):
        return str(server.command)
    scheme, _, rest = str(server["url"]).partition("?")[0].partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _told(error: BaseException, names: str) -> Exception:
    return BackendError(f"the MCP server {names} cannot be used: {_said(error)}")


def _said(error: BaseException) -> str:
    """Return the first real message inside groups of errors, as task groups raise them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
