"""One request -> the answer of a box's server, byte by byte. The server is the guest's: its answers are bounded and checked."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Self

import h11

from pinjra.core.errors import BackendError
from pinjra.server.http.e2b.box import SandboxBox
from pinjra.server.http.e2b.streams import open_streams

_HEAD_BYTES = 64 << 10  # SECURITY: of a response's head; more is no answer
_READ_BYTES = 64 << 10
# SECURITY: answers "100 Continue" and the like before the real one; each costs this service time.
_MOST_INTERIM = 32
# SECURITY: chunks of a byte cost this service a thousand times what they cost the box: so many are looked at, and then others
# have their turn. Of a usual answer 64 KiB are one to ten chunks.
_MOST_PIECES = 256
_LARGEST_STATUS = 599
_UNSAYABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # in a field's value (RFC 9110, 5.5); h11 lets it pass
Head = tuple[int, list[tuple[bytes, bytes]]]


class Exchange:
    """A request that was sent to a box, and what comes back.

    Attributes:
        crumbs_seconds: This service's own processor time for the last piece, where it came in crumbs; else 0.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.crumbs_seconds = 0.0
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES)

    @classmethod
    async def open(
        cls,
        box: SandboxBox,
        method: str,
        target: str,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes | None = None,
        *,
        port: int = 0,
    ) -> Self:
        """Send a request's head to a box, and its body where it is known (at once: a server may answer the head alone).

        Raises:
            SessionLost, BackendError: As `SandboxBox.connect`.
        """
        sock = box.connect(port)
        sock.setblocking(False)
        exchange = cls(*await open_streams(sock=sock))
        lengths = [] if body is None else [(b"content-length", str(len(body)).encode())]
        head = [(b"host", b"box"), (b"connection", b"close"), *headers, *lengths]
        whole = [] if body is None else [h11.Data(data=body), h11.EndOfMessage()]
        try:
            exchange._send(h11.Request(method=method, target=target, headers=head), *whole)
        except BaseException:
            exchange._writer.close()
            raise
        return exchange

    def _send(self, *events: h11.Event) -> None:
        data = b"".join(self._state.send(event) or b"" for event in events)
        if data and not self._writer.is_closing():
            self._writer.write(data)

    async def send(self, data: bytes) -> None:
        """Send a piece of the body."""
        self._send(h11.Data(data=data))
        await self._writer.drain()

    def end(self) -> None:
        """End the body."""
        self._send(h11.EndOfMessage())

    async def head(self) -> Head:
        """Return status and headers of the answer, as a client can be told them.

        Raises:
            BackendError: There is none, or it is no HTTP.
        """
        for _ in range(_MOST_INTERIM):
            event = await self._next()
            if isinstance(event, h11.Response):
                return event.status_code, _sayable(event)
            if not isinstance(event, h11.InformationalResponse):
                break
        raise BackendError("the sandbox's server gave no answer")

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the answer's body, what has come together as one piece.

        Raises:
            BackendError: It broke off.
        """
        while True:
            event, pieces, begun = await self._next(), list[bytes](), time.thread_time()
            while isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
                event = self._at_hand() if len(pieces) < _MOST_PIECES else h11.NEED_DATA
            self.crumbs_seconds = time.thread_time() - begun if len(pieces) == _MOST_PIECES else 0.0
            if pieces:
                yield b"".join(pieces)
            if isinstance(event, h11.EndOfMessage):
                return
            if event is not h11.NEED_DATA:
                raise BackendError("the sandbox's server broke off its answer")

    def _at_hand(self) -> object:
        """Return the next event of what has been read."""
        try:
            return self._state.next_event()
        except h11.RemoteProtocolError:
            return h11.NEED_DATA  # it is raised again when more is asked for

    async def _next(self) -> object:
        try:
            while (event := self._state.next_event()) is h11.NEED_DATA:
                self._state.receive_data(await self._reader.read(_READ_BYTES))
        except h11.RemoteProtocolError as error:
            raise BackendError(f"the sandbox's server gave no answer: {error}") from error
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()


def _sayable(answer: h11.Response) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer, with a length only where it is the body's.

    Raises:
        BackendError: Something of its head cannot be said in HTTP.
    """
    headers = list(answer.headers)
    if answer.status_code > _LARGEST_STATUS or any(_UNSAYABLE.search(value) for _, value in headers):
        raise BackendError("the sandbox's server gave no answer: its head is no HTTP")
    # SECURITY: of two lengths the client would believe another one than this service (RFC 9112, 6.3)
    is_elsewhere = any(name == b"transfer-encoding" for name, _ in headers)
    if is_elsewhere or answer.status_code in (204, 304):
        headers = [(name, value) for name, value in headers if name != b"content-length"]
    return headers
