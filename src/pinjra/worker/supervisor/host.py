"""The stream to the host: descriptors, what waits to be written, and the connection that numbers it."""

from __future__ import annotations

import fcntl
import os
import re
import select
import socket
import stat
import time
from array import array
from collections.abc import Iterator

from pinjra.wire.connection import READY, SupervisorConnection
from pinjra.wire.messages import Message
from pinjra.worker.supervisor.outbox import READ_BYTES, Outbox, read_some

_BACKLOG_BYTES = 4 << 20  # unwritten bytes from which the interpreter is not read any more
_LAST_SECONDS = 1.0  # for the last words on a stream that the host may not read any more
_CARRIED_BYTES = socket.CMSG_SPACE(array("i").itemsize)
_KIND = re.compile(rb'\["g",(?:[0-9]+,[0-9]+,)?"([A-Z][A-Za-z]*)"')


def kind_of(frame: bytes) -> bytes:
    """Return the message kind that a frame of the guest's lane names; b"" for a blob (or garbage, which the host refuses)."""
    found = _KIND.match(frame)
    return found[1] if found else b""


class Host:
    """The far end of the stream, as the supervisor uses it."""

    def __init__(self, fd_in: int, fd_out: int) -> None:
        self.fd_in = fd_in
        self._socket = _as_socket(fd_in) if fd_in == fd_out else None
        self._passed: list[int] = []
        self._out = Outbox(fd_out)
        self.connection = SupervisorConnection()
        self._is_ended = False

    @property
    def is_gone(self) -> bool:
        """Whether the stream has ended."""
        return self._is_ended or self._out.is_broken

    @property
    def is_full(self) -> bool:
        """Whether the host has so much to read that the interpreter should wait."""
        return self._out.size > _BACKLOG_BYTES or self.connection.is_full

    def masks(self) -> dict[int, int]:
        """Return descriptor → what to poll for."""
        masks = {self.fd_in: select.POLLIN}
        if self._out.size:
            masks[self._out.fd] = masks.get(self._out.fd, 0) | select.POLLOUT
        return masks

    def flush(self) -> None:
        """Write what can be written now."""
        self._out.flush()

    def flush_briefly(self) -> None:
        """Write what is left, for a second at most."""
        deadline = time.monotonic() + _LAST_SECONDS
        while self._out.size and not self._out.is_broken and time.monotonic() < deadline:
            poll = select.poll()
            poll.register(self._out.fd, select.POLLOUT)
            poll.poll(100)
            self._out.flush()

    def receive(self) -> Iterator[Message | bytes]:
        """Read once; return what the host said: control messages, and bytes for the interpreter.

        Raises:
            ProtocolViolation: From the iterator: the host does not speak the protocol.
        """
        data = self._read()
        if data is None:
            return
        if not data:
            self._is_ended = True
            return
        yield from self.connection.receive_data(data)
        self._out.put(self.connection.take_reply())

    def _read(self) -> bytes | None:
        if self._socket is None:
            return read_some(self.fd_in)
        try:
            data, carried, _flags, _address = self._socket.recvmsg(READ_BYTES, _CARRIED_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        self._passed += [fd for _level, _type, fds in carried for fd in array("i", fds)]
        return data

    @property
    def can_pass_streams(self) -> bool:
        """Whether the host can send another stream on this one."""
        return self._socket is not None

    def take_passed(self) -> int:
        """Return the descriptor of the stream that the host has sent; -1 for none."""
        return self._passed.pop(0) if self._passed else -1

    def close(self) -> None:
        """Let go of the stream."""
        for fd in self._passed:
            os.close(fd)
        if self._socket is not None:
            self._socket.close()

    def send(self, message: Message) -> None:
        """Say `message` on the control lane."""
        self._out.put(self.connection.send(message))

    def relay(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Pass on bytes of the interpreter; return (kind, b"") of each message among them, or what is said to a supervisor.

        Raises:
            ProtocolViolation: From the iterator: the interpreter sent what is no frame.
        """
        for piece in self.connection.relay(data):
            if piece.startswith(READY):
                yield READY, piece
            else:
                self._out.put(piece)
                yield kind_of(piece[:80]), b""


def _as_socket(fd: int) -> socket.SocketType | None:
    """Return `fd` as a stream socket of this machine; None when it is none."""
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        return None
    found = socket.SocketType(fileno=fd)  # `socket.socket` adds enums: pages of every session's memory
    if found.family == socket.AF_UNIX:
        return found
    found.detach()
    return None


def cloexec(fd: int) -> int:
    """Return a private close-on-exec duplicate of `fd`, above the standard descriptors."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
