"""What an interpreter is given by the fork that makes it, and what it is told when it is known for which session."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass

from pinjra.wire.messages import Init

__all__ = ["Birth", "Place", "Setup"]

_LENGTH_BYTES = 8


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
class Birth:
    """What an interpreter has from its fork on.

    Args:
        captured: As of `Place`.
    """

    supervisor: int
    stream: socket.socket
    side: socket.socket
    wake: socket.socket
    captured: tuple[int, ...] = ()


@dataclass(frozen=True)
class Setup:
    """The first that an interpreter reads on its stream.

    Args:
        grants: The GrantTools messages of earlier interpreters, to be carried out without an answer.
    """

    init: Init
    scratch: str
    grants: bytes = b""

    def pack(self) -> bytes:
        """Return the bytes that say this."""
        init = {name: getattr(self.init, name) for name in Init.__slots__}
        fields = {"init": init, "scratch": self.scratch, "grants": self.grants.decode("latin-1")}
        data = json.dumps(fields).encode()
        return len(data).to_bytes(_LENGTH_BYTES, "big") + data

    @classmethod
    def receive(cls, stream: socket.socket) -> Setup | None:
        """Read one, and nothing of what comes behind it; None when the supervisor is gone."""
        data = _read(stream, int.from_bytes(_read(stream, _LENGTH_BYTES), "big"))
        if not data:
            return None
        fields = json.loads(data)
        init = fields["init"]
        for name in ("authorized_imports", "protected", "env"):
            init[name] = tuple(init[name])
        return cls(Init(**init), fields["scratch"], fields["grants"].encode("latin-1"))


def _read(stream: socket.socket, size: int) -> bytes:
    """Return so many bytes; b"" when the stream ends before."""
    data = b""
    while len(data) < size:
        piece = os.read(stream.fileno(), size - len(data))
        if not piece:
            return b""
        data += piece
    return data
