"""One request -> the answer of a box's server, byte by byte. The server is the guest's: its answers are bounded and checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Self

import h11

from pinjra.core.errors import BackendError
from pinjra.server.http.e2b.box import SandboxBox

__all__ = ["Exchange", "Head"]

_HEAD_BYTES = 64 << 10  # SECURITY: of a response's head; more is no answer
_READ_BYTES = 64 << 10
Head = tuple[int, list[tuple[bytes, bytes]]]


class Exchange:
    """A request that was sent to a box, and what comes back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
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
        """Send a request's head to a box, and its body where it is known.

        Raises:
            SessionLost, BackendError: As `SandboxBox.connect`.
        """
        sock = box.connect(port)
        sock.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=sock, limit=_READ_BYTES)
        exchange = cls(reader, writer)
        lengths = [] if body is None else [(b"content-length", str(len(body)).encode())]
        head = [(b"host", b"box"), (b"connection", b"close"), *headers, *lengths]
        try:
            exchange._send(h11.Request(method=method, target=target, headers=head))
        except BaseException:
            writer.close()
            raise
        if body is not None:
            await exchange.send(body)
            exchange.end()
        return exchange

    def _send(self, event: h11.Event) -> None:
        data = self._state.send(event)
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
        """Return status and headers of the answer.

        Raises:
            BackendError: There is none, or it is no HTTP.
        """
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event.status_code, list(event.headers)
            if not isinstance(event, h11.InformationalResponse):
                raise BackendError("the sandbox's server gave no answer")

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the answer's body.

        Raises:
            BackendError: It broke off.
        """
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise BackendError("the sandbox's server broke off its answer")

    async def _next(self) -> object:
        try:
            while (event := self._state.next_event()) is h11.NEED_DATA:
                self._state.receive_data(await self._reader.read(_READ_BYTES))
        except (h11.RemoteProtocolError, OSError) as error:
            raise BackendError(f"the sandbox's server gave no answer: {error}") from error
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
