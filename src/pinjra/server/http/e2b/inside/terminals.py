"""A program -> the same with a terminal of the box's own."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pinjra.server.http.e2b.inside.children import Child

if TYPE_CHECKING:
    from e2b.envd.process import process_pb as pb

__all__ = ["open_terminal", "resize"]


def open_terminal(
    child: Child,
    argv: Sequence[str],
    *,
    cwd: str,
    environment: Mapping[str, str],
    size: pb.PTY.Size | None,
) -> None:
    """Start a program at a new terminal.

    Raises:
        OSError: It cannot be: this box has no terminals, or no such program.
    """
    master, slave = os.openpty()
    try:
        _set_size(slave, size)
        process = subprocess.Popen(  # noqa: S603 (in the box, by whoever owns it)
            list(argv),
            cwd=cwd,
            env={"TERM": "xterm", **environment},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)
    process.returncode = 0  # the reaper waits for it
    child.stdin = os.dup(master)
    child.attend(process.pid, {master: "pty"})


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def resize(child: Child, size: pb.PTY.Size) -> None:
    """Change the size of a child's terminal."""
    if child.stdin >= 0:
        _set_size(child.stdin, size)


def _set_size(descriptor: int, size: pb.PTY.Size | None) -> None:
    if size is not None:
        rows, columns = min(size.rows, 0xFFFF), min(size.cols, 0xFFFF)
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
