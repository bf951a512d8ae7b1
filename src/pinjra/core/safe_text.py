"""Guest text -> text that is safe to show: what a terminal would obey becomes visible, but for colours and progress bars."""

from __future__ import annotations

import re

# C0 but tab and newline, DEL, C1, and the bidirectional overrides that make text lie about its order (CVE-2021-42574);
# lone surrogates, which no file and no model's API takes.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# SECURITY: the only commands that pass colour text (m), erase within the line (K), or go up (A) to a line of the same text, as
# progress bars below each other do; none reaches what stands above the text, sets a title or asks the terminal to answer.
_COMMAND = "\x1b\\[[0-9;:]{0,64}[mK]"
_UP = "\x1b\\[[0-9]{0,2}A"
_OUTPUT = re.compile(
    f"{_COMMAND}|{_UP}|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_OUTPUT_AND_LINES = re.compile(f"\n|{_OUTPUT.pattern}")
_UNFINISHED = re.compile("(?:\r|\x1b(?:\\[[0-9;:]{0,64})?)\\Z")
_STEPS = re.compile(f"(\n|\r|\b|{_COMMAND}|{_UP})")


def printable(text: str) -> str:
    """Return `text` with control characters written out (ESC as `\\x1b`); "\\r\\n" becomes a newline."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROLS.sub(_spelled, text.replace("\r\n", "\n"))


def printable_output(text: str) -> str:
    """Return output as `printable` does, but what draws progress bars and colours stays."""
    return PrintableOutput().add(text)


class PrintableOutput:
    """Output that comes in pieces, made `printable_output`."""

    def __init__(self) -> None:
        self._row = 0  # below the first line

    def add(self, text: str) -> str:
        """Return the next piece."""
        if text.isascii() and text.isprintable():
            return text
        text = text.replace("\r\n", "\n")
        if "\x1b" in text:
            return _OUTPUT_AND_LINES.sub(self._kept, text)
        self._row += text.count("\n")
        return _OUTPUT.sub(_spelled, text)

    def _kept(self, match: re.Match[str]) -> str:
        found = match[0]
        if found == "\n":
            self._row += 1
        elif found.endswith("A"):
            up = max(int(found[2:-1] or 1), 1)
            if up > self._row:
                return f"\\x1b{found[1:]}"
            self._row -= up
        return found if len(found) > 1 or found == "\n" else _spelled(match)


def cut_middle(text: str, length: int) -> str:
    """Return text of at most about `length` characters: its head and its tail, saying what was left out."""
    if len(text) <= length:
        return text
    head, tail = length - length // 3, len(text) - length // 3
    return f"{text[:head]}\n… [{tail - head} characters left out; print less to see them] …\n{text[tail:]}"


def unfinished(text: str) -> int:
    """Return how many characters at the end of a piece of output may begin something that the next piece goes on with."""
    found = _UNFINISHED.search(text, max(0, len(text) - 68))
    return len(found[0]) if found else 0


def settled(text: str) -> str:
    """Return what a terminal shows in the end: of a progress bar the last state, no colours. Takes linear time."""
    if "\r" not in text and "\b" not in text and "\x1b" not in text:
        return text
    screen = _Screen()
    for part in _STEPS.split(text):
        screen.take(part)
    return screen.text()


class _Screen:
    def __init__(self) -> None:
        self._lines: list[list[str]] = [[]]
        self._drawn: set[int] = set()  # rows that were written over: spaces at their ends erased something
        self._row = self._column = 0

    def take(self, part: str) -> None:
        shown = self._lines[self._row]
        if part == "\n":
            self._row, self._column = self._row + 1, 0
            if self._row == len(self._lines):
                self._lines.append([])
        elif part == "\r":
            self._column = 0
            self._drawn.add(self._row)
        elif part == "\b":
            self._column = max(0, self._column - 1)
        elif part.startswith("\x1b"):
            self._obey(part, shown)
        else:
            shown[self._column : self._column + len(part)] = part
            self._column += len(part)

    def _obey(self, command: str, shown: list[str]) -> None:
        if command.endswith("K"):
            del shown[self._column :]
        elif command.endswith("A"):
            self._row = max(0, self._row - max(int(command[2:-1] or 1), 1))
            self._drawn.add(self._row)
            # SECURITY: a terminal stays in its column; filling each line up to there would cost lines times columns.
            self._column = min(self._column, len(self._lines[self._row]))

    def text(self) -> str:
        lines = ("".join(line) for line in self._lines)
        return "\n".join(line.rstrip(" ") if row in self._drawn else line for row, line in enumerate(lines))


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
