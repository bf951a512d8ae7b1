"""A folder and a quota -> whether it holds more, and its end. For sessions whose scratch folder is not a tmpfs of its own.

The zygote looks a few times a second, from outside. What a guest can write between two looks is bounded only by the
speed of the disk and by RLIMIT_FSIZE for each file; files that it has removed and still holds open are not seen at all.
`missing` says that this is weaker than a tmpfs with a size.

The tree is the guest's, this process is not: links are not followed, and neither the depth of the tree nor the length
of its paths may cost more than a few descriptors and no recursion (a tree 2,000 folders deep once ended the zygote).
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from itertools import count

BYTES_AN_INODE = 4096  # of the quota: bounds how many empty files fit, and how long a look takes
# Where the blocks of a file lie takes blocks too: one file of the quota's size, which RLIMIT_FSIZE allows, fits.
_OWN_ROOM_BYTES = 64 << 10
_MOST_DEPTH = 64  # one descriptor each; a deeper tree is made only to be in the way
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # SECURITY: a link would lead out


def is_exceeded(folder: str, disk_bytes: int) -> bool:
    """Return whether the files below `folder` take more room, are more, or lie deeper than the quota allows."""
    left, entries = disk_bytes + _OWN_ROOM_BYTES, max(disk_bytes // BYTES_AN_INODE, 16)
    open_folders = [os.open(folder, _FOLDER)]
    names = [iter(os.listdir(open_folders[0]))]
    try:
        while names:
            name = next(names[-1], None)
            if name is None:
                names.pop()
                os.close(open_folders.pop())
                continue
            entries -= 1
            try:
                found = os.stat(name, dir_fd=open_folders[-1], follow_symlinks=False)
                left -= found.st_blocks * 512
                if stat.S_ISDIR(found.st_mode):
                    open_folders.append(os.open(name, _FOLDER, dir_fd=open_folders[-1]))
                    names.append(iter(os.listdir(open_folders[-1])))
            # SECURITY: a folder that can be written and not listed would hide what is in it
            except PermissionError:
                return True
            except OSError:
                continue  # removed meanwhile
            if left < 0 or entries < 0 or len(names) > _MOST_DEPTH:
                return True
    finally:
        for fd in open_folders:
            os.close(fd)
    return False


class _Later(Exception):
    """The time is over."""


def remove(folder: str, seconds: float = float("inf")) -> bool:
    """Remove `folder` and all below it, when nobody writes there any more; False when the time did not suffice (ask again).

    Folders are moved up before they are emptied, so that no depth is too great. What cannot be removed is left.

    Args:
        seconds: Removing waits for the disk, which may discard each block before it answers: whoever has other things to
            do does it bit by bit.
    """
    deadline = time.monotonic() + seconds
    try:
        root = os.open(folder, _FOLDER)
    except OSError:
        return True
    try:
        _remove_below(root, deadline)
        os.rmdir(folder)
    except _Later:
        return False
    except OSError:  # what is in the way stays
        return True
    finally:
        os.close(root)
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
        fd = os.open(name, _FOLDER, dir_fd=root)
        try:
            for inner in _unlink_files(fd, deadline):
                open_up(inner, fd)  # a folder that cannot be written cannot be moved
                os.rename(inner, f".{next(numbers)}-{os.urandom(8).hex()}", src_dir_fd=fd, dst_dir_fd=root)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=root)
    except OSError:
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
