"""Guest text -> text that is safe to show: what a terminal would obey becomes visible, but for colours and progress bars."""

from __future__ import annotations

import re

__all__ = ["printable", "printable_output", "settled", "unfinished"]

# C0 but tab and newline, DEL, C1, and the bidirectional overrides that make text lie about its order (CVE-2021-42574);
# lone surrogates, which no file and no model's API takes.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# SECURITY: the only commands that pass colour text (m) or erase within the line (K); none moves to other lines, sets a title or
# asks the terminal to answer.
_COMMAND = "\x1b\\[[0-9;:]{0,64}[mK]"
_OUTPUT = re.compile(
    f"{_COMMAND}|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_UNFINISHED = re.compile("(?:\r|\x1b(?:\\[[0-9;:]{0,64})?)\\Z")
_STEPS = re.compile(f"(\r|\b|{_COMMAND})")


def printable(text: str) -> str:
    """Return `text` with control characters written out (ESC as `\\x1b`); "\\r\\n" becomes a newline."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROLS.sub(_spelled, text.replace("\r\n", "\n"))


def printable_output(text: str) -> str:
    """Return output as `printable` does, but carriage returns, backspaces, colours and erasing of a line stay."""
    if text.isascii() and text.isprintable():
        return text
    return _OUTPUT.sub(_spelled, text.replace("\r\n", "\n"))


def unfinished(text: str) -> int:
    """Return how many characters at the end of a piece of output may begin something that the next piece goes on with."""
    found = _UNFINISHED.search(text, max(0, len(text) - 68))
    return len(found[0]) if found else 0


def settled(text: str) -> str:
    """Return what a terminal shows in the end: of a progress bar the last state, no colours. Takes linear time."""
    if "\r" not in text and "\b" not in text and "\x1b" not in text:
        return text
    return "\n".join(_settled_line(line) for line in text.split("\n"))


def _settled_line(line: str) -> str:
    shown: list[str] = []
    at = 0
    for part in _STEPS.split(line):
        if part == "\r":
            at = 0
        elif part == "\b":
            at = max(0, at - 1)
        elif part.startswith("\x1b"):
            if part.endswith("K"):
                del shown[at:]
        else:
            shown[at : at + len(part)] = part
            at += len(part)
    return "".join(shown).rstrip(" ") if "\r" in line else "".join(shown)


def _spelled(match: re.Match[str]) -> str:
    if len(match[0]) > 1:
        return match[0]
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
