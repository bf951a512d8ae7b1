"""Bytes of a connection -> requests, within bounds of time and size that uvicorn's own parser does not have.

A request's head must arrive whole, small and soon, and whoever asked must read the answer: a connection that does neither is cut.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["HEAD_BYTES", "BoundedProtocol"]

HEAD_BYTES = 64 << 10
HEAD_SECONDS = 10.0
READ_SECONDS = 30.0  # without a single byte taken by the client


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, for clients that mean no good."""

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
        if waiting and waiting >= before:
            self.transport.abort()
        elif waiting:
            self.watch_reader()
