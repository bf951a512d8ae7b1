"""Where children write: what they have left goes before the next one begins."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Any

from pinjra.jail.walls import disk_quota
from pinjra.snippets.frames import Message


class WritableFolder:
    """A folder in which children may write: what was in it at first stays, all else goes."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.kept = {*os.listdir(path)}

    def clear(self) -> None:
        """Remove what a child has left. Where that is not possible the box has had its day: the error ends it."""
        _take_back(self.path)
        for name in {*os.listdir(self.path)} - self.kept:
            path = os.path.join(self.path, name)
            try:
                os.rmdir(path)  # nearly always it is the child's folder, with nothing in it
            except OSError:
                _remove(path)
        with contextlib.suppress(PermissionError):  # as for its mode
            os.utime(self.path, (0, 0))  # SECURITY: else a child could leave a number there


def is_writable(path: str) -> bool:
    """Return whether children may make something in a folder."""
    probe = os.path.join(path, f".writable-{os.getpid()}")
    try:
        os.mkdir(probe)  # tried: access(2) knows of modes and not of Landlock
        os.rmdir(probe)
    except OSError:
        return False
    return True


def _take_back(path: str) -> None:
    with contextlib.suppress(PermissionError):  # where modes cannot be changed, no child has changed this one
        os.chmod(path, 0o700)


def _remove(path: str) -> None:
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
        return
    _take_back(path)
    disk_quota.remove(path)
    if os.path.exists(path):
        raise OSError(f"{path} cannot be removed")


def collected(folder: str, names: list[Any], most: int) -> Message:
    """Return name -> bytes of the regular files that were asked for; links are not followed."""
    found = {}
    for name in names:
        try:
            fd = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (OSError, ValueError):
            continue
        if not stat.S_ISREG(os.fstat(fd).st_mode):  # a folder or a pipe of the program's own
            os.close(fd)
            continue
        with open(fd, "rb") as file:
            data = file.read(most + 1)
        if len(data) <= most:
            found[name] = data
    return found
