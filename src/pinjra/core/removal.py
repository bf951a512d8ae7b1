"""A folder that a guest has filled -> nothing. Links are not followed, and no depth is too great.

A tree 2,000 folders deep ended a zygote; `shutil.rmtree`, which calls itself for each level, ended sessions of wasm with an error
and left their folders.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from contextlib import suppress
from itertools import count

# SECURITY: a link would lead out
FOLDER = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC"))

_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class _Later(Exception):
    """The time is over."""


def remove(folder: str | os.PathLike[str], seconds: float = float("inf")) -> bool:
    """Remove `folder` and all below it, when nobody writes there any more; False when time or descriptors are few (ask again).

    Folders are moved up before they are emptied, so that no depth is too great. What cannot be removed is left.

    Args:
        seconds: Removing waits for the disk, which may discard each block before it answers: whoever has other things to
            do does it bit by bit.
    """
    if not shutil.rmtree.avoids_symlink_attacks:  # Windows has no descriptors of folders
        shutil.rmtree(folder, ignore_errors=True)
        return True
    deadline = time.monotonic() + seconds
    try:
        with suppress(OSError):
            os.rmdir(folder)  # an empty one takes no descriptor; to list one takes two
            return True
        root = os.open(folder, FOLDER)
        try:
            _remove_below(root, deadline)
            os.rmdir(folder)
        finally:
            os.close(root)
    except _Later:
        return False
    except OSError as error:  # it is gone; or what is in the way stays
        return error.errno not in _NO_DESCRIPTORS
    return True


def _remove_below(root: int, deadline: float) -> None:
    """Remove what is in `root`, as far as that works."""
    numbers = count()
    while below := _unlink_files(root, deadline):
        for name in below:
            if not _empty(root, name, numbers, deadline):
                return


def _empty(root: int, name: str, numbers: count[int], deadline: float) -> bool:
    """Move the folders in `name` to `root` and remove it; False when that does not work."""
    try:
        open_up(name, root)  # not a link: `_unlink_files` has seen to that
        fd = os.open(name, FOLDER, dir_fd=root)
        try:
            for inner in _unlink_files(fd, deadline):
                open_up(inner, fd)  # a folder that cannot be written cannot be moved
                os.rename(inner, f".{next(numbers)}-{os.urandom(8).hex()}", src_dir_fd=fd, dst_dir_fd=root)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=root)
    except OSError as error:
        if error.errno in _NO_DESCRIPTORS:
            raise
        return False
    return True


def open_up(name: str, folder: int) -> None:
    """Give a folder's owner all rights to it, where this process may change modes: the jail without a private view may not."""
    with suppress(OSError):
        os.chmod(name, 0o700, dir_fd=folder)


def _unlink_files(folder: int, deadline: float) -> list[str]:
    """Remove everything in `folder` that is no folder; return the folders."""
    below = []
    for name in os.listdir(folder):
        if time.monotonic() > deadline:
            raise _Later
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            below.append(name)
        else:
            os.unlink(name, dir_fd=folder)
    return below
