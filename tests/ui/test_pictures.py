"""Pictures in terminals: whole, by the terminal's own protocol, and nothing where it has none."""

from __future__ import annotations

import base64
import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest
from rich.console import Console

from pinjra.core import events as e
from pinjra.core.execution import Artifact
from pinjra.ui.live import LiveView
from pinjra.ui.pictures import picture_for


def png(width: int = 3, height: int = 2, rest: bytes = b"x" * 9000) -> bytes:
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size + rest


PICTURE = Artifact(media_type="image/png", data=png())
KITTY, ITERM = {"TERM": "xterm-kitty"}, {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}


def by_kitty(shown: str) -> bytes:
    """Return the picture that a terminal puts together of the pieces."""
    pieces = re.findall(r"\x1b_G([a-zA-Z0-9=,]*);([A-Za-z0-9+/=]*)\x1b\\", shown)
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in pieces) == shown
    assert [keys for keys, _ in pieces] == ["a=T,f=100,q=2,m=1", *["m=1"] * (len(pieces) - 2), "m=0"]
    assert all(len(data) <= 4096 for _, data in pieces)
    return base64.b64decode("".join(data for _, data in pieces))


def test_kitty_gets_it_in_pieces() -> None:
    assert by_kitty(picture_for(PICTURE, KITTY)) == PICTURE.data


def test_iterm_gets_it_in_one() -> None:
    shown = picture_for(PICTURE, ITERM)
    found = re.fullmatch(r"\x1b\]1337;File=inline=1;size=(\d+)[a-zA-Z0-9=;]*:([A-Za-z0-9+/=]*)\x07", shown)
    assert found is not None
    assert (int(found[1]), base64.b64decode(found[2])) == (len(PICTURE.data), PICTURE.data)


@pytest.mark.parametrize(
    "environment",
    [{}, {"TERM": "xterm-256color"}, {**KITTY, "TMUX": "/tmp/x"}, {**ITERM, "STY": "1"}, {"TERM": "dumb"}],
)
def test_other_terminals_get_nothing(environment: Mapping[str, str]) -> None:
    assert picture_for(PICTURE, environment) == ""


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("image/png", b"\x1b]0;title\x07"),
        ("image/png", png(100_000, 100_000)),
        ("image/png", png(rest=b"x" * (9 << 20))),
        ("image/png", png(0, 5)),
        ("image/jpeg", b"\xff\xd8\xff"),
        ("text/html", png()),
    ],
)
def test_what_is_no_small_png_is_not_sent_to_a_terminal(media_type: str, data: bytes) -> None:
    assert picture_for(Artifact(media_type=media_type, data=data), KITTY) == ""


class Step:
    artifacts = (PICTURE,)


def test_a_run_shows_its_pictures_where_the_terminal_can(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {}
    for name in ("xterm-kitty", "xterm"):
        monkeypatch.setenv("TERM", name)
        monkeypatch.delenv("TMUX", raising=False)
        out = io.StringIO()
        with LiveView(Console(file=out, force_terminal=True, width=80)) as view:
            view.show(e.StepFinished(run_id="r", agent="a", step=1, record=Step()))
        shown[name] = out.getvalue()
    assert picture_for(PICTURE, KITTY) in shown["xterm-kitty"]
    assert "\x1b_G" not in shown["xterm"]
    assert "displayed: image/png" in shown["xterm"]


DRAW = r"""
class Drawn:
    def _repr_png_(self):
        return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01" + b"x" * 5000

Drawn()
"""


def on_a_terminal(name: str) -> str:
    """Return what the command writes to a terminal of this name."""
    ours, theirs = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key not in ("TMUX", "STY")}
    command = [sys.executable, "-m", "pinjra", "exec", "--executor", "local", "-c", DRAW]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**environment, "TERM": name},
    ) as running:
        os.close(theirs)
        written = b""
        try:
            while piece := os.read(ours, 1 << 16):
                written += piece
        except OSError:  # EIO: the other end is closed
            pass
        finally:
            os.close(ours)
        running.communicate()
    return written.decode()


@pytest.mark.skipif(sys.platform != "linux", reason="terminals as on Linux")
def test_exec_shows_what_a_program_drew_on_a_terminal_that_can() -> None:
    shown = re.findall(r"\x1b_G.*\x1b\\", on_a_terminal("xterm-kitty"))
    assert len(shown) == 1
    assert by_kitty(shown[0]).startswith(b"\x89PNG")
    assert "\x1b_G" not in on_a_terminal("xterm")
