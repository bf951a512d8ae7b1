"""Requests -> requests that are small enough, fast enough, and meant for this service. Pure ASGI, so that bodies stay streams."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pinjra.core.addresses import LOOPBACK
from pinjra.server.http.settings import ServeSettings
from pinjra.server.http.tenants import Tenant, Tenants

# Of a body that is refused, which is passed over: who is cut off while sending does not read the answer.
_REST_BYTES, _REST_SECONDS = 64 << 20, 10.0
_PIECE_BYTES = 256 << 10  # of an answer, that are handed to the connection at once
_FOREIGN = "requests from pages of other sites are refused"


class _Refused(Exception):
    """A request that is not taken: whose it is, how much is in progress, the body's size or time."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Bounds:
    """Refuses foreign Host and Origin headers, and bodies over the limits of size and time."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, tenants: Tenants) -> None:
        self._app = app
        self._tenants = tenants
        self.settings = settings
        self.bodies = 0  # bytes of all that are being taken, and of answers that are not read yet
        self._hosts = {settings.host, *settings.hosts, *(LOOPBACK if settings.is_loopback else ())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is within the bounds."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        problem = self._problem(headers)
        tenant = self._tenants.found(headers)  # where there is none, whoever answers asks for a token
        refusal = self._refusal(headers, tenant, problem)
        answer = self._socket if scope["type"] == "websocket" else self._bounded
        if tenant is None or refusal is not None:
            await answer(scope, receive, send, tenant, refusal)
            return
        tenant.requests += 1
        try:
            await answer(scope, receive, send, tenant, None)
        finally:
            tenant.requests -= 1

    async def _socket(
        self, scope: Scope, receive: Receive, send: Send, tenant: Tenant | None, refusal: _Refused | None
    ) -> None:
        if refusal is None:
            with suppress(asyncio.CancelledError):  # at the end of the drain: it was told so before
                await self._app(scope, receive, send)
            return
        await receive()
        code = 1013 if refusal.status == 429 else 1008
        await send({"type": "websocket.close", "code": code, "reason": str(refusal)})

    def _refusal(self, headers: Headers, tenant: Tenant | None, problem: str) -> _Refused | None:
        """Return why a request is not taken, as far as its head tells."""
        if problem:
            return _Refused(403, problem)
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:20]) > self.settings.body_bytes:
            return _Refused(413, f"a body has at most {self.settings.body_bytes} bytes")
        if tenant is not None and tenant.requests >= tenant.quota.requests:
            return _Refused(429, f"{tenant.requests} requests of this tenant are in progress")
        return None

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
            return "" if is_same or _name(netloc) in self.settings.hosts else _FOREIGN
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return _FOREIGN
        return ""

    def _is_ours(self, name: str) -> bool:
        """Return whether a name is one of `hosts`; "*.name" there is every name of one more part."""
        # An address is not rebound: pods are asked by theirs (probes, Prometheus). On loopback only ours are known anyway.
        return not self._hosts.isdisjoint(("*", name, "*." + name.partition(".")[2])) or (
            not self.settings.is_loopback and _is_address(name)
        )

    async def _bounded(
        self, scope: Scope, receive: Receive, send: Send, tenant: Tenant | None, refusal: _Refused | None
    ) -> None:
        body = _Body(self, tenant, Headers(scope=scope), receive, send)
        try:
            if refusal is not None:
                raise refusal
            await self._app(scope, body.take, body.give)
        except _Refused as refused:
            if not body.is_answered:
                await _answer(refused)(scope, receive, body.give)
        # nobody cancels a request but a service that has waited long enough for its end
        except asyncio.CancelledError:
            if not body.is_answered:  # sent at once: there is no time for the rest of the body
                await _answer(_Refused(503, "the service is ending"))(scope, receive, send)
        finally:
            body.end()


class _Body:
    """The body of one request, piece by piece, and the answer, which waits until the body has come. Both are memory."""

    def __init__(
        self, bounds: Bounds, tenant: Tenant | None, headers: Headers, receive: Receive, send: Send
    ) -> None:
        self._tenant = tenant
        self._taken = 0
        self.is_answered = False
        self._head: Message | None = None
        self._bounds = bounds
        self._settings = bounds.settings
        self._receive = receive
        self._send = send
        self._deadline = time.monotonic() + self._settings.body_seconds
        self._is_arriving = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        self._is_asking_first = "expect" in headers
        self._reading = asyncio.Lock()  # who waits for the client to leave takes pieces of the body, too

    async def take(self) -> Message:
        """Return the next piece; after the last one, that the client has left.

        Raises:
            _Refused: It is too much, or too slow.
        """
        async with self._reading:
            if self._is_arriving:
                try:
                    return self._charged(await self._piece(self._deadline))
                except TimeoutError:
                    self._is_arriving = False  # who is late is not waited for
                    seconds = self._settings.body_seconds
                    raise _Refused(408, f"the body did not arrive within {seconds:g} s") from None
        return await self._receive()

    async def give(self, message: Message) -> None:
        """Send a piece of the answer.

        Raises:
            _Refused: There is no room for a piece of this size; nothing has been sent yet.
        """
        if message["type"] == "http.response.start":
            self._head = message if self._waits(message) else None  # forget one whose answer was refused
            if self._head is None:
                self.is_answered = True
                await self._send(message)
            return
        is_end = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_end and not self._is_asking_first:
            with suppress(TimeoutError):
                await self._pass_over()
        size = len(message.get("body", b""))
        if size > _PIECE_BYTES and not self.is_answered:
            self._check_room(size)
        self.is_answered = True
        head, self._head = self._head, None
        if head is not None:
            await self._send(head)
        self._count(size)
        try:
            await self._in_pieces(message)
        finally:
            self._count(-size)

    async def _in_pieces(self, message: Message) -> None:
        """Send on as fast as the client reads: its request is in progress so long, and what it has not read yet is counted."""
        body, begin = message.get("body", b""), 0
        while len(body) - begin > _PIECE_BYTES:
            piece = body[begin : begin + _PIECE_BYTES]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            begin += _PIECE_BYTES
        await self._send({**message, "body": body[begin:]} if begin else message)

    def _waits(self, message: Message) -> bool:
        """Return whether the head of an answer waits for the piece behind it."""
        # SDKs that see it while they send go no further, or fail; and for a large piece there may be no room.
        length = Headers(raw=message["headers"]).get("content-length", "0")
        return (self._is_arriving and not self._is_asking_first) or int(length) > _PIECE_BYTES

    async def _pass_over(self) -> None:
        rest, deadline = _REST_BYTES, time.monotonic() + _REST_SECONDS
        while self._is_arriving and rest > 0:
            async with self._reading:
                rest -= len((await self._piece(deadline)).get("body", b"")) if self._is_arriving else 0

    async def _piece(self, deadline: float) -> Message:
        # Not wait_for(): Python 3.11's forgets a cancellation that comes together with the message
        async with asyncio.timeout(max(deadline - time.monotonic(), 0.0)):
            message = await self._receive()
        self._is_arriving = bool(message.get("more_body", False))
        return message

    def _charged(self, message: Message) -> Message:
        size = len(message.get("body", b""))
        if self._taken + size > self._settings.body_bytes:
            raise _Refused(413, f"a body has at most {self._settings.body_bytes} bytes")
        self._check_room(size)
        self._count(size)
        self._taken += size
        return message

    def _check_room(self, size: int) -> None:
        """Check that so many bytes more may be in memory; _Refused: they may not."""
        most, tenant = self._settings.bodies_bytes, self._tenant
        own = max(most // 2, self._settings.body_bytes) if len(self._settings.tenants) > 1 else most
        # SECURITY: half is left for the others, however slowly one tenant's clients send and read
        if tenant is not None and tenant.bodies + size > own:
            raise _Refused(503, "this tenant has as many bodies in memory as it may")
        if self._bounds.bodies + size > most:
            raise _Refused(503, "the service has as many bodies in memory as it may")

    def _count(self, size: int) -> None:
        self._bounds.bodies += size
        if self._tenant is not None:
            self._tenant.bodies += size

    def end(self) -> None:
        """Forget the body."""
        self._count(-self._taken)


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


def _answer(refused: _Refused) -> JSONResponse:
    headers = {"Connection": "close", **({"Retry-After": "1"} if refused.status in (429, 503) else {})}
    return JSONResponse({"error": {"kind": "refused", "message": str(refused)}}, refused.status, headers)
