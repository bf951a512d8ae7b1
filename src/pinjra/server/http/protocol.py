"""Bytes of a connection -> requests and messages, within bounds of time and size that uvicorn's own parsers do not have.

A request's head must arrive whole, small and soon, and whoever asked must read the answer: a connection that does neither is cut.
Bytes that are dear to read (requests, chunks and frames of almost nothing, thousands at once) are read slowly, so that others
have their turn.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent
    from websockets.frames import Frame

# SECURITY: of asyncio's own 256 KiB, frames of six bytes are the work of a second, in which nobody else is served.
_AT_ONCE_BYTES = 16 << 10
_CHEAP_SECONDS = 0.002  # of processor, for so many bytes; usual ones take a tenth
_SHARE = 0.2  # of the service's time, for all that is dear to read
_MOST_REST_SECONDS = 30.0  # who would have to wait for longer is cut
_MOST_PIPELINED = 16  # requests of a connection whose turn has not come; clients send none
_MOST_FRAGMENTS = 16 << 10  # of one message
HEAD_BYTES = 64 << 10
HEAD_SECONDS = 10.0
READ_SECONDS = 30.0
# That a client takes in this time, or all that there is: less holds memory for nothing.
_READ_BYTES = 16 << 10


class _Rest:
    """The turns of all connections that are dear to read, one behind the other."""

    def __init__(self) -> None:
        self._until = 0.0

    def seconds(self, used_seconds: float) -> float:
        """Note processor time that was used; return how long who has used it waits."""
        now = time.monotonic()
        self._until = max(self._until, now) + used_seconds / _SHARE
        return self._until - now


_REST = _Rest()  # of this process


class _Sparing(asyncio.Protocol):
    """What both protocols do with bytes, before they look at them."""

    transport: asyncio.Transport

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._rest_timer: asyncio.TimerHandle | None = None
        self._was_dear = False  # the last time; once may be the collection of garbage
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have bytes come in small pieces."""
        if hasattr(transport, "max_size"):  # asyncio's own loop, on POSIX
            transport.max_size = _AT_ONCE_BYTES
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        if self._rest_timer is not None:
            self._rest_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; after dear ones, the next wait."""
        if self._rest_timer is not None:
            self._held += data
            self.transport.pause_reading()  # uvicorn has gone on meanwhile
            return
        begun = time.thread_time()
        super().data_received(data)
        used = time.thread_time() - begun
        is_dear, was_dear = used > _CHEAP_SECONDS, self._was_dear
        self._was_dear = is_dear
        if is_dear and was_dear and not self._is_over():
            self._pause(_REST.seconds(used))

    def _is_over(self) -> bool:
        return self.transport.is_closing() or self.transport.get_protocol() is not self

    def _pause(self, seconds: float) -> None:
        if seconds > _MOST_REST_SECONDS:
            self.transport.abort()
            return
        self.transport.pause_reading()
        self._rest_timer = asyncio.get_running_loop().call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._rest_timer = None
        held, self._held = self._held, b""
        if held and not self._is_over():
            self.data_received(held)
        if self._rest_timer is None and not self._is_over() and not self._has_paused():
            self.transport.resume_reading()

    def _has_paused(self) -> bool:
        """Return whether the protocol itself wants no more bytes now."""
        raise NotImplementedError


class BoundedSocketProtocol(_Sparing, WebSocketsSansIOProtocol):
    """uvicorn's protocol for WebSockets, for clients that mean no good."""

    def _has_paused(self) -> bool:
        return self.read_paused

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next message; of many that have come at once, others have their turn between two."""
        message = await super().receive()
        if not self.queue.empty():
            await asyncio.sleep(0)
        return message

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment; a message in too many of them ends the connection: each is an object, however small."""
        super().handle_cont(event)
        if len(self.frames) > _MOST_FRAGMENTS:
            self.transport.abort()

    def handle_ping(self) -> None:
        """Answer a ping; who does not read gets no answers, which would only be memory."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()


class _HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds for heads, what is pipelined, and who reads."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_bytes = 0
        self._is_in_body = False  # also of a request that was answered before its body had come
        self._head_timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._head_has_come()
        self.resume_reader()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that is still not whole after too many of them ends the connection."""
        self._head_bytes += len(data)
        super().data_received(data)
        # SECURITY: the parser keeps whatever head it is sent: without a bound one connection takes all memory.
        is_head = self._head_timer is not None and not self._is_in_body
        if is_head and self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """Begin a request; HttpParserError: too many of this connection wait."""
        # SECURITY: each is memory from its head on, and a client that reads no answer keeps them all waiting
        if len(self.pipeline) >= _MOST_PIPELINED:
            raise httptools.HttpParserError("too many requests at once")
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Count a head from here on: what came before was the rest of a body that was answered early."""
        super().on_message_complete()
        self._is_in_body = False
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Go on with a request whose head is whole."""
        self._head_has_come()
        self._is_in_body = True
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for the next head, and see that the client takes what is left of this answer."""
        super().on_response_complete()
        if self.cycle.response_complete and self._head_timer is None:
            self._expect_head()
        if self.transport.get_write_buffer_size():
            self.watch_reader()

    # ------------------------------------------------------------ heads

    def _expect_head(self) -> None:
        # SECURITY: uvicorn waits forever for the rest of a head; a thousand such connections would be all that there can be.
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._cut_late_head)

    def _head_has_come(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cut_late_head(self) -> None:
        self._head_timer = None
        if not self.transport.get_write_buffer_size():
            self.transport.abort()

    # ------------------------------------------------------------ answers

    def pause_writing(self) -> None:
        """Stop writing until the client has read, and watch that it does."""
        super().pause_writing()
        self.watch_reader()

    def resume_writing(self) -> None:
        """Write on."""
        self.resume_reader()
        super().resume_writing()

    def watch_reader(self) -> None:
        """Cut the connection when nothing of the answer is taken for a while: it occupies memory."""
        if self._reader_timer is None:
            waiting = self.transport.get_write_buffer_size()
            self._reader_timer = self.loop.call_later(READ_SECONDS, self._look, waiting)

    def resume_reader(self) -> None:
        """Watch no more."""
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def _look(self, before: int) -> None:
        self._reader_timer = None
        waiting = self.transport.get_write_buffer_size()
        if waiting and waiting > before - _READ_BYTES:
            self.transport.abort()
        elif waiting:
            self.watch_reader()


class BoundedProtocol(_Sparing, _HttpProtocol):
    """uvicorn's protocol for HTTP, for clients that mean no good."""

    def _has_paused(self) -> bool:
        return self.flow.read_paused
