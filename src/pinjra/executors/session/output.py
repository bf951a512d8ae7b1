"""What guest code prints -> what is kept of it: the one place that holds `Limits.output_bytes`."""

from __future__ import annotations

from pinjra.core.safe_text import PrintableOutput, unfinished


class KeptOutput:
    """The output of one run, up to the limit; then one marker and nothing more.

    Args:
        limit_bytes: Of all streams together, as UTF-8; None for no limit.
    """

    def __init__(self, limit_bytes: int | None) -> None:
        self._limit_bytes = limit_bytes
        self._parts: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._held = {"stdout": "", "stderr": ""}  # a colour, or an end of line, that came by half
        self._printed = {"stdout": PrintableOutput(), "stderr": PrintableOutput()}
        self._is_cut = False
        self.size_bytes = 0

    def add(self, stream: str, text: str, *, is_last: bool = False) -> str:
        """Return what is kept of `text`, safe to show; "" for nothing."""
        text, self._held[stream] = self._held[stream] + text, ""
        if self._is_cut or not text:
            return ""
        limit = self._limit_bytes
        if limit is not None:
            # SECURITY: cut before it is looked at: writing out 80 MB of control characters takes minutes.
            text = text[: limit - self.size_bytes + 1]
        if not is_last and (held := unfinished(text)):
            text, self._held[stream] = text[:-held], text[-held:]
        shown = self._printed[stream].add(text)
        size = len(shown) if shown.isascii() else len(shown.encode("utf-8", "replace"))
        if limit is not None and self.size_bytes + size > limit:
            kept = shown.encode("utf-8", "replace")[: limit - self.size_bytes].decode("utf-8", "ignore")
            shown = f"{kept}\n… output cut at {limit} bytes …\n"
            size = limit - self.size_bytes
            self._is_cut = True
        self.size_bytes += size
        self._parts[stream].append(shown)
        return shown

    def text(self, stream: str) -> str:
        """Return all that is kept of one stream."""
        return "".join(self._parts[stream])
