"""A mounted folder and the user of a session -> the same folder, whose owner is that user as seen from here. Needs root.

https://man7.org/linux/man-pages/man2/mount_setattr.2.html (MOUNT_ATTR_IDMAP), https://man7.org/linux/man-pages/man7/user_namespaces.7.html

A session of root's has a user of its own, who may not read what root or anybody else keeps for himself. What is mounted for it is
mapped: on the disk the files stay their owner's, and those that the session makes become his.
"""

from __future__ import annotations

import os
import signal
import struct

from pinjra.jail.walls.libc import buffer, syscall, write_file

_NEW_USER = 0x10000000
_CLONE, _RECURSIVE, _EMPTY_PATH, _CLOEXEC = 1, 0x8000, 0x1000, os.O_CLOEXEC
_ATTR_IDMAP = 0x00100000
_MOVE_EMPTY_PATH = 4
_AT_FDCWD = -100


def map_owner(target: str, uid: int, gid: int, process: int) -> None:
    """Let files below the mount `target` that its root's owner has be those of `uid` and `gid` here.

    Args:
        process: Descriptor of a /proc folder.

    Raises:
        OSError: The file system or the kernel cannot (before Linux 5.12; overlays).
    """
    found = os.stat(target)
    namespace = _mapping(f"{found.st_uid} {uid} 1", f"{found.st_gid} {gid} 1", process)
    tree = -1
    try:
        tree = syscall("open_tree", _AT_FDCWD, os.fsencode(target), _CLONE | _RECURSIVE | _CLOEXEC)
        attr = struct.pack("QQQQ", _ATTR_IDMAP, 0, 0, namespace)
        syscall("mount_setattr", tree, b"", _EMPTY_PATH | _RECURSIVE, buffer(attr), len(attr))
        syscall("move_mount", tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_EMPTY_PATH)
    finally:
        for fd in (namespace, tree):
            if fd >= 0:
                os.close(fd)


def _mapping(uids: str, gids: str, process: int) -> int:
    """Return a descriptor of a user namespace with these maps; the process that made it is gone."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            number = os.readlink("self", dir_fd=process)
            syscall("unshare", _NEW_USER)
            os.write(tell, number.encode())
            signal.pause()
        finally:
            os._exit(1)
    os.close(tell)
    try:
        number = os.read(told, 20).decode()
        for name, text in (("uid_map", uids), ("gid_map", gids)):
            write_file(f"{number}/{name}", text, process)
        return os.open(f"{number}/ns/user", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    finally:
        os.close(told)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
