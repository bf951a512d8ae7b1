"""What a run prints, as it prints it -> progress notifications, for clients that asked for them."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
from mcp.server.mcpserver import Context

__all__ = ["Progress"]


class Progress:
    """Sends text from a run's thread to the client, without holding up the run.

    What waits to be sent is bounded by the run's own limit of output. Made on the event loop.
    """

    def __init__(self, context: Context[Any, Any]) -> None:
        self._context = context
        self._loop = anyio.lowlevel.current_token()
        self._wake = anyio.Event()
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._is_over = False
        self._characters = 0

    def take(self, stream: str, text: str) -> None:
        """Take what the run printed; on any thread."""
        with self._lock:
            self._waiting.append(text)
            is_first = len(self._waiting) == 1
        if is_first:
            try:
                anyio.from_thread.run_sync(self._set, token=self._loop)
            except RuntimeError:  # the loop has ended: nobody listens any more
                pass

    def finish(self) -> None:
        """No more comes; on the event loop."""
        self._is_over = True
        self._set()

    async def send(self) -> None:
        """Send what comes until it is over; stops quietly when the client has gone."""
        is_over = False
        while not is_over:
            await self._wake.wait()
            self._wake = anyio.Event()
            is_over = self._is_over
            with self._lock:
                text, self._waiting = "".join(self._waiting), []
            if not text:
                continue
            self._characters += len(text)
            try:
                await self._context.report_progress(self._characters, None, text)
            except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                return

    def _set(self) -> None:
        self._wake.set()
