"""A folder and a quota -> whether it holds more. For sessions whose scratch folder is not a tmpfs of its own.

The zygote looks a few times a second, from outside. What a guest can write between two looks is bounded only by the
speed of the disk and by RLIMIT_FSIZE for each file: `missing` says that this is weaker than a tmpfs with a size.
"""

from __future__ import annotations

import os

__all__ = ["BYTES_AN_INODE", "is_exceeded"]

BYTES_AN_INODE = 4096  # of the quota: bounds how many empty files fit, and how long a look takes


def is_exceeded(folder: str, disk_bytes: int) -> bool:
    """Return whether the files below `folder` take more room, or are more, than the quota allows.

    Links are not followed: the tree is the guest's, this process is not.
    """
    left, entries = disk_bytes, max(disk_bytes // BYTES_AN_INODE, 16)
    for _, folders, files, fd in os.fwalk(folder, follow_symlinks=False, onerror=None):
        for name in (*folders, *files):
            entries -= 1
            try:
                left -= os.stat(name, dir_fd=fd, follow_symlinks=False).st_blocks * 512
            except OSError:
                continue  # removed meanwhile
            if left < 0 or entries < 0:
                return True
    return False
