"""What an interpreter is told by the fork that makes it."""

from __future__ import annotations

import mmap
import socket
from dataclasses import dataclass

from pinjra.wire.messages import Init

__all__ = ["Setup"]


@dataclass(frozen=True)
class Setup:
    """What the interpreter is told by the fork itself."""

    init: Init
    scratch: str
    grants: bytes  # the GrantTools messages of earlier interpreters, to be carried out without an answer
    supervisor: int
    stream: socket.socket
    side: socket.socket
    wake: socket.socket
    ring: mmap.mmap
