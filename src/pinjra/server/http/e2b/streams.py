"""A connection -> its two streams, in the service and in the box. What came before the connection broke is still read."""

from __future__ import annotations

import asyncio
from typing import Any


class _Reader(asyncio.StreamReader):
    """A server that answers before it has read the whole request closes with a reset; the answer is there all the same."""

    def set_exception(self, exc: BaseException) -> None:
        """Take a break for the end: asyncio's own reader would throw away what it holds."""
        self.feed_eof()


async def open_streams(
    *, limit: int = 64 << 10, **where: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return reader and writer of a connection; a reset of the other side is read as its end.

    Args:
        limit: Bytes of one line, and half of what is held before the other side has to wait.
        **where: As `loop.create_connection` takes it: `sock=`, or `host=` and `port=`.

    Raises:
        OSError: Nothing listens there.
    """
    loop = asyncio.get_running_loop()
    reader = _Reader(limit=limit, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.create_connection(lambda: protocol, **where)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
