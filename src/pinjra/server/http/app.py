"""Settings -> the application, and the process that serves it."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from pinjra.core.errors import PinjraError
from pinjra.server.http import agents, chat, description, e2b, fusion, native, page, streams, variables
from pinjra.server.http.audit import Audited
from pinjra.server.http.bounds import Bounds
from pinjra.server.http.errors import answer_error, answer_http_error, answer_who_left
from pinjra.server.http.hub import Hub
from pinjra.server.http.machine import check_machine
from pinjra.server.http.metrics import Metrics
from pinjra.server.http.protocol import BoundedProtocol, BoundedSocketProtocol
from pinjra.server.http.settings import ServeSettings
from pinjra.server.http.tenants import Tenants
from pinjra.server.http.traced import Traced
from pinjra.server.models import LoadedModels
from pinjra.server.runs.store import AgentRuns

# SDKs keep a connection for 90: one that the service closes as it is used breaks a request
_IDLE_SECONDS = 95
# SECURITY: of one connection; more than this waits in the client's memory and not in ours.
_SOCKET_BYTES = 20 << 20

_log = logging.getLogger("pinjra.serve")

OPERATIONS = (
    *native.OPERATIONS,
    *agents.OPERATIONS,
    *variables.OPERATIONS,
    *streams.OPERATIONS,
    *fusion.OPERATIONS,
    *chat.OPERATIONS,
)


async def _health(request: Request) -> Response:
    """Answer that the process lives."""
    return PlainTextResponse("ok\n")


async def _ready(request: Request) -> Response:
    """Answer whether new sessions are taken."""
    hub: Hub = request.app.state.hub
    why = "draining" if hub.is_draining else await hub.trouble()
    if why:
        return JSONResponse({"ready": False, "why": why}, 503)
    return JSONResponse({"ready": True, "sessions": len(hub.all())})


async def _metrics(request: Request) -> Response:
    """Return what Prometheus reads."""
    rows = request.app.state.tenants.rows_for(request.headers)
    return Response(
        request.app.state.metrics.text(rows), media_type="text/plain; version=0.0.4; charset=utf-8"
    )


def create_app(settings: ServeSettings) -> Starlette:
    """Return the service as an ASGI application."""
    metrics = Metrics()
    hub, tenants = Hub(settings, metrics), Tenants(settings)

    audited = [Middleware(Audited, audit=hub.audit, tenants=tenants)] if settings.audit_log else []

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        app.state.hub.start()
        try:
            yield
        finally:
            await app.state.agents.stop()
            await app.state.hub.stop()
            await app.state.hub.call(app.state.fleets.close)

    routes: list[BaseRoute] = [
        Route("/health", _health),
        Route("/ready", _ready),
        Route("/metrics", _metrics),
        *(operation.route() for operation in OPERATIONS),
        *native.ROUTES,
        *streams.ROUTES,
        *page.ROUTES,
        *e2b.ROUTES,
        *description.routes(OPERATIONS),
    ]
    traced = [Middleware(Traced, routes=routes)] if settings.traces else []
    app = Starlette(
        routes=routes,
        middleware=[
            *traced,
            *audited,
            Middleware(Bounds, settings=settings, tenants=tenants),
            Middleware(e2b.SandboxDoor),
        ],
        exception_handlers={
            **dict.fromkeys((PinjraError, FileNotFoundError, Exception), answer_error),
            HTTPException: answer_http_error,
            ClientDisconnect: answer_who_left,
        },
        lifespan=life,
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.forks = {}
    app.state.hub = hub
    app.state.sandboxes = e2b.Sandboxes(hub)
    app.state.fleets = fusion.Fleets(app.state.hub)
    models = LoadedModels()
    app.state.agents = AgentRuns(app.state.hub, models)
    app.state.models = chat.Models(settings.models, models, metrics)
    app.state.tenants = tenants
    return app


def serve(settings: ServeSettings, tell: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; runs in progress may end within `drain_seconds`.

    Args:
        tell: Called with the service's address when it answers there.

    Raises:
        ConfigurationError: The settings name what is not there (the operator's fault).
    """
    check_machine(settings)
    _allow_descriptors()
    if settings.traces:
        from pinjra import traces

        traces.enable()
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        timeout_graceful_shutdown=int(settings.drain_seconds) + 1,
        timeout_keep_alive=_IDLE_SECONDS,
        http=BoundedProtocol,
        ws=BoundedSocketProtocol,
        # SECURITY: a message of kilobytes would become one of megabytes; bytes of workers are sent as they are anyway
        ws_per_message_deflate=False,
        ws_max_size=_SOCKET_BYTES,
        # SECURITY: else anybody of this machine chooses the address that the log shows
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        server_header=False,
    )
    server = _Server(config, tell)
    # Until uvicorn listens for it itself; it raises it again when it has ended: ending on request is no failure.
    signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
    server.run()


def _allow_descriptors() -> None:
    """Have as many descriptors as this user may: a connection takes one, a session several, and 1,024 is the usual limit."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # not POSIX; more than this system has
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Server(uvicorn.Server):
    """A server that says where it is."""

    def __init__(self, config: uvicorn.Config, tell: Callable[[str], None]) -> None:
        super().__init__(config)
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._tell(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
