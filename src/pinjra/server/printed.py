"""Text that a run prints in its thread -> pieces on the event loop, those that have come meanwhile as one."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from itertools import groupby

__all__ = ["RunText"]

_MOST = 256  # pieces in between
_SLOW_SECONDS = 5.0  # a client that reads nothing for so long gets memory, not the run's time


class RunText:
    """What one run prints. Bounded: the run waits for a slow client. Made on the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: deque[tuple[str, str]] = deque()
        self._room = threading.Semaphore(_MOST)
        self._wake = asyncio.Event()
        self._is_over = False

    def put(self, stream: str, text: str) -> None:
        """Take a piece; called on the run's thread."""
        self._room.acquire(timeout=_SLOW_SECONDS)
        self._pieces.append((stream, text))
        self._loop.call_soon_threadsafe(self._wake.set)

    def end(self) -> None:
        """Say that nothing more comes; called on the loop."""
        self._is_over = True
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[tuple[str, str]]:
        is_last = False
        while not is_last:
            await self._wake.wait()
            self._wake.clear()
            is_last = self._is_over
            pieces = [self._pieces.popleft() for _ in range(len(self._pieces))]
            self._room.release(max(len(pieces), 1))
            for stream, together in groupby(pieces, key=lambda piece: piece[0]):
                yield stream, "".join(text for _, text in together)
