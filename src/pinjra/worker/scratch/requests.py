"""The files of a session in a folder of this machine. Never through a link that guest code has laid there.

Every path is walked part by part with openat(2) and O_NOFOLLOW, from a descriptor of the folder that was opened
before guest code ran.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from pinjra.core.file_names import MOST_PARTS
from pinjra.core.temporary_folders import make_folder, sweep
from pinjra.jail.walls import disk_quota as quota
from pinjra.worker.scratch.files import Files, Mode, ScratchError

__all__ = ["BRANCH_PREFIX", "Scratch"]

_SAFELY = (
    os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
)  # SECURITY: no link of the guest's, and no wait at its pipes
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HOW: dict[Mode, int] = {
    "rb": os.O_RDONLY,
    "wb": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "ab": os.O_WRONLY | os.O_APPEND,
}
_PREFIX = "pinjra-scratch-"
BRANCH_PREFIX = ".branch-"
"""Of the folders, below the scratch folder of a session, that are those of sessions forked off it."""


class Scratch(Files):
    """The scratch folder of one session.

    Args:
        path: An existing folder, or "" to make one (removed by `remove`).
        quota_bytes: As of `Files`.
        is_ours: `remove` removes it. None: when it was made here.
    """

    def __init__(self, path: str, quota_bytes: float | None, *, is_ours: bool | None = None) -> None:
        super().__init__(quota_bytes)
        self.is_ours = not path if is_ours is None else is_ours
        if path:
            self.path, self._root = path, os.open(path, _FOLDER)
        else:
            sweep(_PREFIX, quota.remove)
            self.path, self._root = make_folder(_PREFIX)

    def clear(self) -> None:
        """Remove everything in the folder but the folders of branches."""
        for entry in os.listdir(self._root):
            if not entry.startswith(BRANCH_PREFIX):
                self._remove_entry(entry)

    def remove(self) -> None:
        """Remove the folder when it is ours; otherwise leave it as it is."""
        os.close(self._root)
        if self.is_ours:
            quota.remove(self.path)  # no depth of the guest's is too great for it

    def _remove_entry(self, entry: str) -> None:
        try:
            if stat.S_ISDIR(os.stat(entry, dir_fd=self._root, follow_symlinks=False).st_mode):
                # not a link: it was a folder, and its owner's processes are dead
                quota.open_up(entry, self._root)
                quota.remove(os.path.join(self.path, entry))
            else:
                os.unlink(entry, dir_fd=self._root)
        except OSError:
            pass

    def _found(self) -> Iterator[tuple[str, int]]:
        return self._walk(self._root, "", MOST_PARTS)

    def _walk(self, folder: int, prefix: str, depth: int) -> Iterator[tuple[str, int]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if folder == self._root and entry.name.startswith(BRANCH_PREFIX):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk_below(folder, entry.name, prefix, depth)
                elif entry.is_file(follow_symlinks=False):
                    yield prefix + entry.name, entry.stat(follow_symlinks=False).st_size

    def _walk_below(self, folder: int, name: str, prefix: str, depth: int) -> Iterator[tuple[str, int]]:
        if depth == 0:
            return
        try:
            below = os.open(name, _FOLDER, dir_fd=folder)
        except OSError:
            return
        try:
            yield from self._walk(below, f"{prefix}{name}/", depth - 1)
        finally:
            os.close(below)

    def _open(self, name: str, mode: Mode) -> BinaryIO:
        *folders, last = name.split("/")
        folder = self._open_folder(folders, make=mode == "wb")
        try:
            file = os.open(last, _HOW[mode] | _SAFELY, 0o644, dir_fd=folder)
        finally:
            os.close(folder)
        stream = os.fdopen(file, mode)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            stream.close()
            raise ScratchError("refused", f"{name!r} is no regular file")
        return stream

    def _open_folder(self, parts: list[str], *, make: bool) -> int:
        folder = os.dup(self._root)
        for part in parts:
            try:
                below = self._step(folder, part, make=make)
            except OSError as error:
                raise ScratchError("refused" if make else "not-found", f"{part!r} is no folder") from error
            finally:
                os.close(folder)
            folder = below
        return folder

    def _step(self, folder: int, part: str, *, make: bool) -> int:
        if make:
            try:
                os.mkdir(part, dir_fd=folder)
            except FileExistsError:
                pass
        return os.open(
            part, _FOLDER, dir_fd=folder
        )  # SECURITY: O_NOFOLLOW: a link laid by the guest is refused
