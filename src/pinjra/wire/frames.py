"""Bytes <-> frames, and their numbers. A frame is one line of ASCII JSON, or such a line and the raw bytes that it announces.

Theory: the reader looks at the lane, the two numbers and the line's end, and at nothing else. What stands between (the
`rest`) is parsed by the side that the lane belongs to, so a supervisor relays guest lines unread. Everything is bounded
before it is allocated: the line while it is collected, nesting and item count on the text, before `json` sees it.

What does not work: asking `json` to fail by itself (it builds half a gigabyte from 64 MiB of brackets first), counting
brackets with a regular expression (its backtracking stack is larger than the line), one long raw body for a whole value (nothing
could be acknowledged, relayed or bounded in between).
"""

from __future__ import annotations

import binascii
import json
import re
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple, NoReturn, cast

from pinjra.core.errors import ProtocolViolation

# The longest line without its end: passes every vendor's stream (the tightest known takes 1 MiB).
LINE_BYTES = 1 << 20
CHUNK_BYTES = 256 << 10  # raw bytes of one blob frame: as base64 a third of the longest line
# Bytes of Python objects that a message becomes, once as JSON and once as values.
LIST_WEIGHT, DICT_WEIGHT, ITEM_WEIGHT, TEXT_WEIGHT = 130, 480, 40, 50
MEMORY_FACTOR = 5  # bytes of objects for each byte on the way: a list of texts of ten characters; dicts of one key would take 60
# Of a message with all its blobs: Limits.value_bytes, and room for what goes with it.
MESSAGE_BYTES = 80 << 20
DEPTH = 64  # of JSON: far below what any parser's stack holds
BLOBS = 4096  # blobs of one message: a table of 4,000 columns

KEEP_BYTES = 8 << 20  # unacknowledged bytes from which a side stops reading its own source
ACK_FRAMES = 64  # an acknowledgement is owed after so many frames …
ACK_BYTES = 1 << 20  # … or so many bytes: an eighth of KEEP_BYTES, so that the other side never has to wait

_NUMBER = rb"(0|[1-9][0-9]{0,14})"
_NUMBERED = re.compile(rb'\["([cg])",' + _NUMBER + b"," + _NUMBER + b",")
_PLAIN = b'["g",'
_RAW = re.compile(rb'"\*",(0|[1-9][0-9]{0,3}),([1-9][0-9]{0,5}),([01])\]')
_TEXT = re.compile(rb'"\+",(0|[1-9][0-9]{0,3}),"([A-Za-z0-9+/]*={0,2})",([01])\]')


# A frame that has no numbers yet: its rest with the line end, and the raw body behind it.
Unnumbered = tuple[bytes, bytes | memoryview]


class Frame(NamedTuple):
    """One frame. `rest` is the line after lane and numbers, with its closing bracket; `body` the raw bytes behind it."""

    lane: str
    seq: int
    ack: int
    rest: bytes
    body: bytes


def refuse(why: str, sample: object = b"") -> NoReturn:
    """Raise `ProtocolViolation` with a cut sample of what was refused (the hostile worker's fault)."""
    shown = f": {glimpse(sample)}" if type(sample) is not bytes or sample else ""
    raise ProtocolViolation(why + shown) from None


def glimpse(sample: object, most: int = 120) -> str:
    """Return the beginning of a JSON value or of bytes, as Python shows it."""
    # SECURITY: cut before it is shown: the repr of 80 MB of control characters has 320.
    if isinstance(sample, (str, bytes)):
        return repr(sample[:most])[:most]
    if isinstance(sample, (list, dict)):
        items = ", ".join(glimpse(item, 40) for item in islice(sample, 4))[:most]
        shown = items + ", …" * (len(sample) > 4)
        return f"[{shown}]" if isinstance(sample, list) else f"{{{shown}}}"
    return repr(sample)[:most] if type(sample) in (int, float, bool, type(None)) else type(sample).__name__


