"""What an interpreter is told by the fork that makes it."""

from __future__ import annotations

import mmap
import socket
from dataclasses import dataclass

from pinjra.wire.messages import Init

__all__ = ["Place", "Setup"]


@dataclass(frozen=True)
class Place:
    """Where an interpreter works.

    Args:
        scratch: The path of its scratch folder.
        captured: What its descriptors 1 and 2 are to be; () where they are that already.
    """

    scratch: str
    captured: tuple[int, ...] = ()


@dataclass(frozen=True)
class Setup:
    """What the interpreter is told by the fork itself."""

    init: Init
    place: Place
    grants: bytes  # the GrantTools messages of earlier interpreters, to be carried out without an answer
    supervisor: int
    stream: socket.socket
    side: socket.socket
    wake: socket.socket
    ring: mmap.mmap
