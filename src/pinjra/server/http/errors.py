"""Host-side errors -> HTTP statuses and JSON bodies, one row a class."""

from __future__ import annotations

import math
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from pinjra.core.errors import (
    BackendError,
    ConfigurationError,
    ExecutorClosed,
    ExecutorUnavailable,
    InternalError,
    PinjraError,
    ProtocolViolation,
    SessionLost,
    StartupFailed,
)
from pinjra.models.errors import (
    AuthenticationFailed,
    ModelError,
    RateLimited,
    RequestRefused,
    WeightsUnavailable,
)


class Unauthorized(PinjraError):
    """The client's fault: no token, or one that nobody has."""


class Forbidden(PinjraError):
    """The client's fault: its tenant may not have this."""


class NotFound(PinjraError):
    """The client's fault: there is no such session, file or agent of this tenant."""


class Busy(PinjraError):
    """No room now. `retry_seconds` says when to come again."""

    def __init__(self, message: str, retry_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


# The first row that fits; a class stands before its base.
_STATUS: tuple[tuple[type[BaseException], int, str], ...] = (
    (Unauthorized, 401, "unauthorized"),
    (Forbidden, 403, "forbidden"),
    (NotFound, 404, "not_found"),
    (FileNotFoundError, 404, "not_found"),
    (Busy, 429, "busy"),
    (AuthenticationFailed, 502, "backend"),
    (ConfigurationError, 400, "bad_request"),
    (RequestRefused, 400, "bad_request"),
    (RateLimited, 429, "busy"),
    (WeightsUnavailable, 503, "unavailable"),
    (ModelError, 502, "backend"),
    (ExecutorUnavailable, 501, "unavailable"),
    (SessionLost, 410, "session_lost"),
    (ExecutorClosed, 410, "session_closed"),
    (ProtocolViolation, 502, "hostile_worker"),
    (StartupFailed, 503, "startup_failed"),
    (BackendError, 502, "backend"),
    (InternalError, 500, "internal"),
    (PinjraError, 500, "internal"),
)


_LEFT = 499  # for the audit log, as nginx calls it
_REASON_BYTES = 123  # of a frame that closes a WebSocket (RFC 6455, 5.5)
_HTTP = {404: "not_found", 405: "method_not_allowed"}


def status_of(error: BaseException) -> tuple[int, str]:
    """Return the HTTP status and the word for an error."""
    return next(
        ((status, word) for kind, status, word in _STATUS if isinstance(error, kind)), (500, "internal")
    )


def told(error: BaseException) -> dict[str, str]:
    """Return what a client is told of an error: its word and message, never a traceback."""
    is_ours = isinstance(error, (PinjraError, FileNotFoundError))
    return {"kind": status_of(error)[1], "message": str(error) if is_ours else "an error of the service"}


async def answer_who_left(request: Request, error: Exception) -> Response:
    """Return what nobody reads: the client has broken off while it sent its request."""
    return Response(status_code=_LEFT)


async def close_socket(socket: WebSocket, code: int, why: str) -> None:
    """Close a WebSocket, with as much of the reason as a frame holds; one whose client has left is closed."""
    reason = why.encode("utf-8", "replace")[:_REASON_BYTES].decode("utf-8", "ignore")
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(code, reason)


async def answer_http_error(request: Request, error: Exception) -> JSONResponse:
    """Return the response where there is no such path or method."""
    assert isinstance(error, HTTPException)  # noqa: S101  (registered for this class only)
    body = {"error": {"kind": _HTTP.get(error.status_code, "refused"), "message": str(error.detail)}}
    return JSONResponse(body, error.status_code, error.headers)


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Return the response for an error."""
    status, _ = status_of(error)
    headers = {}
    if status == 429:
        wait = getattr(error, "retry_seconds", None) or getattr(error, "retry_after_seconds", None)
        headers["Retry-After"] = str(math.ceil(wait or 1.0))
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": told(error)}, status, headers)
