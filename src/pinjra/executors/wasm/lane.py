"""Bytes of an instance <-> the host's stream. The part of a supervisor that knows the protocol; no I/O.

A worker in one process (see `worker.single`) answers requests for files itself, on the guest's lane. They are taken out
here, checked, and said on the control lane by whoever owns the instance; everything else of the guest is passed on unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from pinjra.core.errors import ProtocolViolation
from pinjra.wire.connection import GuestConnection
from pinjra.wire.frames import Frame, WireLimits
from pinjra.wire.messages import Answer, Bound, Done, Failed, FileData, FileList, GrantTools, Message
from pinjra.wire.pack import Assembler, pack
from pinjra.wire.relay import Relay, SupervisorConnection

__all__ = ["Lane", "plain", "stop_message"]

_KIND = re.compile(rb'"([A-Z][A-Za-z]*)"')
_TAKEN = {cls.__name__: cls for cls in (Bound, Done, Failed, FileData, FileList)}


class Lane(SupervisorConnection):
    """Between the stream to the host and the instance.

    Args:
        limits: What one message of the guest may cost.
    """

    def __init__(self, limits: WireLimits) -> None:
        super().__init__(limits=limits)
        self._held: list[Frame] = []  # of a message that is not whole yet
        self._held_bytes = 0
        self._asked: list[bytes] = []
        self.grants = GrantTools(request=0, tools={})
        """All tools that were granted, for an instance that takes the place of this one."""
        self.unbound: set[int] = set()
        """Requests of the guest's lane that are not answered."""

    # ------------------------------------------------------------ from the instance

    def sort(self, data: bytes) -> Iterator[bytes | Message]:
        """Take bytes of the instance; return bytes for the host, and messages that are for this side.

        Raises:
            ProtocolViolation: From the iterator: it sent what is no frame; to be killed.
        """
        for frame in self._guest.feed(data):
            self._held.append(frame)
            self._held_bytes += len(frame.rest) + len(frame.body)
            # SECURITY: a message that never ends must not fill the host's memory.
            if self._held_bytes > 2 * self._limits.message_bytes:
                raise ProtocolViolation("a message without end")
            kind = _KIND.match(frame.rest)
            if kind is not None:
                held, self._held, self._held_bytes = self._held, [], 0
                yield from self._whole(kind[1].decode("ascii"), held)

    def _whole(self, kind: str, held: list[Frame]) -> Iterator[bytes | Message]:
        if kind in _TAKEN:
            message = self._assembled(held)
            if not isinstance(message, Bound) or not message.request:
                yield message
                return
            self.unbound.discard(message.request)
        self.run_open = self.run_open and kind != "Finished"
        for frame in held:
            yield self._stream.number("g", *self._as_agreed(frame))

    def _assembled(self, held: list[Frame]) -> Message:
        assembler = Assembler(_TAKEN, self._limits)
        for frame in held:
            message = assembler.add(frame)
            if message is not None:
                return message
        raise ProtocolViolation("a message of blobs only")

    def interpreter_died(self) -> None:
        """Forget what the dead instance did not finish to say, and what it was asked."""
        super().interpreter_died()
        self._held, self._held_bytes = [], 0
        self.unbound.clear()

    # ------------------------------------------------------------ from the host

    def note(self, relay: Relay) -> bool:
        """Look at what is passed on to the instance: remember grants; return whether it starts a run."""
        kind = _KIND.match(relay.data, 5)  # behind ["g",
        self._asked.append(relay.data)
        if kind is None:
            return False
        data, self._asked = b"".join(self._asked), []
        if kind[1] in (b"GrantTools", b"SetVariables"):
            for message in GuestConnection(limits=WireLimits(message_bytes=1 << 30)).receive_data(data):
                self._note_binding(message)
        return kind[1] == b"Execute"

    def _note_binding(self, message: Message) -> None:
        self.unbound.add(getattr(message, "request", 0))
        if isinstance(message, GrantTools):
            self.grants = replace(self.grants, tools={**self.grants.tools, **message.tools})


def plain(message: Message) -> bytes:
    """Return the bytes that say `message` to an instance."""
    return b"".join([piece for rest, body in pack(message, raw=True) for piece in (b'["g",', rest, body)])


def stop_message(cause: str) -> bytes:
    """Return what makes an instance stop its run at the next place where it looks; between runs it does nothing."""
    return plain(Answer(call=0, error_type="Stopped", error_message=cause))
