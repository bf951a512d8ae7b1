"""Guest text -> text that is safe to show: what a terminal would obey becomes visible."""

from __future__ import annotations

import re

__all__ = ["printable"]

# C0 but tab and newline, DEL, C1, and the bidirectional overrides that make text lie about its order (CVE-2021-42574);
# lone surrogates, which no file and no model's API takes.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return `text` with control characters written out (ESC as `\\x1b`); "\\r\\n" becomes a newline."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROLS.sub(
        lambda match: f"\\x{ord(match[0]):02x}" if ord(match[0]) < 256 else f"\\u{ord(match[0]):04x}",
        text.replace("\r\n", "\n"),
    )
