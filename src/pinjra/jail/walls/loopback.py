"""A new network namespace -> one with loopback, and the sockets of it that somebody outside answers for.

https://man7.org/linux/man-pages/man7/netdevice.7.html, https://man7.org/linux/man-pages/man7/network_namespaces.7.html

A socket belongs to the namespace that it was made in, whoever holds it. So the box's own process opens these, before a filter and
before any guest code, and hands them to the host: inside nothing relays, and nothing of the host's network comes in.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Iterable

# linux/sockios.h, linux/if.h
_SET_FLAGS, _SET_ADDRESS = 0x8914, 0x8916
_UP_RUNNING = 0x1 | 0x40
_BACKLOG = 64
_NAME_SERVICE = 53


def raise_loopback(addresses: Iterable[str] = ()) -> None:
    """Let this namespace's loopback work, under further addresses too.

    Raises:
        OSError: Not permitted (the machine's fault).
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP_RUNNING))
        own = (address for address in addresses if not address.startswith("127."))
        for number, address in enumerate(own, 1):
            name = f"lo:{number}".encode()
            request = struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(any_socket, _SET_ADDRESS, request)


def hand_over(door: int, ports: Iterable[int]) -> None:
    """Listen at these ports of every address of this namespace, and for names; send the sockets on `door`, keep none.

    Raises:
        OSError: A port is taken, or not permitted (the machine's fault).
    """
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
    try:
        sockets[0].bind(("127.0.0.1", _NAME_SERVICE))
        for port in ports:
            sockets.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sockets[-1].bind(("0.0.0.0", port))
            sockets[-1].listen(_BACKLOG)
        with socket.socket(fileno=door) as stream:
            socket.send_fds(stream, [b"sockets"], [each.fileno() for each in sockets])
    finally:
        for each in sockets:
            each.close()