class FrameReader:
    """Collects bytes, gives frames; whole input and byte by byte give the same frames and then the same error.

    Args:
        numbered: Lines carry lane, seq and ack (the stream between host and supervisor); otherwise every line is of the
            guest's lane and has no numbers (between supervisor and interpreter).
        raw: Raw bodies are allowed.
        lenient: Lines that are no JSON are dropped, as after a cut of the stream the torn line is (a torn array never is JSON).
    """

    def __init__(self, *, numbered: bool, raw: bool, lenient: bool = False) -> None:
        self.raw = raw
        self.lenient = lenient
        self._head = self._numbered if numbered else self._plain
        self._buffer = bytearray()
        self._scanned = 0
        self._failure: ProtocolViolation | None = None

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take `data` and return an iterator over the frames that are complete now.

        Raises:
            ProtocolViolation: From the iterator, after the good frames; from then on always (the worker's fault).
        """
        self._buffer += data
        return self._frames()

    def clear(self) -> None:
        """Forget a torn frame."""
        self._buffer.clear()
        self._scanned = 0

    def _frames(self) -> Iterator[Frame]:
        if self._failure is not None:
            raise self._failure
        try:
            while (frame := self._next()) is not None:
                yield frame
        except ProtocolViolation as error:
            self._failure = error
            raise

    def _next(self) -> Frame | None:
        buffer = self._buffer
        while True:
            end = buffer.find(b"\n", self._scanned)
            # SECURITY: a line is measured before it is copied or parsed.
            if (end if end >= 0 else len(buffer)) > LINE_BYTES:
                refuse(f"a line of more than {LINE_BYTES} bytes", bytes(buffer[:80]))
            self._scanned = end if end >= 0 else len(buffer)
            if end < 0:
                return None
            frame, after = self._head(bytes(buffer[:end])) if end else None, end + 1
            if frame is not None and frame.rest.startswith(b'"*"'):
                after += self._body_bytes(frame.rest)
                if len(buffer) < after:  # its line, which is short, is read again with the next bytes
                    return None
                frame = frame._replace(body=bytes(memoryview(buffer)[end + 1 : after]))
            del buffer[:after]
            self._scanned = 0
            if frame is not None:
                return frame

    def _numbered(self, line: bytes) -> Frame | None:
        if self.lenient and not _is_json(line):
            return None
        found = _NUMBERED.match(line)
        if found is None:
            refuse("not a frame", line)
        lane, seq, ack = found.groups()
        return Frame(lane.decode(), int(seq), int(ack), line[found.end() :], b"")

    def _plain(self, line: bytes) -> Frame | None:
        if not line.startswith(_PLAIN):
            refuse("not a frame of the guest's lane", line)
        return Frame("g", 0, 0, line[len(_PLAIN) :], b"")

    def _body_bytes(self, rest: bytes) -> int:
        """Return how many raw bytes follow a line."""
        found = _RAW.fullmatch(rest)
        if found is None or int(found[2]) > CHUNK_BYTES or not self.raw:
            refuse("not a raw frame that was agreed on", rest)
        return int(found[2])


_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def dump(tree: object) -> bytes:
    """Return `tree` as ASCII JSON without spaces."""
    return _encoder.encode(tree).encode("ascii")


def _refuse_constant(text: str) -> NoReturn:
    refuse("not JSON", text)


_decode = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode


def load(text: bytes, message_bytes: int = MESSAGE_BYTES, *, depth: int = DEPTH) -> object:
    """Return the JSON value of `text`, whose objects may take `MEMORY_FACTOR` times the bytes of a message.

    Raises:
        ProtocolViolation: It is no ASCII JSON, or nested or long beyond the limits (the worker's fault).
    """
    if not text.isascii():
        refuse("not ASCII", text)
    # SECURITY: bounds before parsing. Characters in strings count too at first; only then the strings are cut out.
    most = MEMORY_FACTOR * message_bytes
    if text.count(b"[") + text.count(b"{") > depth or _weight(text) > most:
        _check_shape(text, most, depth)
    try:
        tree, end = _decode(text.decode("ascii"))
    except (ValueError, RecursionError) as error:  # ValueError: no JSON, or an integer of too many digits
        refuse(f"not JSON ({type(error).__name__})", text)
    if end != len(text):
        refuse("more than one JSON value", text)
    return cast("object", tree)


def _weight(text: bytes) -> int:
    """Return about how many bytes the objects of this JSON take."""
    lists, dicts, items, texts = (text.count(mark) for mark in (b"[", b"{", b",", b'"'))
    return (
        len(text) + LIST_WEIGHT * lists + DICT_WEIGHT * dicts + ITEM_WEIGHT * items + TEXT_WEIGHT * texts // 2
    )


def _is_json(line: bytes) -> bool:
    try:
        load(line)
    except ProtocolViolation:
        return False
    return True


def _check_shape(text: bytes, most: int, depth: int) -> None:
    """Refuse JSON nested or long beyond the limits, in linear time and memory, without parsing it."""
    plain = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    texts = TEXT_WEIGHT * plain.count(b'"') // 2
    if texts > most or _weight(bare := b"".join(plain.split(b'"')[::2])) + texts > most:
        refuse(f"values that take more than {most} bytes", text)
    brackets = bare.translate(_BRACKETS, _NO_BRACKETS)
    for _level in range(depth):  # each pass takes the innermost level off
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return
    refuse(f"nested deeper than {depth}, or unbalanced", text)


def blob_rests(position: int, blob: bytes, *, raw: bool) -> Iterator[Unnumbered]:
    """Yield the frames that carry one blob."""
    view = memoryview(blob)
    for start in range(0, max(len(blob), 1), CHUNK_BYTES):
        chunk = view[start : start + CHUNK_BYTES]
        yield blob_rest(position, chunk, start + CHUNK_BYTES >= len(blob), raw=raw and bool(chunk))


def blob_rest(position: int, chunk: bytes | memoryview, last: bool, *, raw: bool) -> Unnumbered:
    """Return one blob frame."""
    if raw:
        return b'"*",%d,%d,%d]\n' % (position, len(chunk), last), chunk
    return b'"+",%d,"%s",%d]\n' % (position, binascii.b2a_base64(chunk, newline=False), last), b""


def read_blob(frame: Frame) -> tuple[int, bytes, bool] | None:
    """Return (position, bytes, is last) of a blob frame; None for another frame.

    Raises:
        ProtocolViolation: It begins like a blob frame and is none (the worker's fault).
    """
    if frame.rest.startswith(b'"*"'):
        found = _RAW.fullmatch(frame.rest)
        if found is None:
            refuse("not a blob frame", frame.rest)
        return int(found[1]), frame.body, found[3] == b"1"
    if not frame.rest.startswith(b'"+"'):
        return None
    found = _TEXT.fullmatch(frame.rest)
    if found is None or len(found[2]) > CHUNK_BYTES * 4 // 3 + 4:
        refuse("not a blob frame", frame.rest)
    try:
        return int(found[1]), binascii.a2b_base64(found[2]), found[3] == b"1"
    except binascii.Error:
        refuse("not base64", found[2])


class NumberedStream:
    """The numbers of one side of a stream.

    Args:
        keep: Keep what was sent until it is acknowledged, so that it can be sent again.
    """

    def __init__(self, *, keep: bool) -> None:
        self.keep = keep
        self.sent = 0
        self.seen = 0
        self._acked = 0
        self._kept: deque[tuple[int, bytes]] = deque()
        self._kept_bytes = 0
        self._owed_frames = 0
        self._owed_bytes = 0
        self._reply: list[bytes] = []

    @property
    def is_full(self) -> bool:
        """Return whether so much is unacknowledged that this side should not send more."""
        return self._kept_bytes > KEEP_BYTES

    def number(self, lane: str, *parts: Unnumbered) -> bytes:
        """Return frames with their numbers; large blobs are copied once."""
        pieces: list[bytes | memoryview] = []
        for rest, body in parts:
            self.sent += 1
            frame = (b'["%s",%d,%d,' % (lane.encode(), self.sent, self.seen), rest, body)
            if self.keep:
                self._kept.append((self.sent, b"".join(frame)))
                self._kept_bytes += len(self._kept[-1][1])
            pieces += frame
        self._owed_frames = self._owed_bytes = 0
        return b"".join(pieces)

    def stop_keeping(self) -> None:
        """Forget what was kept: the other side will not resume."""
        self.keep = False
        self._kept.clear()
        self._kept_bytes = 0

    def accept(self, frame: Frame) -> bool:
        """Note a frame that came in; return False for a duplicate.

        Raises:
            ProtocolViolation: Frames are missing before it, or it acknowledges what was never sent (the worker's fault).
        """
        if frame.ack > self.sent:
            refuse(f"frame {frame.seq} acknowledges {frame.ack} of {self.sent} frames")
        self._forget(frame.ack)
        if frame.seq <= self.seen:
            return False
        if frame.seq != self.seen + 1:
            refuse(f"frames {self.seen + 1} to {frame.seq - 1} are missing")
        self.seen = frame.seq
        self._owed_frames += 1
        self._owed_bytes += len(frame.rest) + len(frame.body)
        return True

    def take_reply(self) -> bytes:
        """Return the resend that was asked for, and an acknowledgement when one is owed."""
        if self.keep and (self._owed_frames >= ACK_FRAMES or self._owed_bytes >= ACK_BYTES):
            self._reply.append(self.number("c", (b'"Ack",{}]\n', b"")))
        reply, self._reply = self._reply, []
        return b"".join(reply)

    def resume_request(self, token: str) -> bytes:
        """Return the unnumbered frame (a `Resume`) that asks the other side to go on after the last frame seen."""
        return b'\n["c",0,%d,"Resume",%s]\n' % (self.seen, dump({"last_seen": self.seen, "token": token}))

    def resume_answer(self, token: str, last_seen: int) -> None:
        """Queue the mark that answers a `Resume`, and the frames that the other side has not seen."""
        self._reply.append(b'\n["~","%s",%d]\n' % (token.encode("ascii", "replace"), self.seen))
        self.resend_after(last_seen)

    def resend_after(self, last_seen: int) -> None:
        """Queue every frame after `last_seen` again.

        Raises:
            ProtocolViolation: It was never sent, or is no longer kept (the worker's fault).
        """
        if not self._acked <= last_seen <= self.sent or not self.keep:
            refuse(f"frames after {last_seen} cannot be sent again: {self._acked} of {self.sent} are seen")
        self._forget(last_seen)
        self._reply += [data for _seq, data in self._kept]

    def _forget(self, ack: int) -> None:
        self._acked = max(self._acked, ack)
        while self._kept and self._kept[0][0] <= ack:
            self._kept_bytes -= len(self._kept.popleft()[1])
