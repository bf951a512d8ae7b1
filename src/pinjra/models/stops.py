"""Pieces of text -> the same text up to the first stop sequence, also where one is split over several pieces."""

from __future__ import annotations

from collections.abc import Sequence


class StopCutter:
    """Cuts a stream of text at stop sequences; `text` is what was let through.

    Servers differ: some do not know stop sequences, some leave the sequence in the text, and the stop of a proxy may come
    late. So every model cuts once more on this side.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(mark for mark in stop if mark)
        self._held = ""
        self.text = ""
        self.is_stopped = False

    def feed(self, piece: str) -> str:
        """Return what of the text may be shown now; the rest is held until it is clear that it begins no stop."""
        if self.is_stopped:
            return ""
        text = self._held + piece
        ends = [at for mark in self._stop if (at := text.find(mark)) >= 0]
        if ends:
            self.is_stopped = True
        shown = min(ends) if ends else len(text) - self._begun(text)
        self._held = "" if ends else text[shown:]
        self.text += text[:shown]
        return text[:shown]

    def end(self) -> str:
        """Return what was held back when the stream has ended."""
        held, self._held = self._held, ""
        self.text += held
        return held

    def _begun(self, text: str) -> int:
        """Return the length of the longest end of `text` that begins a stop sequence."""
        longest = max((len(mark) - 1 for mark in self._stop), default=0)
        for length in range(min(longest, len(text)), 0, -1):
            if any(mark.startswith(text[len(text) - length :]) for mark in self._stop):
                return length
        return 0


def cut(text: str, stop: Sequence[str]) -> str:
    """Return a whole text up to the first stop sequence."""
    cutter = StopCutter(stop)
    return cutter.feed(text) + cutter.end()
