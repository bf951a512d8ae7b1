"""The supervisor's side: control messages for itself, guest lines passed on unread. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pinjra.wire.frames import Frame, FrameReader, WireLimits, blob_rest, read_blob, refuse
from pinjra.wire.messages import Init, Message, Resume
from pinjra.wire.pack import Assembler, pack, parse
from pinjra.wire.shapes import TO_SUPERVISOR
from pinjra.wire.stream import NumberedStream

__all__ = ["Relay", "SupervisorConnection"]

_TOKEN = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class Relay:
    """Bytes of the guest's lane, for the interpreter's socket as they are."""

    data: bytes


class SupervisorConnection:
    """Between the stream to the host and the socket to the interpreter.

    The host is trusted with everything but its spelling. The interpreter is trusted with nothing: its lines are never
    parsed here, only measured, numbered and put on the guest's lane.
    """

    def __init__(self, *, limits: WireLimits | None = None) -> None:
        self._limits = limits or WireLimits()
        self._stream = NumberedStream(keep=True)
        self._reader = FrameReader(numbered=True, raw=False, lenient=True)
        self._control = Assembler(TO_SUPERVISOR, self._limits)
        self._guest = FrameReader(numbered=False, raw=True)
        self._raw = False
        self._up = False
        self.run_open = False
        """An `Execute` went to the interpreter and no `Finished` came back (as far as its lines tell; only a hint)."""

    @property
    def is_full(self) -> bool:
        """Return whether the host has so much unacknowledged that the interpreter should not be read now."""
        return self._stream.is_full

    def send(self, message: Message) -> bytes:
        """Return the bytes that say `message` to the host, on the control lane."""
        return self._stream.number_all("c", pack(message, raw=self._raw))

    def take_reply(self) -> bytes:
        """Return what the protocol itself owes the host now (an acknowledgement, a resend); b"" for nothing."""
        return self._stream.take_reply()

    def receive_data(self, data: bytes) -> Iterator[Message | Relay]:
        """Take bytes of the host; return an iterator over control messages and what to pass on.

        Raises:
            ProtocolViolation: From the iterator: the host does not speak the protocol.
        """
        for frame in self._reader.feed(data):
            if frame.seq == 0:
                self._on_resume(frame)
            elif self._stream.accept(frame):
                event = self._event(frame)
                if event is not None:
                    yield event

    def _event(self, frame: Frame) -> Message | Relay | None:
        if frame.lane == "g":
            if not self._up:
                refuse("the first message is Init", frame.rest)
            self.run_open = self.run_open or frame.rest.startswith(b'"Execute"')
            return Relay(b"".join((b'["g",', frame.rest, b"\n", frame.body)))
        message = self._control.add(frame)
        if isinstance(message, Init):
            self._on_init(message)
        elif message is not None and not self._up:
            refuse("the first message is Init", frame.rest)
        return message

    def _on_init(self, message: Init) -> None:
        if self._up or (message.raw and message.resume):
            refuse("Init comes once, and raw streams cannot be resumed")
        self._up = True
        self._raw = self._reader.raw = message.raw
        self._reader.lenient = message.resume
        if not message.resume:
            self._stream.stop_keeping()

    def _on_resume(self, frame: Frame) -> None:
        message = parse(frame.rest, [], TO_SUPERVISOR, self._limits)
        if not isinstance(message, Resume) or _TOKEN.fullmatch(message.token) is None:
            refuse("a frame without number", frame.rest)
        self._stream.resume_answer(message)

    def relay(self, data: bytes) -> Iterator[bytes]:
        """Take bytes of the interpreter; return an iterator over bytes for the host.

        Raises:
            ProtocolViolation: From the iterator: the interpreter (the guest) sent what is no frame; to be killed.
        """
        for frame in self._guest.feed(data):
            if frame.rest.startswith(b'"Finished"'):
                self.run_open = False
            yield self._stream.number("g", *self._as_agreed(frame))

    def _as_agreed(self, frame: Frame) -> tuple[bytes, bytes | memoryview]:
        """Return the frame as the stream to the host can carry it: raw bodies become base64 on text streams."""
        if frame.body and not self._raw:
            blob = read_blob(frame)
            if blob is not None:
                return blob_rest(blob[0], blob[1], last=blob[2], raw=False)
        return frame.rest + b"\n", frame.body

    def interpreter_died(self) -> None:
        """Forget a torn frame of the dead interpreter; to be called after its last bytes were relayed."""
        self._guest = FrameReader(numbered=False, raw=True)
        self.run_open = False
