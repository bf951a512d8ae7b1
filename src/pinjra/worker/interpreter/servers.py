"""Servers of asyncio where no socket may be made: an error, as everywhere else.

CPython's `create_server` takes a socket that could not be made for an address family that the machine lacks, and goes on to the
next one. In the end it has a server that listens nowhere, and not a word.
"""

from __future__ import annotations

import functools
import socket
from types import ModuleType

from pinjra.worker.interpreter.imports import adapt_modules


def adapt() -> None:
    """Let a server of asyncio that has no sockets be the error of who makes one."""
    adapt_modules({"asyncio.base_events": _raising})


def _raising(module: ModuleType) -> None:
    loop = module.BaseEventLoop
    create = loop.create_server

    @functools.wraps(create)
    async def create_server(*args: object, **options: object) -> object:
        server = await create(*args, **options)
        if not server.sockets:
            socket.socket().close()  # raises what was swallowed
        return server

    loop.create_server = create_server
