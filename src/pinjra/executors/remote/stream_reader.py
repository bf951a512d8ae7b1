"""What an SDK hands over on a thread of ours -> reads with a deadline."""

from __future__ import annotations

import queue
import select
import threading
from collections.abc import Callable
from typing import Any

from pinjra.core.errors import BackendError

MOST_WAITING = 256  # chunks that may wait for the reader: SDKs give at most 64 KiB each, so 16 MiB

POLL_SECONDS = 1.0  # a reader looks so often whether it is still wanted

Take = Callable[["str | bytes"], None]


class Stopped(Exception):
    """Nobody reads any more."""


def is_readable(connection: Any) -> bool:
    """Wait for a moment; return whether a connection, encrypted or not, has something to read."""
    pending = getattr(connection, "pending", None)  # decrypted already, so that no poll would tell
    if pending is not None and pending():
        return True
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(POLL_SECONDS * 1000))


class StreamReader:
    """Listens to an SDK's stream on a daemon thread, so that the host can wait with a deadline.

    Args:
        name: Of the thread.
        listen: Called on the thread with the function that takes a chunk (ASCII text or bytes). That function waits while the
            reader is behind, and raises `Stopped` when nobody reads any more. When `listen` returns the stream has ended; what
            it raises is raised by `read` as `BackendError`.
    """

    def __init__(self, name: str, listen: Callable[[Take], None]) -> None:
        self._queue: queue.Queue[bytes | Exception] = queue.Queue(MOST_WAITING)
        self._end: bytes | Exception | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listen,), name=f"pinjra-{name}", daemon=True)
        self._thread.start()

    def _run(self, listen: Callable[[Take], None]) -> None:
        try:
            listen(self._take)
            self._put(b"")
        except Exception as error:  # whatever the SDK raises ends this stream and is the reader's to see
            self._put(error)

    def _take(self, chunk: str | bytes) -> None:
        data = chunk.encode("utf-8", "replace") if isinstance(chunk, str) else bytes(chunk)
        if data:
            self._put(data)
        if self._closed.is_set():
            raise Stopped

    def _put(self, item: bytes | Exception) -> None:
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
            BackendError: The SDK's stream failed (the provider's fault).
        """
        if self._end is None:
            try:
                item = self._queue.get(timeout=timeout_seconds)
            except queue.Empty:
                raise TimeoutError("nothing came from the sandbox") from None
            if item and isinstance(item, bytes):
                return item
            self._end = item
        if isinstance(self._end, bytes):
            return self._end
        raise BackendError(f"the stream broke: {type(self._end).__name__}: {self._end}") from self._end

    def close(self) -> None:
        """Let the thread end; what it still reads is dropped."""
        self._closed.set()
