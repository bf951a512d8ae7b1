"""Where children write: what they have left goes before the next one begins."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Any

from pinjra.core.removal import remove
from pinjra.snippets.frames import Message


class WritableFolder:
    """A folder in which children may write: what was in it at first is made again as it was, all else goes."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._kept = {name: _Kept(os.path.join(path, name)) for name in os.listdir(path)}

    def clear(self) -> None:
        """Remove what a child has left. Where that is not possible the box has had its day: the error ends it."""
        _take_back(self.path)
        for name in os.listdir(self.path):
            if name in self._kept:
                continue
            path = os.path.join(self.path, name)
            try:
                os.rmdir(path)  # nearly always it is the child's folder, with nothing in it
            except OSError:
                _remove(path)
        for kept in self._kept.values():
            kept.restore()
        with contextlib.suppress(PermissionError):  # as for its mode
            os.utime(self.path, (0, 0))  # SECURITY: else a child could leave a number there


class _Kept:
    """What was there before the first child: a link to a folder of the user's, a folder that a preloaded module has made."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._parts: dict[str, bytes | str | None] = {}
        self._marks: list[tuple[str, int, int]] = []
        with contextlib.suppress(OSError):  # somebody else's, which no child can write either
            self._parts = {part: _content(part) for part in _parts(path)}
            self._marks = self._look()

    def _look(self) -> list[tuple[str, int, int]]:
        found = ((part, os.lstat(part)) for part in _parts(self._path))
        return [(part, status.st_ino, status.st_ctime_ns) for part, status in found]  # nobody sets the last

    def restore(self) -> None:
        """Make it again, where a child has changed anything: the next one would find what that has left."""
        if not self._marks:
            return
        with contextlib.suppress(OSError, RecursionError):  # a child has taken it away, or made it too deep
            if self._look() == self._marks:
                return
        _remove(self._path)
        for part, content in self._parts.items():
            if content is None:
                os.mkdir(part)
            elif isinstance(content, str):
                os.symlink(content, part)
            else:
                with open(part, "wb") as file:
                    file.write(content)
        self._marks = self._look()


def _parts(path: str) -> list[str]:
    """Return a path and all below it, folders first; of links only themselves."""
    if os.path.islink(path) or not os.path.isdir(path):
        return [path]
    return [path, *(part for name in sorted(os.listdir(path)) for part in _parts(os.path.join(path, name)))]


def _content(path: str) -> bytes | str | None:
    """Return the bytes of a file, where a link leads, None for a folder."""
    if os.path.islink(path):
        return os.readlink(path)
    if os.path.isdir(path):
        return None
    with open(path, "rb") as file:
        return file.read()


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
    """Remove a file, or a folder with all below it, however deep.

    Raises:
        OSError: It is still there.
    """
    if not os.path.lexists(path):
        return
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
        return
    _take_back(path)
    remove(path)
    if os.path.lexists(path):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)


def collected(folder: str, names: list[Any], most: int) -> Message:
    """Return name -> bytes of the regular files that were asked for, as many as fit into `most` bytes; links are not followed."""
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
            most -= len(data)
    return found
