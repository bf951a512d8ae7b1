"""A transport and a host connection -> messages with deadlines. Sends from any thread, reads on one thread at a time."""

from __future__ import annotations

import threading
import time
from collections import deque

from pinjra.core.errors import BackendError, ProtocolViolation, SessionLost
from pinjra.core.execution import Cause
from pinjra.executors.session.transport import Transport
from pinjra.wire.connection import HostConnection
from pinjra.wire.messages import Ack, Answer, Close, Message

REOPENINGS = 20  # of one session without a message in between: a stream that is cut so often carries nothing


class MessageStream:
    """One open stream over a transport, which it owns; `message_bytes` is what one message of the worker may have."""

    def __init__(self, transport: Transport, message_bytes: int) -> None:
        self.transport = transport
        self.connection = HostConnection(message_bytes=message_bytes, resume=not transport.eight_bit_clean)
        self._may_resume = not transport.eight_bit_clean
        self._sending = threading.Lock()
        self._waiting: deque[Message] = deque()
        self._failure: Exception | None = None
        self._reopened = 0
        self._unsaid = ""  # why something could not be sent

    def send(self, message: Message) -> None:
        """Say `message`, or raise `SessionLost`. An answer whose run is over goes unsaid: nobody waits for it."""
        with self._sending:
            if not isinstance(message, Answer) or message.call in self.connection.open_calls:
                self._write(self.connection.send(message))

    @property
    def has_waiting(self) -> bool:
        """Whether `receive` returns a message at once."""
        return bool(self._waiting)

    def receive(self, deadline: float | None) -> Message | None:
        """Return the next message; None when none came until `deadline` (of `time.monotonic`).

        Raises:
            SessionLost: The stream ended for good.
            ProtocolViolation: A hostile worker; it has been killed.
        """
        while True:
            if self._waiting:
                return self._waiting.popleft()
            if self._failure is not None:
                raise self._failure
            if self._unsaid:
                why, self._unsaid = self._unsaid, ""
                self._restore(why)
                continue
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                data = self.transport.read(left)
            except TimeoutError:
                return None
            except BackendError as error:
                self._restore(str(error))
                continue
            if not data:
                self._restore("the stream ended")
                continue
            self._take(data)
            # SECURITY: bytes that make no message (duplicates, parts of blobs) must not outrun the deadline.
            if not self._waiting and deadline is not None and time.monotonic() >= deadline:
                return None

    def _take(self, data: bytes) -> None:
        with self._sending:
            try:
                for message in self.connection.receive_data(data):
                    if type(message) is not Ack:
                        self._waiting.append(message)
                self._reopened = 0 if self._waiting else self._reopened
                reply = self.connection.take_reply()
            except ProtocolViolation as error:
                self.transport.kill()
                self._failure = error
                return
            if reply:
                self._write(reply)

    def _write(self, data: bytes) -> None:
        try:
            self.transport.write(data)
        except (BackendError, OSError) as error:
            # A resumable stream keeps what was said; the reader attaches again and sends it.
            if not self._may_resume:
                # A violation that came behind the message that is answered here has killed the worker already.
                raise self._failure or self.lost(str(error)) from error
            self._unsaid = str(error)

    def _restore(self, why: str) -> None:
        """Attach again and go on where the stream was cut, or fail for good."""
        self._reopened += 1
        if self._may_resume and self._reopened <= REOPENINGS and self.connection.state != "closed":
            try:
                if self.transport.reopen():
                    with self._sending:
                        self.transport.write(self.connection.resume())
                    return
            except (BackendError, OSError) as error:
                why = f"{why}, and could not be opened again: {error}"
        self._failure = self.lost(why)

    def lost(self, why: str) -> SessionLost:
        """Return the error that says how the worker ended, as far as that is known."""
        try:
            death = self.transport.describe_death()
        except BackendError as error:
            death = str(error)
        return SessionLost(f"the session's worker is gone: {death or why}", _cause(death))

    def close(self, grace_seconds: float) -> None:
        """Say goodbye, give the worker a moment to end its processes by itself, then free everything."""
        try:
            if self._failure is None and self.connection.state != "closed":
                self.send(Close())
                deadline = time.monotonic() + grace_seconds
                while (left := deadline - time.monotonic()) > 0 and self.transport.read(left):
                    pass
        except (BackendError, OSError, TimeoutError):
            pass  # it is closed the hard way below
        finally:
            self.transport.close()


_CAUSES = (("oom", Cause.MEMORY), ("memory", Cause.MEMORY), ("signal", Cause.SIGNAL), ("exit", Cause.EXIT))


def _cause(death: str) -> Cause:
    text = death.lower()
    return next((cause for word, cause in _CAUSES if word in text), Cause.HOST)
