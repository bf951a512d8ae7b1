"""A connection of the host's <-> a server that the guest has started at a port of the box."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

__all__ = ["join"]

_PIECE_BYTES = 64 << 10


async def join(connection: socket.socket, port: int) -> None:
    """Carry bytes both ways until one side has ended; end at once where nothing listens."""
    reader, writer = await asyncio.open_connection(sock=connection)
    try:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_carry(reader, inner_writer), _carry(inner_reader, writer))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_PIECE_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
