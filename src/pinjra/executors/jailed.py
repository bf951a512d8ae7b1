"""The sockets of a jailed box -> transports: one for its first session, one for each that was forked off it."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pinjra.core.errors import BackendError
from pinjra.jail.spawn.client import Session

if TYPE_CHECKING:
    from pinjra.executors.network.gateway import Doorway, Gateway

__all__ = ["Box", "JailTransport"]

_DEATH_SECONDS = 2.0  # a killed session is gone in milliseconds; a kernel under memory pressure takes longer
_LEAVE_SECONDS = 2.0  # for the supervisor to end one of several sessions; then the box ends with all of them
_MOST_BYTES = (
    120 << 10
)  # of one read: more than 128 KiB malloc(3) takes from the kernel, and gives back, each time


class Box:
    """A confined process tree, and how many sessions live in it. It ends with the last of them."""

    def __init__(self, session: Session, gateway: Gateway | None = None) -> None:
        self.stream = socket.socket(fileno=session.stream.detach())
        self.heard = session.heard
        self._session = session
        door, session.door = session.door, None
        self.doorway = gateway.open(door) if gateway is not None and door is not None else None
        self._lock = threading.Lock()
        self._tenants = self._most = 1
        self._death = ""

    def enter(self) -> None:
        """Count one more session."""
        with self._lock:
            self._tenants += 1
            self._most = max(self._most, self._tenants)
            self._session.widen(self._most)

    @property
    def is_shared(self) -> bool:
        """Return whether another session lives here."""
        return self._tenants > 1

    def leave(self) -> None:
        """Count one session less; end the box when that was the last."""
        with self._lock:
            self._tenants -= 1
            if self._tenants == 0:
                self._kill()
                self._end()

    def kill(self) -> None:
        """Kill the first process; the kernel kills the others with it."""
        with self._lock:
            self._kill()

    def _kill(self) -> None:
        if self._session.pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._session.pidfd, signal.SIGKILL)
            except ProcessLookupError:
                return  # it is dead already

    def has_died(self) -> bool:
        """Return whether the first process is dead, or dies in a moment."""
        with self._lock:
            if self._session.pidfd < 0:
                return True
            poll = select.poll()
            poll.register(self._session.pidfd, select.POLLIN)
            return bool(poll.poll(0 if self._tenants > 1 else _DEATH_SECONDS * 1000))

    def bury(self) -> str:
        """Return how the dead first process ended, and why where that is known."""
        with self._lock:
            self._end()
            return self._death

    def _end(self) -> None:
        if self.doorway is not None:
            self.doorway.close()
        how = self._session.end()
        if how:
            self._death = _words(how)


class JailTransport:
    """The stream of one session."""

    eight_bit_clean = True

    def __init__(self, box: Box, stream: socket.socket | None = None) -> None:
        self._box = box
        self._stream = box.stream if stream is None else stream
        self._heard = box.heard if stream is None else b""  # what the session was told before we came
        self._stream.setblocking(False)
        self._readable = select.poll()
        self._readable.register(self._stream, select.POLLIN)
        self._reading = threading.Lock()
        self._closing = threading.Lock()
        self._passing: socket.socket | None = None
        self._is_closed = False
        self._has_left = False

    @property
    def doorway(self) -> Doorway | None:
        """Return what the box reaches the network through; None: it has no network."""
        return self._box.doorway

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return the next bytes; b"" when the session is dead or closed.

        Raises:
            TimeoutError: Nothing came in time.
        """
        with self._reading:
            if self._is_closed:
                return b""
            _wait(self._readable, timeout_seconds)
            try:
                return self._stream.recv(self._next_line() if self._heard else _MOST_BYTES)
            except BlockingIOError:
                raise TimeoutError("nothing came from the session in time") from None
            except OSError:
                return b""

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            BackendError: The session is dead.
        """
        if self._heard:
            data = self._unheard(data)
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._send(rest) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._stream, select.POLLOUT)
                _wait(poll, None)  # ends also when the session dies: `kill` is the deadline
            except OSError as error:
                raise BackendError(f"the session is gone: {error}") from error

    def _next_line(self) -> int:
        """Return how many bytes the next line has: what follows answers something that the host has not said yet."""
        waiting = self._stream.recv(_MOST_BYTES, socket.MSG_PEEK)
        return waiting.find(b"\n") + 1 or len(waiting) or 1

    def _unheard(self, data: bytes) -> bytes:
        """Return what is left to say of `data`.

        Raises:
            BackendError: The session was told something else (our bug).
        """
        heard, self._heard = self._heard, b""
        if not data.startswith(heard):
            raise BackendError("the session was told something else before it was taken")
        return data[len(heard) :]

    def _send(self, data: memoryview) -> int:
        passing = self._passing
        if passing is None:
            return self._stream.send(data)
        count = socket.send_fds(self._stream, [data], [passing.fileno()])
        self._passing = None
        return count

    def branch(self, ask: Callable[[], None]) -> JailTransport:
        """Return another session's stream into this box.

        Args:
            ask: Says something to the supervisor; the far end of the new stream goes with it.
        """
        ours, theirs = socket.socketpair()
        self._passing = theirs
        self._box.enter()
        try:
            ask()
        except BaseException:
            ours.close()
            self._box.leave()
            raise
        finally:
            self._passing = None
            theirs.close()
        return JailTransport(self._box, ours)

    def reopen(self) -> bool:
        """Return False: a socket of this machine does not break."""
        return False

    def kill(self) -> None:
        """Kill the box when this session is the last in it; else cut the stream, at which the supervisor ends the session."""
        if self._has_left:
            return
        if not self._box.is_shared:
            self._box.kill()
            return
        try:
            self._stream.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it has ended already

    def close(self) -> None:
        """End the session and wait until nothing of it is left."""
        with self._closing:
            if self._has_left:
                return
            if self._box.is_shared:
                self._say_goodbye()
            else:
                self._box.kill()
            with (
                self._reading
            ):  # a reader wakes at the end of the stream, and must not meet another's descriptor
                self._is_closed = True
                self._stream.close()
            self._has_left = True
            self._box.leave()

    def _say_goodbye(self) -> None:
        """End the stream and wait for its other end; a supervisor that does not answer is killed with all that it has."""
        deadline = time.monotonic() + _LEAVE_SECONDS
        try:
            self._stream.shutdown(socket.SHUT_WR)
            while self.read(deadline - time.monotonic()):
                pass
        except TimeoutError:
            self._box.kill()
        except OSError:
            return  # it has ended already

    def describe_death(self) -> str:
        """Return how the box ended, and why where that is known; "" while it lives."""
        return self._box.bury() if self._box.has_died() else ""


def _wait(poll: select.poll, timeout_seconds: float | None) -> None:
    """Return when the stream is ready or has ended.

    Raises:
        TimeoutError: Neither, in time.
    """
    if not poll.poll(None if timeout_seconds is None else max(timeout_seconds, 0.0) * 1000):
        raise TimeoutError("the session's stream is not ready in time")


def _words(how: dict[str, object]) -> str:
    """Return a sentence about a wait status."""
    if how.get("memory_kills"):
        return "out of memory: killed by the kernel for its cgroup"
    status = how.get("status")
    code = os.waitstatus_to_exitcode(status) if isinstance(status, int) else 0
    said = str(how.get("note") or "").strip()
    words = f"signal {-code}" if code < 0 else f"exit status {code}"
    return f"{words}: {said}" if said else words
