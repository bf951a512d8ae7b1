"""What an interpreter is given by the fork that makes it: its ends of the sockets, the session's configuration, its place."""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass
from typing import NamedTuple

from pinjra.wire.messages import Init

STOP = signal.SIGURG
"""By which the supervisor stops a run. Programs have no use for it, and without a handler it does nothing.

SECURITY: no real-time signal, whose queue a guest can fill. Who takes its handler away is killed when the grace is over.
"""


@dataclass(frozen=True)
class Workplace:
    """Where an interpreter works: its scratch folder, and what becomes its descriptors 1 and 2, where they are not that."""

    scratch: str
    captured: tuple[int, ...] = ()


class Sockets(NamedTuple):
    """The ends, of one side, of what leads from a supervisor to its interpreter; see `supervisor.process`."""

    stream: socket.socket
    wake: socket.socket

    @classmethod
    def pairs(cls) -> tuple[Sockets, Sockets]:
        """Return new ends of both sides: those of the supervisor, and those of the interpreter."""
        ours, theirs = zip(*(socket.socketpair() for _each in cls._fields), strict=True)
        return cls(*ours), cls(*theirs)

    def close(self) -> None:
        """Close the ends."""
        for each in self:
            each.close()


@dataclass(frozen=True)
class SessionSetup:
    """What an interpreter begins with."""

    supervisor: int
    sockets: Sockets
    init: Init
    place: Workplace
    counts_memory: bool
    """The box's processes have its memory together."""
