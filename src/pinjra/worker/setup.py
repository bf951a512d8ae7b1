"""What an interpreter is given by the fork that makes it: its ends of the sockets, the session's configuration, its place."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from pinjra.wire.messages import Init

__all__ = ["ForkedResources", "SessionSetup", "Workplace"]


@dataclass(frozen=True)
class Workplace:
    """Where an interpreter works.

    Args:
        scratch: The path of its scratch folder.
        captured: What its descriptors 1 and 2 are to be; () where they are that already.
    """

    scratch: str
    captured: tuple[int, ...] = ()


@dataclass(frozen=True)
class ForkedResources:
    """What an interpreter shares with its supervisor from its fork on."""

    supervisor: int
    stream: socket.socket
    side: socket.socket
    wake: socket.socket


@dataclass(frozen=True)
class SessionSetup:
    """What an interpreter begins with.

    Args:
        grants: The GrantTools messages of earlier interpreters, to be carried out without an answer.
    """

    init: Init
    place: Workplace
    grants: bytes = b""
