"""The ring and the capture pipes -> `Output` and `Captured` messages, in order, within the run's allowance."""

from __future__ import annotations

import time

from pinjra.wire.messages import Output
from pinjra.worker.ring import RingReader
from pinjra.worker.supervisor.capture import Capture
from pinjra.worker.supervisor.host import Host

__all__ = ["Printing"]

DRAIN_SECONDS = 0.02  # live output is this late at most; 50 drains a second cost a tight loop nothing


class Printing:
    """What the box prints, on its way to the host. Printed while no run is open, it goes nowhere."""

    def __init__(self, host: Host, capture: Capture, ring: RingReader) -> None:
        self._host = host
        self._capture = capture
        self._ring = ring
        self._last_drain = 0.0
        self.deadline: float | None = None
        """When to look into the ring next; None when nothing was printed lately."""

    def start_run(self) -> None:
        """Drop what was printed since the last run; the new one has a fresh allowance."""
        self.drain_capture()
        self._ring.start()

    def poked(self, *, urgent: bool) -> None:
        """Take note that there is text in the ring; drain it at once when it was not drained lately, or is filling up."""
        now = time.monotonic()
        if urgent or now - self._last_drain >= DRAIN_SECONDS:
            self.drain()
        if self.deadline is None:
            self.deadline = now + DRAIN_SECONDS

    def drain(self, *, everything: bool = True) -> None:
        """Pass on what is in the ring.

        Raises:
            ProtocolViolation: The ring was tampered with.
        """
        if self._host.is_mid_message:
            return
        self._last_drain = time.monotonic()
        pieces = self._ring.drain(everything=everything)
        if self._host.is_run_open:
            for stream, text in pieces:
                self._host.say_for_guest(Output(run=self._ring.run, stream=stream, text=text))
        if self.deadline is not None:
            # One look more than needed: a poke can be missed when both sides touch the ring in the same moment.
            self.deadline = self._last_drain + DRAIN_SECONDS if pieces or self._ring.has_text else None

    def drain_capture(self) -> None:
        """Pass on what was written to descriptors 1 and 2."""
        for message in self._capture.read(self._ring.allow):
            if self._host.is_run_open:
                self._host.send(message)
