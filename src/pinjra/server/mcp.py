"""`pinjra mcp`: an MCP server that gives any MCP client the sandbox, over standard input/output or HTTP.

There is no boundary between this server and who may talk to it: over HTTP it listens on loopback unless told
otherwise, checks Host and Origin (a web page must not reach it through the user's browser), and wants a token where
other machines can reach it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import anyio

from pinjra.core.addresses import LOOPBACK
from pinjra.core.errors import ConfigurationError, MissingDependency
from pinjra.core.limits import Limits
from pinjra.executors.parameters import checked

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from pinjra.executors.base import PythonExecutor
    from pinjra.server.http.hub import Hub
    from pinjra.server.sessions import Sessions

__all__ = ["serve"]

_BODY_BYTES = 16 << 20  # of one HTTP request: a file of some 12 MB as base64
_STOP_SECONDS = 3  # for open HTTP streams to end when the server stops
_INSTRUCTIONS = (
    "Runs Python code in a sandbox with {executor!r}. run_python keeps variables and files from call to call; each "
    "answer ends with the session's name. Modules beyond the standard ones: {imports}. {given}"
)
# Parameter -> what a client is told of it.
_GIVEN = {
    "packages": "Packages: {}.",
    "programs": "Programs that run_program may start: {}.",
    "network": "It reaches these hosts: {}.",
    "mounts": "It has these folders of the machine: {}.",
}


@checked
def serve(
    transport: Literal["stdio", "http"] = "stdio",
    *,
    executor: str = "jail",
    authorized_imports: Iterable[str] = (),
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    executor_kwargs: Mapping[str, object] | None = None,
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str | None = None,
    allow_hosts: Iterable[str] = (),
    max_sessions: int = 16,
    idle_seconds: float = 1800.0,
) -> None:
    """Serve until the client goes (stdio) or the process is told to stop (http); then close all sessions.

    Args:
        executor: Where the code runs; "jail" needs Linux.
        authorized_imports: Modules that code may import besides the default list.
        limits: What one run may use; a client may ask for less time, never for more.
        port: 0 for any free one; the URL is said on standard error.
        token: HTTP clients must send it as `Authorization: Bearer …`; needed unless `host` is loopback.
        allow_hosts: Host headers to accept besides those of loopback and `host`: "name:port".
        max_sessions: Sessions open at one time.
        idle_seconds: A session that nobody used for so long is closed.

    Raises:
        ConfigurationError: An argument is wrong (the operator's fault).
        MissingDependency: The `mcp` package is not installed.
        ExecutorUnavailable: This machine cannot run the executor; says what is missing and the choices.
        StartupFailed: The sandbox did not come up.
    """
    _check(transport, host, token, max_sessions, idle_seconds)
    imports = tuple(authorized_imports)
    create = _creator(executor, imports, limits, executor_kwargs)
    ready = [_warm(create)]
    listener = _listen(host, port) if transport == "http" else None

    async def main() -> None:
        from pinjra.server.http.hub import Hub
        from pinjra.server.http.metrics import Metrics
        from pinjra.server.http.settings import ServeSettings
        from pinjra.server.sessions import Sessions

        settings = ServeSettings(
            executor=executor, sessions=max_sessions, idle_seconds=idle_seconds, drain_seconds=0
        )
        hub = Hub(settings, Metrics())
        hub.start()
        try:
            sessions = Sessions(hub, lambda: ready.pop() if ready else create())
            server = _server(sessions, limits, imports, executor_kwargs or {}, owned=listener is None)
            if listener is None:
                _end_on_signal(hub)
                await server.run_stdio_async()
            else:
                await _serve_http(server, host, listener, token, tuple(allow_hosts))
        finally:
            with anyio.CancelScope(shield=True):
                await hub.stop()

    try:
        anyio.run(main)
    finally:
        for each in ready:
            each.close()


def _check(transport: str, host: str, token: str | None, max_sessions: int, idle_seconds: float) -> None:
    try:
        import mcp.server.mcpserver  # noqa: F401
    except ImportError:
        raise MissingDependency("mcp", "pip install 'pinjra[mcp]'") from None
    if token is not None and len(token) < 16:
        raise ConfigurationError(
            "the token has fewer than 16 characters; make one with `openssl rand -hex 32`"
        )
    if transport == "http" and host not in LOOPBACK and token is None:
        raise ConfigurationError(
            f"other machines can reach {host}: set a token that clients must send, or listen on 127.0.0.1"
        )
    if max_sessions < 1 or not idle_seconds > 0:
        raise ConfigurationError("max_sessions and idle_seconds must be above 0")


def _creator(
    executor: str, imports: tuple[str, ...], limits: Limits, executor_kwargs: Mapping[str, object] | None
) -> Callable[[], PythonExecutor]:
    def create() -> PythonExecutor:
        from pinjra.executors.registry import create_executor

        options = {"limits": limits, **(executor_kwargs or {})}
        return create_executor(executor, additional_authorized_imports=imports, executor_kwargs=options)

    return create


def _warm(create: Callable[[], PythonExecutor]) -> PythonExecutor:
    """Start the first session's executor before anybody asks, so that a machine that cannot says so at once."""
    executor = create()
    try:
        executor.run("None")
    except BaseException:
        executor.close()
        raise
    return executor


def _given(options: Mapping[str, object]) -> str:
    """Return what the sandbox has besides Python, in words for a model."""
    said = [words.format(_names(options[name])) for name, words in _GIVEN.items() if options.get(name)]
    if not options.get("network"):
        said.append("It has no network.")
    return " ".join(said)


def _names(value: object) -> str:
    if value is True:
        return "all"
    return (
        value if isinstance(value, str) else ", ".join(map(str, value)) if isinstance(value, Iterable) else ""
    )


def _server(
    sessions: Sessions,
    limits: Limits,
    imports: tuple[str, ...],
    options: Mapping[str, object],
    *,
    owned: bool,
) -> MCPServer:
    from mcp.server.mcpserver import MCPServer

    from pinjra.server.mcp_tools import SandboxTools

    executor = sessions.hub.settings.executor
    said = _INSTRUCTIONS.format(
        executor=executor, imports=", ".join(imports) or "none", given=_given(options)
    )
    server = MCPServer("pinjra", title="Pinjra: a Python sandbox", instructions=said, log_level="ERROR")
    tools = SandboxTools(sessions, wall_seconds=limits.wall_seconds, owned=owned)
    tools.offer(server, has_programs=bool(options.get("programs")))
    return server


def _end_on_signal(hub: Hub) -> None:
    """Close all sessions on SIGTERM; the thread that reads standard input cannot be woken, so the process ends hard."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()

    async def end() -> None:
        await hub.stop()
        os._exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(lambda: asyncio.ensure_future(end())))


async def _serve_http(
    server: MCPServer, host: str, listener: socket.socket, token: str | None, allow_hosts: tuple[str, ...]
) -> None:
    import uvicorn
    from mcp.server.transport_security import TransportSecuritySettings

    shown = f"[{host}]" if ":" in host else host
    port = int(listener.getsockname()[1])
    names = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", shown)} | set(allow_hosts)
    app: Any = server.streamable_http_app(
        host=host,
        max_request_body_size=_BODY_BYTES,
        # SECURITY: Host and Origin: a page in the user's browser must not speak to this server, by whatever name.
        transport_security=TransportSecuritySettings(
            allowed_hosts=sorted(names),
            allowed_origins=sorted(f"{scheme}://{name}" for name in names for scheme in ("http", "https")),
        ),
    )
    if token is not None:
        app = _TokenWanted(app, token)
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=_STOP_SECONDS)
    print(f"pinjra mcp: http://{shown}:{port}/mcp", file=sys.stderr, flush=True)
    await uvicorn.Server(config).serve(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error}") from error


class _TokenWanted:
    """Lets only requests through that carry the token."""

    def __init__(self, app: Any, token: str) -> None:
        self._app = app
        self._wanted = f"Bearer {token}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            # SECURITY: compared in constant time.
            if not secrets.compare_digest(given, self._wanted):
                headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
                return
        await self._app(scope, receive, send)
