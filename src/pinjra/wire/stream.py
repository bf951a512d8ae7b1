"""Frames <-> numbered frames: counting, acknowledging, keeping for a resend, dropping duplicates."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from pinjra.wire.frames import Frame, dump, refuse
from pinjra.wire.messages import Resume
from pinjra.wire.shapes import to_fields

__all__ = ["NumberedStream"]

KEEP_BYTES = 8 << 20  # unacknowledged bytes from which a side stops reading its own source
ACK_FRAMES = 64  # an acknowledgement is owed after so many frames …
ACK_BYTES = 1 << 20  # … or so many bytes: an eighth of KEEP_BYTES, so that the other side never has to wait


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

    def number(self, lane: str, rest: bytes, body: bytes | memoryview) -> bytes:
        """Return one frame with its numbers."""
        self.sent += 1
        self._owed_frames = self._owed_bytes = 0
        data = b"".join((b'["%s",%d,%d,' % (lane.encode(), self.sent, self.seen), rest, body))
        if self.keep:
            self._kept.append((self.sent, data))
            self._kept_bytes += len(data)
        return data

    def number_all(self, lane: str, parts: Iterable[tuple[bytes, bytes | memoryview]]) -> bytes:
        """Return the frames of one message with their numbers; large blobs are copied once."""
        if self.keep:
            return b"".join([self.number(lane, rest, body) for rest, body in parts])
        pieces: list[bytes | memoryview] = []
        for rest, body in parts:
            self.sent += 1
            pieces += (b'["%s",%d,%d,' % (lane.encode(), self.sent, self.seen), rest, body)
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
            self._reply.append(self.number("c", b'"Ack",{}]\n', b""))
        reply, self._reply = self._reply, []
        return b"".join(reply)

    def resume_request(self, message: Resume) -> bytes:
        """Return the unnumbered frame that asks the other side to go on after the last frame seen."""
        return b'\n["c",0,%d,"Resume",%s]\n' % (self.seen, dump(to_fields(message)))

    def resume_answer(self, message: Resume) -> None:
        """Queue the mark that answers `message`, and the frames that the other side has not seen."""
        self._reply.append(b'\n["~","%s",%d]\n' % (message.token.encode("ascii", "replace"), self.seen))
        self.resend_after(message.last_seen)

    def resend_after(self, last_seen: int) -> None:
        """Queue every frame after `last_seen` again.

        Raises:
            ProtocolViolation: It was never sent, or is no longer kept (the worker's fault).
        """
        if not self._acked <= last_seen <= self.sent or not self.keep:
            refuse(
                f"frames after {last_seen} cannot be sent again: {self._acked} are acknowledged of {self.sent}"
            )
        self._forget(last_seen)
        self._reply += [data for _seq, data in self._kept]

    def _forget(self, ack: int) -> None:
        self._acked = max(self._acked, ack)
        while self._kept and self._kept[0][0] <= ack:
            self._kept_bytes -= len(self._kept.popleft()[1])
