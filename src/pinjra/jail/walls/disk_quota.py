"""A folder and a quota -> whether it holds more. For sessions whose scratch folder is not a tmpfs of its own.

The zygote looks a few times a second, from outside. What a guest can write between two looks is bounded only by the
speed of the disk and by RLIMIT_FSIZE for each file; files that it has removed and still holds open are not seen at all.
`missing` says that this is weaker than a tmpfs with a size.

The tree is the guest's, this process is not: links are not followed, and neither the depth of the tree nor the length
of its paths may cost more than a few descriptors and no recursion.
"""

from __future__ import annotations

import os
import stat

from pinjra.core.removal import FOLDER

BYTES_AN_INODE = 4096  # of the quota: bounds how many empty files fit, and how long a look takes
# Where the blocks of a file lie takes blocks too: one file of the quota's size, which RLIMIT_FSIZE allows, fits.
_OWN_ROOM_BYTES = 64 << 10
_MOST_DEPTH = 64  # one descriptor each; a deeper tree is made only to be in the way


def is_exceeded(folder: str, disk_bytes: int) -> bool:
    """Return whether the files below `folder` take more room, are more, or lie deeper than the quota allows."""
    left, entries = disk_bytes + _OWN_ROOM_BYTES, max(disk_bytes // BYTES_AN_INODE, 16)
    open_folders = [os.open(folder, FOLDER)]
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
                    open_folders.append(os.open(name, FOLDER, dir_fd=open_folders[-1]))
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
