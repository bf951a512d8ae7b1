"""Pictures -> what a terminal shows them by: the protocol of kitty, or that of iTerm2; nothing where it has neither."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from typing import TextIO

from pinjra.core.execution import Artifact

_PNG_BYTES, _PNG_PIXELS = 8 << 20, 32 << 20  # a terminal holds every picture until it has scrolled away
_CHUNK = 4096  # kitty's protocol allows no more at once

# What says that a terminal shows pictures -> by which protocol. The first that fits.
_KITTY = (
    {"TERM": "xterm-kitty"},
    {"TERM": "xterm-ghostty"},
    {"KITTY_WINDOW_ID": ""},
    {"KONSOLE_VERSION": ""},
)
_ITERM = (
    {"TERM_PROGRAM": "iTerm.app"},
    {"TERM_PROGRAM": "WezTerm"},
    {"TERM_PROGRAM": "mintty"},
    {"LC_TERMINAL": "iTerm2"},
)
_BETWEEN = ({"TMUX": ""}, {"STY": ""})  # a multiplexer does not pass it on


def show_picture(artifact: Artifact, out: TextIO) -> bool:
    """Show a picture where `out` is a terminal that can; return whether it was shown."""
    shown = picture_for(artifact, os.environ) if out.isatty() else ""
    if shown:
        out.write(f"{shown}\n")
        out.flush()
    return bool(shown)


def picture_for(artifact: Artifact, environment: Mapping[str, str]) -> str:
    """Return what shows a PNG in the terminal of this environment; "" where it cannot, or the picture is too large."""
    protocol = _protocol(environment)
    if protocol is None or artifact.media_type != "image/png" or not _is_small(artifact.data):
        return ""
    # SECURITY: base64, so that nothing in it is a command to the terminal.
    return protocol(base64.b64encode(artifact.data).decode("ascii"), len(artifact.data))


def _protocol(environment: Mapping[str, str]) -> Callable[[str, int], str] | None:
    def has(signs: tuple[dict[str, str], ...]) -> bool:
        return any(
            environment.get(name) == value if value else name in environment
            for sign in signs
            for name, value in sign.items()
        )

    if has(_BETWEEN):
        return None
    return _by_kitty if has(_KITTY) else _by_iterm if has(_ITERM) else None


def _is_small(data: bytes) -> bool:
    """Return whether it is a PNG whose head says that it is no bomb."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR") or len(data) > _PNG_BYTES:
        return False
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    return 0 < width * height <= _PNG_PIXELS


def _by_kitty(data: str, _size: int) -> str:
    """Return the picture by https://sw.kovidgoyal.net/kitty/graphics-protocol: a PNG, at the cursor, no answer wanted."""
    chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    first, last = "a=T,f=100,q=2,", len(chunks) - 1
    return "".join(
        f"\x1b_G{first if number == 0 else ''}m={int(number < last)};{chunk}\x1b\\"
        for number, chunk in enumerate(chunks)
    )


def _by_iterm(data: str, size: int) -> str:
    """Return the picture by https://iterm2.com/documentation-images.html."""
    return f"\x1b]1337;File=inline=1;size={size};width=auto;preserveAspectRatio=1:{data}\x07"
