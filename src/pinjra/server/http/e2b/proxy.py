"""Requests for a sandbox (a header or a host name says which) -> its box, when they show the sandbox's token. Pure ASGI."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pinjra.core.errors import BackendError, PinjraError, SessionLost
from pinjra.server.http.audit import WHO
from pinjra.server.http.e2b.sandboxes import Sandbox, Sandboxes, failure, refused
from pinjra.server.http.e2b.upstream import Exchange
from pinjra.server.http.errors import Busy

ENVD, CONTEXTS = 49983, 49999
_HOST = re.compile(r"(?P<port>[0-9]{1,5})-(?P<name>[a-z0-9]{4,64})\.")
_NAME = re.compile(r"[a-z0-9]{1,64}(-[a-z0-9]{1,64})?")
# SECURITY: what proves something to this service is not shown to the box, and what speaks of one connection ends with it.
_NOT_IN = frozenset(
    (b"host", b"connection", b"keep-alive", b"proxy-authorization", b"proxy-connection", b"te", b"trailer", b"upgrade",
     b"transfer-encoding", b"content-length", b"expect", b"x-api-key", b"x-access-token", b"e2b-traffic-access-token",
     b"x-box-port", b"cookie")
)  # fmt: skip
_NOT_OUT = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"transfer-encoding", b"upgrade", b"trailer", b"set-cookie",
     b"strict-transport-security", b"alt-svc", b"clear-site-data", b"server")
)  # fmt: skip
# SECURITY: a guest's page is never one of this origin
_ALWAYS_OUT = [(b"x-content-type-options", b"nosniff"), (b"content-security-policy", b"sandbox")]
# The last message of a stream of the Connect protocol: flag, length, and an error that clients take for the sandbox's end. Of
# other answers (cells) the SDK knows by the broken connection that the sandbox was ended, and says so.
_BROKEN = b'{"error":{"code":"unavailable","message":"the sandbox has ended"}}'
_BROKEN_STREAM = b"\x02" + len(_BROKEN).to_bytes(4, "big") + _BROKEN
_MOST_REQUESTS = 128  # of one sandbox at one time: each is a descriptor there, of 256, and a socket here
_SIGNATURE_CHARACTERS = 100  # with its expiry; a signature has 46
# what a tenant without processor time may not ask for
_COSTS = ("/execute", "/process.Process/Start", "/contexts")


class SandboxDoor:
    """Sends a sandbox's requests to its box, and passes on all others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a sandbox."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        sandboxes: Sandboxes = scope["app"].state.sandboxes
        named = _named(headers) or _named_by_signature(sandboxes, scope)
        if named is None:
            await self._app(scope, receive, send)
            return
        answer = await _forwarded(sandboxes, named, headers, scope, receive, send)
        if answer is not None:
            await answer(scope, receive, send)


def _named(headers: Headers) -> tuple[str, int] | None:
    """Return the sandbox and port that a request is for; None: it is for the service itself."""
    name, port = headers.get("e2b-sandbox-id"), headers.get("e2b-sandbox-port", str(ENVD))
    if name is None:
        found = _HOST.match(headers.get("host", ""))
        if found is None:
            return None
        name, port = found["name"], found["port"]
    if (
        not port.isascii()
        or not port.isdigit()
        or int(port[:5]) not in range(1, 1 << 16)
        or len(port) > 5
        or not _NAME.fullmatch(name)
    ):
        return "", 0
    return name.partition("-")[0], int(port)


def _named_by_signature(sandboxes: Sandboxes, scope: Scope) -> tuple[str, int] | None:
    """Return the sandbox that a signed address of a file is for, where no header says it."""
    if scope["path"] != "/files" or b"signature=" not in scope["query_string"]:
        return None
    found = sandboxes.by_signature(_signature(_query(scope), scope["method"]))
    return (found.id, ENVD) if found is not None else None


async def _forwarded(
    sandboxes: Sandboxes, named: tuple[str, int], headers: Headers, scope: Scope, receive: Receive, send: Send
) -> Response | None:
    """Send a request to its box; return the answer where the service gives it itself."""
    name, port = named
    sandbox = sandboxes.by_name(name)
    if sandbox is None:
        return _gone(name)
    refusal = _refusal(sandbox, port, headers, scope)
    if refusal is not None:
        return refusal
    scope[WHO] = {"tenant": sandbox.held.tenant.name, "session": sandbox.id}
    if sandbox.requests >= _MOST_REQUESTS:
        return failure(
            429, f"{sandbox.requests} requests of this sandbox are in progress", {"Retry-After": "1"}
        )
    has_begun = False

    async def give(message: Message) -> None:
        nonlocal has_begun
        has_begun = True
        await send(message)

    sandbox.requests += 1
    try:
        if sandbox.is_paused:
            if not (sandbox.auto_resume or sandbox.is_short) or scope["path"] == "/health":
                return _gone(name)
            await sandboxes.resume(sandbox, sandbox.held.idle_seconds)
        if scope["path"].startswith(_COSTS):
            sandbox.held.tenant.check_budget()
        await _relay(sandbox, port, scope, receive, give)
    except (PinjraError, OSError) as error:
        if has_begun:
            return None  # the server cuts what is not complete
        # a process that dies has closed its door before it is seen to be dead
        is_dead = isinstance(error, SessionLost) or not sandbox.box.is_alive()
        if is_dead or sandboxes.by_name(name) is None:
            return _gone(name)
        if port not in (ENVD, CONTEXTS) and not isinstance(error, Busy):
            return failure(502, "The sandbox is running but port is not open", sandboxId=name, port=port)
        return refused(error)
    finally:
        sandbox.requests -= 1
    return None


