"""Text of a guest or a model -> text that is safe to show: nothing in it can steer the terminal."""

from __future__ import annotations

import re

# SECURITY: C0 (ESC begins every terminal command), DEL and C1 (0x9B is a CSI of its own) are shown as pictures;
# bidirectional and invisible format characters are spelled out, because they can make code read as other code
# (CVE-2021-42574). Lone surrogates cannot be encoded.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)

_COLOUR = re.compile("(\x1b\\[[0-9;:]{0,64}m)")


def clean(text: str) -> str:
    """Return `text` with everything but tabs and line feeds made visible that is no plain character."""
    return _UNSAFE.sub(_picture, text.replace("\r\n", "\n"))


def coloured(text: str) -> str:
    """Return output with its colours and the last state of each progress bar; the rest is cleaned."""
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        states = [state for state in line.split("\r") if state]
        parts = _COLOUR.split(states[-1] if states else "")
        lines.append("".join(part if i % 2 else clean(part) for i, part in enumerate(parts)))
    return "\n".join(lines)


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
