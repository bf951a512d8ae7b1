"""Who did what, when, with which outcome -> lines of JSON in a file that is rotated by its size. No secret stands in them."""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pinjra.core.redaction import redact, shortened
from pinjra.server.http.settings import ServeSettings
from pinjra.server.http.tenants import Tenants

if TYPE_CHECKING:
    from pinjra.access.network.gateway import Connection

_log = logging.getLogger("pinjra.serve")

QUIET = ("/health", "/ready", "/metrics")  # asked every few seconds by machines
_PATH_CHARACTERS = 500
_READ_CHARACTERS = 100_000  # of code, that are looked through for secrets

WHO = "pinjra.who"  # in a request's scope: tenant and session, where another token than the tenant's has shown them


class Audit:
    """The audit log of one service; used from any thread. Without a file it writes nothing."""

    def __init__(self, settings: ServeSettings) -> None:
        self._path = Path(settings.audit_log) if settings.audit_log else None
        self._most_bytes = settings.audit_bytes
        self._files = settings.audit_files
        self._characters = settings.audit_code_characters
        self._lock = threading.Lock()

    def write(self, kind: str, **details: Any) -> None:
        """Append one line: time, kind, and what is not None of the details."""
        if self._path is None:
            return
        given = {name: value for name, value in details.items() if value is not None}
        record = {"time": round(time.time(), 3), "kind": kind, **given}
        line = (json.dumps(record, default=str) + "\n").encode("utf-8", "replace")
        try:
            with self._lock:
                self._make_room(len(line))
                self._append(line)
        except OSError:  # a full disk: sessions go on, and the operator reads of it
            _log.exception("the audit log cannot be written: %s", line[:500])

    def _append(self, line: bytes) -> None:
        assert self._path is not None  # noqa: S101  (write has looked)
        # Opened each time: whoever else rotates logs, or writes into this one, is not in the way.
        number = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(number, line)
        finally:
            os.close(number)

    def _make_room(self, size: int) -> None:
        assert self._path is not None  # noqa: S101  (write has looked)
        try:
            is_full = self._path.stat().st_size + size > self._most_bytes
        except FileNotFoundError:
            return
        if not is_full:
            return
        RotatingFileHandler(self._path, backupCount=self._files - 1, delay=True).doRollover()
        if self._files == 1:
            self._path.unlink()

    def code(self, text: str) -> str | None:
        """Return the beginning of code as the log shows it, without secrets; None where it shows none."""
        if self._path is None or not self._characters:
            return None
        return shortened(text[:_READ_CHARACTERS], self._characters)

    def connections(self, tenant: str, session: str) -> Callable[[Connection], None]:
        """Return what notes each connection of a session, or refusal of one."""

        def note(connection: Connection) -> None:
            self.write("connection", tenant=tenant, session=session, **asdict(connection))

        return note


class Audited:
    """Notes each request when it has been answered."""

    def __init__(self, app: ASGIApp, audit: Audit, tenants: Tenants) -> None:
        self._app = app
        self._audit = audit
        self._tenants = tenants

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in QUIET:
            await self._app(scope, receive, send)
            return
        sizes, status, begun = [0, 0], 500, time.monotonic()

        async def take() -> Message:
            message = await receive()
            sizes[0] += _size(message)
            return message

        async def give(message: Message) -> None:
            nonlocal status
            sizes[1] += _size(message)
            if "status" in message:
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.close" and status != 101:
                status = 403
            await send(message)

        try:
            await self._app(scope, take, give)
        finally:
            self._audit.write(
                "request",
                id=secrets.token_hex(8),
                **(scope.get(WHO) or {"tenant": self._tenants.name_of(Headers(scope=scope))}),
                client=(scope.get("client") or ("",))[0],
                method=scope.get("method", "WEBSOCKET"),
                path=redact(scope["path"][:_PATH_CHARACTERS]),  # without its query, where signatures stand
                status=status,
                seconds=round(time.monotonic() - begun, 4),
                bytes_in=sizes[0],
                bytes_out=sizes[1],
            )


def _size(message: Message) -> int:
    return len(message.get("body") or message.get("bytes") or message.get("text") or b"")
