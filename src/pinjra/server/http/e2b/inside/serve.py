"""Connections that the host sends into the box -> HTTP served by this process, the first of the box.

The guest may own this process: it has no secret, no right that the guest lacks, and the host believes nothing that it says.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from pinjra.server.http.e2b.inside.app import CONTEXTS, ENVD, create_app
from pinjra.server.http.e2b.inside.children import Reaper
from pinjra.server.http.e2b.inside.surroundings import Surroundings
from pinjra.server.http.e2b.streams import open_streams

_PORT_BYTES = 8  # of a message: the port that the connection is for, as digits; 0 is this process
_PIECE_BYTES = 64 << 10
_MOST_DESCRIPTORS = 16  # of one message; the host sends one


def serve(
    fd_in: int, fd_out: int, *, applied: Sequence[str] = (), missing: Sequence[str] = (), **counts: int
) -> NoReturn:
    """Serve the box until the host is gone; never return.

    Args:
        fd_in: The socket over which connections come, one descriptor a message.
        fd_out: The same.
        applied, missing: For workers of other kinds.
        counts: Descriptors, for these too.
    """
    status = 1
    try:
        for descriptor in counts.values():
            os.close(descriptor)
        # Not asyncio.run(), which ends on SIGINT: the guest may send it, and to the first process without a handler in vain.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        asyncio.new_event_loop().run_until_complete(_serve(socket.socket(fileno=fd_in)))
        status = 0
    except BaseException:
        os.write(fd_out, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(status)


async def _serve(door: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    os.set_inheritable(door.fileno(), False)
    place = Surroundings.of_this_process()
    reaper = Reaper.install(loop)
    config = uvicorn.Config(
        create_app(place, reaper),
        log_config=None,
        lifespan="off",
        ws="none",
        timeout_keep_alive=3600,
        interface="asgi3",
    )
    config.load()
    state = ServerState()
    waiting: set[asyncio.Task[object]] = set()

    def take() -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(door, _PORT_BYTES, _MOST_DESCRIPTORS)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        for descriptor in descriptors:
            connection = socket.socket(fileno=descriptor)
            connection.setblocking(False)
            port = int(data)
            task: asyncio.Task[object] = loop.create_task(
                _join(connection, port)
                if port
                else loop.connect_accepted_socket(lambda: H11Protocol(config, state, {}, loop), connection)
            )
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        if not data:
            # The host is gone: nothing is ended in good order, or clients would take it for an answer.
            os._exit(0)

    for port in (ENVD, CONTEXTS):
        with suppress(OSError):  # where the box has no loopback
            await loop.create_server(lambda: H11Protocol(config, state, {}, loop), "0.0.0.0", int(port))  # noqa: S104 (of the box)
    door.setblocking(False)
    loop.add_reader(door.fileno(), take)
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for the life of the process)
    await asyncio.Event().wait()


async def _join(connection: socket.socket, port: int) -> None:
    """Carry bytes to a server that the guest has started, and back, until one side ends; end at once where nothing listens."""
    reader, writer = await open_streams(sock=connection)
    try:
        inner_reader, inner_writer = await open_streams(host="127.0.0.1", port=port)
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
