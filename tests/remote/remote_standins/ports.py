"""A port of loopback that nobody else is given, for a server which is told its number."""

from __future__ import annotations

import socket


def held_port() -> socket.socket:
    """Return a socket that keeps a free port: the kernel gives it to nobody by itself, and to a server that asks for it.

    A port that was looked up and let go may be the next connection's of any test. Both ends set SO_REUSEADDR, and only the
    server listens (socket(7)).
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held