def _gone(name: str) -> Response:
    """Return what E2B's edge says of a sandbox that is not there."""
    return failure(502, "The sandbox was not found", sandboxId=name)


# ---------------------------------------------------------------- who may


def _refusal(sandbox: Sandbox, port: int, headers: Headers, scope: Scope) -> Response | None:
    """Return why a request may not go on; None: it may."""
    shown = headers.get("x-access-token", "")
    if port == ENVD:
        if scope["path"] == "/health":
            return None
        if _same(shown, sandbox.access_token):
            return None
        if scope["path"] == "/files":
            return _signature_refusal(sandbox, scope)
        return failure(401, "unauthorized access, please provide a valid access token")
    if (
        sandbox.is_public
        or _same(headers.get("e2b-traffic-access-token", ""), sandbox.traffic_token)
        or _same(shown, sandbox.access_token)
    ):
        return None
    return failure(403, "Traffic access token is required", sandboxId=sandbox.id)


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _signature_refusal(sandbox: Sandbox, scope: Scope) -> Response | None:
    """Return why a signed address is not good: its signature is over path, operation, user, token and expiry."""
    query = _query(scope)
    expires = query.get("signature_expiration")
    if "signature" not in query:
        return failure(401, "missing signature query parameter")
    if not _signature(query, scope["method"])(sandbox):
        return failure(401, "invalid signature")
    if expires is not None and (
        not (expires.isascii() and expires.removeprefix("-").isdigit()) or int(expires[:20]) < time.time()
    ):
        return failure(401, "signature is already expired")
    return None


def _query(scope: Scope) -> dict[str, str]:
    try:
        pairs = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20)
    except ValueError:  # more of them
        return {}
    return {name: values[0] for name, values in pairs.items()}


def _signature(query: dict[str, str], method: str) -> Callable[[Sandbox], bool]:
    """Return what tells whether a sandbox's token has signed this address."""
    operation = "read" if method in ("GET", "HEAD") else "write"
    parts = [query.get("path", ""), operation, query.get("username", ""), ""]
    # SECURITY: what the client chose is hashed once, not for each sandbox that may be meant: it may be long, they may be many
    begun = hashlib.sha256(":".join(parts).encode("utf-8", "surrogateescape"))
    given = query.get("signature", "").replace(" ", "+")
    expires = f":{query['signature_expiration']}" if "signature_expiration" in query else ""
    is_short = len(given) + len(expires) <= _SIGNATURE_CHARACTERS

    def is_signed_by(sandbox: Sandbox) -> bool:
        whole = begun.copy()
        whole.update(f"{sandbox.access_token}{expires}".encode("utf-8", "surrogateescape"))
        return _same(given, "v1_" + base64.b64encode(whole.digest()).decode("ascii").rstrip("="))

    return is_signed_by if is_short else lambda sandbox: False


# ---------------------------------------------------------------- bytes


async def _relay(sandbox: Sandbox, port: int, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a request to the box and its answer back; an answer that breaks off breaks off there, too."""
    query = scope["query_string"]
    target = scope.get("raw_path", scope["path"].encode()) + (b"?" + query if query else b"")
    asked = Headers(scope=scope)
    hidden = _NOT_IN
    if scope["app"].state.tenants.knows(asked.get("authorization", "")):  # else it is for who listens there
        hidden |= {b"authorization"}
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in hidden]
    headers.append((b"x-box-port", str(port).encode()))
    # A request without a body has neither: a server that reads none would find the end of one and break the connection.
    if "content-length" in asked:
        headers.append((b"content-length", asked["content-length"].encode()))
    elif "transfer-encoding" in asked:
        headers.append((b"transfer-encoding", b"chunked"))
    own = 0 if port in (ENVD, CONTEXTS) else port
    exchange = await Exchange.open(sandbox.box, scope["method"], target.decode("latin-1"), headers, port=own)
    async with exchange:
        sending = asyncio.create_task(_send_body(exchange, receive))
        answering = asyncio.create_task(_send_answer(exchange, sandbox, send))
        try:
            await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
            failure = sending.exception() if sending.done() else None
            if not answering.done() and sending.done() and not isinstance(failure, OSError):
                if failure is not None:
                    raise failure
                return  # the client has left
            await answering  # also where the box takes no more: its answer may say why
        finally:
            for task in (sending, answering):
                task.cancel()
            for task in (sending, answering):
                with suppress(asyncio.CancelledError, Exception):
                    await task


async def _send_body(exchange: Exchange, receive: Receive) -> str:
    """Send the request's body; return when the client has left."""
    is_open = True
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return "left"
        if not is_open:
            continue
        if message.get("body"):
            await exchange.send(message["body"])
        if not message.get("more_body"):
            exchange.end()
            is_open = False


async def _send_answer(exchange: Exchange, sandbox: Sandbox, send: Send) -> None:
    status, headers = await exchange.head()
    start: Message = {"type": "http.response.start", "status": status, "headers": list(_outgoing(headers))}
    await send(start)
    try:
        async for piece in exchange.body():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if exchange.crumbs_seconds:
                await asyncio.sleep(sandbox.held.tenant.rest_seconds(exchange.crumbs_seconds))
    except BackendError:
        if not dict(headers).get(b"content-type", b"").startswith(b"application/connect+"):
            raise
        await send({"type": "http.response.body", "body": _BROKEN_STREAM, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _outgoing(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    yield from ((name, value) for name, value in headers if name.lower() not in _NOT_OUT)
    yield from _ALWAYS_OUT
