"""An SDK's stream, iterated or told by callbacks -> reads with a deadline. One daemon thread a stream."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable

from pinjra.core.errors import BackendError

__all__ = ["Pump", "Stopped"]

MOST_WAITING = 256  # chunks that may wait for the reader: SDKs give at most 64 KiB each, so 16 MiB


class Stopped(Exception):
    """Nobody reads any more."""


class Pump:
    """Reads an SDK's iterator on a thread, so that the host can wait with a deadline.

    Args:
        name: Of the thread.
        chunks: Called on the thread; yields str (ASCII) or bytes. When it ends the stream has ended; what it raises is
            raised by `read` as `BackendError`.
        feed: Instead of `chunks`, for SDKs that call back: called on the thread with the function that takes a chunk;
            that function waits while the reader is behind, and raises `Stopped` when nobody reads any more.
    """

    def __init__(
        self,
        name: str,
        chunks: Callable[[], Iterable[str | bytes]] | None = None,
        *,
        feed: Callable[[Callable[[str | bytes], None]], None] | None = None,
    ) -> None:
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(MOST_WAITING)
        self._ended: BaseException | bool = False
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(chunks, feed), name=f"pinjra-{name}", daemon=True
        )
        self._thread.start()

    def _run(
        self,
        chunks: Callable[[], Iterable[str | bytes]] | None,
        feed: Callable[[Callable[[str | bytes], None]], None] | None,
    ) -> None:
        end: BaseException | None = None
        try:
            if feed is not None:
                feed(self._take)
            for chunk in chunks() if chunks is not None else ():
                self._take(chunk)
        except Exception as error:  # whatever the SDK raises ends this stream and is the reader's to see
            end = error
        self._put(end)

    def _take(self, chunk: str | bytes) -> None:
        data = chunk.encode("utf-8", "replace") if isinstance(chunk, str) else bytes(chunk)
        if data:
            self._put(data)
        if self._closed.is_set():
            raise Stopped

    def _put(self, item: bytes | BaseException | None) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=1.0)
                return
            except queue.Full:
                continue

    @property
    def has_ended(self) -> bool:
        """Return whether the SDK's stream is over; what it gave may still wait to be read."""
        return not self._thread.is_alive()

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return the next bytes; b"" at the end.

        Raises:
            TimeoutError: Nothing came in time.
            BackendError: The SDK's iterator failed (the provider's fault).
        """
        if self._ended is not False:
            return self._end()
        try:
            item = self._queue.get(timeout=timeout_seconds)
        except queue.Empty:
            raise TimeoutError("nothing came from the sandbox") from None
        if isinstance(item, bytes):
            return item
        self._ended = True if item is None else item
        return self._end()

    def _end(self) -> bytes:
        if isinstance(self._ended, BaseException):
            raise BackendError(
                f"the stream broke: {type(self._ended).__name__}: {self._ended}"
            ) from self._ended
        return b""

    def close(self) -> None:
        """Let the thread end; what it still reads is dropped."""
        self._closed.set()
