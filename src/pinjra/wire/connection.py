"""Bytes <-> messages, with who may say what next. One class for each of host, supervisor and interpreter; no I/O.

Rule for whoever edits: what the host accepts is in `_ACCEPTS` and `HostConnection._check`, nowhere else. A message that is
not in the table is refused. See docs/protocol.md.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Literal

from pinjra.core.errors import InternalError
from pinjra.wire import frames
from pinjra.wire import messages as wire
from pinjra.wire.frames import MESSAGE_BYTES, Frame, FrameReader, NumberedStream, read_blob, refuse

State = Literal["hello", "init", "starting", "idle", "running", "closed"]

_UP = frozenset({"idle", "running"})
_CONTROL = frozenset({"Output", "Lost", "Ack", "Done"})
# Lane and state -> what is said there; of all else nothing is.
_ACCEPTS: Mapping[tuple[str, State], frozenset[str]] = {
    ("c", "hello"): frozenset({"Hello"}),
    ("c", "init"): frozenset({"Ack"}),
    ("c", "starting"): _CONTROL | {"Started"},
    ("c", "idle"): _CONTROL,
    ("c", "running"): _CONTROL,
    ("g", "idle"): frozenset({"Done"}),
    ("g", "running"): frozenset({"Done", "Output", "Display", "Call", "Finished"}),
}
_MAY_SAY: Mapping[str, frozenset[str]] = {
    "Init": frozenset({"init"}),
    **dict.fromkeys(("GrantTools", "SetVariables", "Execute"), frozenset({"idle"})),
    "Close": frozenset({"hello", "init", "starting", "idle", "running"}),
}  # all else: while up
_TO_GUEST = frozenset(wire.TO_GUEST)
_MARK_BYTES = 80  # longest resume mark


class HostConnection:
    """The host's side. Whatever comes in is a message allowed now, or `ProtocolViolation`.

    Args:
        resume: Keep what was sent so that a cut stream can be resumed (text streams only).
    """

    def __init__(self, *, message_bytes: int = MESSAGE_BYTES, resume: bool = False) -> None:
        self._stream = NumberedStream(keep=resume)
        self._reader = FrameReader(numbered=True, raw=False)
        self._control = wire.Assembler(wire.FROM_SUPERVISOR, message_bytes)
        self._guest = wire.Assembler(wire.FROM_GUEST, message_bytes)
        self._mark: re.Pattern[bytes] | None = None
        self._seeking = b""
        self._raw = False
        self.state: State = "hello"
        self.run = 0
        self.open_calls: set[int] = set()
        self._last_call = 0
        self._requests: dict[int, str] = {}  # request -> the lane on which it is answered
        self.open_kills: set[int] = set()

    # ------------------------------------------------------------ out

    def send(self, message: wire.Message) -> bytes:
        """Return the bytes that say `message`.

        Raises:
            InternalError: It may not be said now (our bug).
        """
        kind = type(message).__name__
        if self.state not in _MAY_SAY.get(kind, _UP):
            raise InternalError(f"{kind} may not be sent in state {self.state!r}")
        lane = "g" if kind in _TO_GUEST else "c"
        self._note(lane, message)
        data = self._stream.number(lane, *wire.pack(message, raw=self._raw))
        if type(message) is wire.Init:
            self._raw = self._reader.raw = message.raw
        return data

    def _note(self, lane: str, message: wire.Message) -> None:
        if type(message) is wire.Init:
            self.state = "starting"
        elif type(message) is wire.Execute:
            if message.run <= self.run:
                raise InternalError(f"run {message.run} is not above {self.run}")
            self.run, self.state = message.run, "running"
        elif type(message) is wire.Answer:
            if message.call not in self.open_calls:
                raise InternalError(f"call {message.call} is not open")
            self.open_calls.discard(message.call)
        elif type(message) is wire.Kill:
            self.open_kills.add(message.kill)
        elif isinstance(message, wire.OfRequest):
            self._requests[message.request] = lane
        elif type(message) is wire.Close:
            self.state = "closed"

    def take_reply(self) -> bytes:
        """Return what the protocol itself owes the other side now (an acknowledgement, a resend); b"" for nothing."""
        return self._stream.take_reply()

    def resume(self) -> bytes:
        """Return what to say first on a stream that replaces a cut one; what comes is ignored up to its answer."""
        token = secrets.token_hex(16)
        self._mark = re.compile(rb'\n\["~","%s",(0|[1-9][0-9]{0,14})\]\n' % token.encode())
        self._seeking = b""
        self._reader.clear()
        return self._stream.resume_request(token)

    # ------------------------------------------------------------ in

    def receive_data(self, data: bytes) -> Iterator[wire.Message]:
        """Take `data`; return an iterator over the messages that are complete now, each checked when it is reached.

        Raises:
            ProtocolViolation: From the iterator, after the good messages (the worker's fault).
        """
        if self._mark is not None:
            data = self._seek(data, self._mark)
        return self._messages(data)

    def _seek(self, data: bytes, mark: re.Pattern[bytes]) -> bytes:
        self._seeking += data
        found = mark.search(self._seeking)
        if found is None:
            self._seeking = self._seeking[-_MARK_BYTES:]
            return b""
        self._mark = None
        self._stream.resend_after(int(found[1]))
        return self._seeking[found.end() :]

    def _messages(self, data: bytes) -> Iterator[wire.Message]:
        for frame in self._reader.feed(data):
            if not self._stream.accept(frame):
                continue
            # SECURITY: the lane decides which kinds exist; the supervisor writes the lane, never the guest.
            message = (self._guest if frame.lane == "g" else self._control).add(frame)
            if message is not None:
                self._check(frame.lane, message)
                yield message

    def _check(self, lane: str, message: wire.Message) -> None:
        kind = type(message).__name__
        if kind not in _ACCEPTS.get((lane, self.state), ()):
            refuse(f"{kind} while {self.state}")
        if isinstance(message, wire.OfRun) and message.run != self.run:
            refuse(f"a message of run {message.run} while {self.run} is open")
        match message:
            case wire.Call():
                self._on_call(message)
            case wire.Done():
                self._on_done(lane, message)
            case wire.Finished() | wire.Started():
                self.open_calls.clear()
                self.state = "idle"
            case wire.Lost():
                self._on_lost(message)
            case wire.Hello():
                self._on_hello(message)

    def _on_done(self, lane: str, message: wire.Done) -> None:
        request = message.request
        if self.state == "starting" and request == 0 and message.problem:
            return
        # SECURITY: the guest answers what it was asked itself, and nothing that the supervisor was asked.
        if self._requests.pop(request, "") != lane:
            refuse(f"Done answers request {request}, which is not open for it")

    def _on_hello(self, message: wire.Hello) -> None:
        if message.protocol != wire.PROTOCOL:
            refuse(f"this host speaks protocol {wire.PROTOCOL}", message)
        self.state = "init"

    def _on_call(self, message: wire.Call) -> None:
        if message.call <= self._last_call:
            refuse(f"call number {message.call} is not above {self._last_call}")
        self._last_call = message.call
        self.open_calls.add(message.call)

    def _on_lost(self, message: wire.Lost) -> None:
        self.open_kills.discard(message.kill)
        self._guest.clear()
        self.open_calls.clear()
        self._requests = {n: lane for n, lane in self._requests.items() if lane != "g"}
        self.state = "starting" if self.state == "starting" else "idle"


# ---------------------------------------------------------------- the supervisor

_TOKEN = re.compile(r"[0-9a-f]{8,64}")
READY = b'"Ready",'  # the interpreter's word to its supervisor; no host hears it


class SupervisorConnection:
    """Between the stream to the host and the socket to the interpreter.

    The host is trusted with everything but its spelling. The interpreter is trusted with nothing: its lines are never
    parsed here, only measured, numbered and put on the guest's lane.
    """

    def __init__(self, *, message_bytes: int = MESSAGE_BYTES) -> None:
        self._message_bytes = message_bytes
        self._stream = NumberedStream(keep=True)
        self._reader = FrameReader(numbered=True, raw=False, lenient=True)
        self._control = wire.Assembler(wire.TO_SUPERVISOR, self._message_bytes)
        self._guest = FrameReader(numbered=False, raw=True)
        self._raw = False
        self._up = False
        self.run_open = False
        """An `Execute` went to the interpreter and no `Finished` came back (as far as its lines tell; only a hint)."""

    @property
    def is_full(self) -> bool:
        """Return whether the host has so much unacknowledged that the interpreter should not be read now."""
        return self._stream.is_full

    def send(self, message: wire.Message) -> bytes:
        """Return the bytes that say `message` to the host, on the control lane."""
        return self._stream.number("c", *wire.pack(message, raw=self._raw))

    def take_reply(self) -> bytes:
        """Return what the protocol itself owes the host now (an acknowledgement, a resend); b"" for nothing."""
        return self._stream.take_reply()

    def receive_data(self, data: bytes) -> Iterator[wire.Message | bytes]:
        """Take bytes of the host; return an iterator over control messages, and bytes for the interpreter's socket as they are.

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

    def _event(self, frame: Frame) -> wire.Message | bytes | None:
        if frame.lane == "g":
            if not self._up:
                refuse("the first message is Init", frame.rest)
            self.run_open = self.run_open or frame.rest.startswith(b'"Execute"')
            return b"".join((b'["g",', frame.rest, b"\n", frame.body))
        message = self._control.add(frame)
        if isinstance(message, wire.Init):
            self._on_init(message)
        elif message is not None and not self._up:
            refuse("the first message is Init", frame.rest)
        return message

    def _on_init(self, message: wire.Init) -> None:
        if self._up or (message.raw and message.resume):
            refuse("Init comes once, and raw streams cannot be resumed")
        self._up = True
        self._raw = self._reader.raw = message.raw
        self._reader.lenient = message.resume
        if not message.resume:
            self._stream.stop_keeping()

    def _on_resume(self, frame: Frame) -> None:
        message = wire.parse(frame.rest, [], wire.TO_SUPERVISOR, self._message_bytes)
        if not isinstance(message, wire.Resume) or _TOKEN.fullmatch(message.token) is None:
            refuse("a frame without number", frame.rest)
        self._stream.resume_answer(message.token, message.last_seen)

    def relay(self, data: bytes) -> Iterator[bytes]:
        """Take bytes of the interpreter; return an iterator over bytes for the host, and words for the supervisor (READY).

        Raises:
            ProtocolViolation: From the iterator: the interpreter (the guest) sent what is no frame; to be killed.
        """
        for frame in self._guest.feed(data):
            if frame.rest.startswith(READY):
                yield frame.rest
                continue
            self.run_open = self.run_open and not frame.rest.startswith(b'"Finished"')
            yield self._stream.number("g", self._as_agreed(frame))

    def _as_agreed(self, frame: Frame) -> frames.Unnumbered:
        """Return the frame as the stream to the host can carry it: raw bodies become base64 on text streams."""
        blob = read_blob(frame) if frame.body and not self._raw else None
        return (frame.rest + b"\n", frame.body) if blob is None else frames.blob_rest(*blob, raw=False)

    def interpreter_died(self) -> None:
        """Forget a torn frame of the dead interpreter; to be called after its last bytes were relayed."""
        self._guest = FrameReader(numbered=False, raw=True)
        self.run_open = False


# ---------------------------------------------------------------- the interpreter


class GuestConnection:
    """The interpreter's side: messages of the guest's lane, on its socket to the supervisor."""

    def __init__(self, kinds: wire.Kinds = wire.TO_GUEST) -> None:
        self._reader = FrameReader(numbered=False, raw=True)
        # Long messages of the host are the host's own will.
        self._assembler = wire.Assembler(kinds, 1 << 30)

    def send(self, message: wire.Message) -> bytes:
        """Return the bytes that say `message`."""
        return b"".join(self.pieces(message))

    def pieces(self, message: wire.Message) -> Iterator[bytes | memoryview]:
        """Yield the bytes that say `message`, blobs as they are, not copied."""
        head = b""
        for rest, body in wire.pack(message, raw=True):
            head += b'["g",' + rest
            if body:
                yield head
                yield body
                head = b""
        yield head

    def receive_data(self, data: bytes) -> Iterator[wire.Message]:
        """Take `data`; return an iterator over the messages that are complete now.

        Raises:
            ProtocolViolation: From the iterator: the supervisor does not speak the protocol (our bug).
        """
        for frame in self._reader.feed(data):
            message = self._assembler.add(frame)
            if message is not None:
                yield message
