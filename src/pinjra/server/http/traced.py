"""Requests -> spans, below the span that the client's headers name; what a request has done is below its own."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pinjra.core.spans import span
from pinjra.server.http.audit import QUIET


class Traced:
    """Traces each request, by its route: names and paths of tenants are not in it."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, in a span."""
        if scope["type"] != "http" or scope["path"] in QUIET:
            await self._app(scope, receive, send)
            return
        method, route = scope["method"], self._route(scope)
        name, above = f"{method} {route}".strip(), Headers(scope=scope)
        with span("serve_request", name, lambda: {"method": method, "route": route}, above=above) as this:

            async def give(message: Message) -> None:
                if "status" in message:
                    this.note(status=message["status"])
                    if message["status"] >= 500:
                        this.fail(str(message["status"]), "the service or what it uses failed")
                await send(message)

            await self._app(scope, receive, give)

    def _route(self, scope: Scope) -> str:
        for route in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                return str(getattr(route, "path", ""))
        return ""
