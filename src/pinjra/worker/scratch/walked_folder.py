"""The files of a session in a folder of this machine. Never through a link that guest code has laid there.

Every path is walked part by part with openat(2) and O_NOFOLLOW, from a descriptor of the folder that was opened
before guest code ran.
"""

from __future__ import annotations

import math
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, NoReturn

from pinjra.core.file_names import MOST_PARTS
from pinjra.core.removal import FOLDER, open_up, remove
from pinjra.core.temporary_folders import make_folder, sweep
from pinjra.worker.scratch.files import Files, Mode, ScratchError

# SECURITY: no link of the guest's, and no wait at its pipes
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_HOW: dict[Mode, int] = {
    "rb": os.O_RDONLY,
    "wb": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "ab": os.O_WRONLY | os.O_APPEND,
}
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_PREFIX = "pinjra-scratch-"
_BRANCH_PREFIX = ".branch-"  # of the folders, within one, of sessions that were forked off it
_COPY_BYTES = 1 << 20  # of one reading
_COPY_ENTRIES = 10_000  # as many as a listing has


class Scratch(Files):
    """The scratch folder of one session.

    Args:
        path: An existing folder, or "" to make one (removed by `remove`).
        is_ours: `remove` removes it. None: when it was made here.
    """

    def __init__(self, path: str, quota_bytes: float | None, *, is_ours: bool | None = None) -> None:
        super().__init__(quota_bytes)
        self.is_ours = not path if is_ours is None else is_ours
        if path:
            self.path, self._root = path, os.open(path, FOLDER)
        else:
            sweep(_PREFIX, remove)
            self.path, self._root = make_folder(_PREFIX)

    def clear(self) -> None:
        """Remove everything in the folder but the folders of branches."""
        for entry in os.listdir(self._root):
            if not entry.startswith(_BRANCH_PREFIX):
                self._remove_entry(entry)

    def remove(self) -> None:
        """Remove the folder when it is ours; otherwise leave it as it is."""
        os.close(self._root)
        if self.is_ours:
            remove(self.path)  # no depth of the guest's is too great for it

    def _remove_entry(self, entry: str) -> None:
        try:
            if stat.S_ISDIR(os.stat(entry, dir_fd=self._root, follow_symlinks=False).st_mode):
                # not a link: it was a folder, and its owner's processes are dead
                open_up(entry, self._root)
                remove(os.path.join(self.path, entry))
            else:
                os.unlink(entry, dir_fd=self._root)
        except OSError:
            pass

    def _found(self) -> Iterator[tuple[str, int]]:
        for path, folders, names, folder in os.fwalk(".", dir_fd=self._root):
            if path == ".":
                folders[:] = [name for name in folders if not name.startswith(_BRANCH_PREFIX)]
            if path.count("/") >= MOST_PARTS:
                folders.clear()
            for name in names:
                with suppress(FileNotFoundError):  # the guest has just removed it
                    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode):
                        yield os.path.join(path, name)[2:], found.st_size

    def copy_into(self, target: Scratch) -> None:
        """Copy what is here, links as links.

        Raises:
            OSError, ScratchError: Something cannot be read; or there is too much.
        """
        entries, room = _COPY_ENTRIES, math.inf if self.quota_bytes is None else self.quota_bytes
        for path, folders, names, source in os.fwalk(".", onerror=_fail, dir_fd=self._root):
            parts = path.split("/")[1:]
            if not parts:
                folders[:] = [name for name in folders if not name.startswith(_BRANCH_PREFIX)]
            entries -= len(folders) + len(names)
            if entries < 0 or (len(parts) >= MOST_PARTS and (folders or names)):
                raise ScratchError("quota", "the scratch folder is too deep or has too many entries to copy")
            folder = target._open_folder(parts, make=True)
            try:
                for name in (*folders, *names):
                    room = _copy_entry(name, source, folder, room)
            finally:
                os.close(folder)

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
        # SECURITY: O_NOFOLLOW: a link laid by the guest is refused
        return os.open(part, FOLDER, dir_fd=folder)


# ---------------------------------------------------------------- a copy for a session that is forked off


def copy_scratch(source: Scratch) -> Scratch:
    """Return a copy of a folder, links as links: beside it when it was made here, else within it. It has the same quota.

    Raises:
        ScratchError: There is no room for the copy, or it is too deep or has too many entries.
    """
    top = os.path.dirname(source.path) if source.is_ours else source.path
    path = os.path.join(top, _BRANCH_PREFIX + secrets.token_hex(8))
    os.mkdir(path, 0o700)  # fails where guest code has laid something of this name
    copy = Scratch(path, source.quota_bytes, is_ours=True)
    try:
        source.copy_into(copy)
    except OSError as error:
        copy.remove()
        raise ScratchError("error", f"the scratch files cannot be copied: {error.strerror}") from error
    except ScratchError:
        copy.remove()
        raise
    return copy


def _copy_entry(name: str, source: int, target: int, room: float) -> float:
    """Copy a file or a link from folder to folder; return how many bytes may still be copied."""
    mode = os.stat(name, dir_fd=source, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    elif stat.S_ISREG(mode):  # pipes and sockets are no files; folders are made when they are entered
        with (
            os.fdopen(os.open(name, os.O_RDONLY | _SAFELY, dir_fd=source), "rb") as reader,
            os.fdopen(os.open(name, _NEW | _SAFELY, mode & 0o777, dir_fd=target), "wb") as writer,
        ):
            while data := reader.read(_COPY_BYTES):
                room -= len(data)
                if room < 0:
                    raise ScratchError("quota", "the scratch files do not fit into the quota a second time")
                writer.write(data)
    return room


def _fail(error: OSError) -> NoReturn:
    raise error
