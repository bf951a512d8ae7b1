"""Requests -> requests that are small enough, fast enough, and meant for this service. Pure ASGI, so that bodies stay streams."""

from __future__ import annotations

import asyncio
import ipaddress
import time

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pinjra.server.http.settings import ServeSettings
from pinjra.server.http.tenants import Tenants

__all__ = ["Bounds"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


_FOREIGN = "requests from pages of other sites are refused"


class _TooMuch(Exception):
    """The body is larger, or slower, than the service takes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Bounds:
    """Refuses foreign Host and Origin headers, and bodies over the limits of size and time."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, tenants: Tenants) -> None:
        self._app = app
        self._tenants = tenants
        self._bodies = 0
        self._settings = settings
        self._hosts = {settings.host, *settings.hosts, *(_LOOPBACK if settings.is_loopback else ())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is within the bounds."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        problem = self._problem(headers)
        if problem:
            await _refuse(403, problem, scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:20]) > self._settings.body_bytes:
            await _refuse(413, f"a body has at most {self._settings.body_bytes} bytes", scope, receive, send)
            return
        tenant = self._tenants.found(headers)
        if tenant is None:
            await self._bounded(scope, receive, send)  # whoever answers refuses it, where a token is needed
            return
        if tenant.requests >= tenant.quota.requests:
            await _refuse(
                429, f"{tenant.requests} requests of this tenant are in progress", scope, receive, send
            )
            return
        tenant.requests += 1
        try:
            await self._bounded(scope, receive, send)
        finally:
            tenant.requests -= 1

    def _problem(self, headers: Headers) -> str:
        """Return why this request was not meant for us; "" when it was."""
        # SECURITY: a page whose name was rebound to loopback sends its own name as Host.
        host = _name(headers.get("host", ""))
        if not self._is_ours(host):
            return "the Host header names another machine; see `hosts` in the settings"
        # SECURITY: browsers say which site a request comes from; another site's page has no business here, nor one of another
        # program of this machine: it has the same name and another port.
        origin = headers.get("origin")
        if origin is not None:
            netloc = origin.partition("://")[2]
            is_same = netloc != "" and netloc.lower() == headers.get("host", "").lower()
            return "" if is_same or _name(netloc) in self._settings.hosts else _FOREIGN
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return _FOREIGN
        return ""

    def _is_ours(self, name: str) -> bool:
        """Return whether a name is one of `hosts`; "*.name" there is every name of one more part."""
        # An address is not rebound: pods are asked by theirs (probes, Prometheus). On loopback only ours are known anyway.
        return not self._hosts.isdisjoint(("*", name, "*." + name.partition(".")[2])) or (
            not self._settings.is_loopback and _is_address(name)
        )

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        left, taken = self._settings.body_bytes, 0
        deadline = time.monotonic() + self._settings.body_seconds
        is_arriving, has_started = True, False

        async def take() -> Message:
            nonlocal left, taken, is_arriving
            if not is_arriving:
                return await receive()
            try:
                # Not wait_for(): Python 3.11's forgets a cancellation that comes together with the message
                async with asyncio.timeout(max(deadline - time.monotonic(), 0.0)):
                    message = await receive()
            except TimeoutError:
                raise _TooMuch(
                    408, f"the body did not arrive within {self._settings.body_seconds:g} s"
                ) from None
            size = len(message.get("body", b""))
            left -= size
            taken += size
            self._bodies += size
            is_arriving = bool(message.get("more_body", False))
            if left < 0:
                raise _TooMuch(413, f"a body has at most {self._settings.body_bytes} bytes")
            if self._bodies > self._settings.bodies_bytes:
                raise _TooMuch(503, "the service has as many bodies in memory as it may")
            return message

        async def give(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, take, give)
        except _TooMuch as error:
            if not has_started:
                await _refuse(error.status, str(error), scope, receive, send)
        finally:
            self._bodies -= taken


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(netloc: str) -> str:
    """Return the host of "name:port" or "[::1]:port", in lower case."""
    if netloc.startswith("["):
        return netloc[1:].partition("]")[0].lower()
    return netloc.partition(":")[0].lower()


async def _refuse(status: int, message: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": message})
        return
    headers = {"Connection": "close", **({"Retry-After": "1"} if status in (429, 503) else {})}
    response = JSONResponse({"error": {"kind": "refused", "message": message}}, status, headers)
    await response(scope, receive, send)
