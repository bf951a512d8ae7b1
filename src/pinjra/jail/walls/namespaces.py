"""Folders to show -> a private, read-only view of the file system, and namespaces with nothing in them.

https://man7.org/linux/man-pages/man7/namespaces.7.html, mount_namespaces.7, user_namespaces.7, pid_namespaces.7,
https://man7.org/linux/man-pages/man2/pivot_root.2.html, mount_setattr.2

The zygote builds the view once (`build_view`) and lives in it; a session gets a copy of its few mounts and adds only
its own scratch folder (`mount_scratch`), which is why it starts in a millisecond. There is no /proc in the view: what a
library wants of it, it has read while the zygote preloaded it.

Two processes cannot do what is done here from one: a process enters a new pid namespace only as its first child, and a
second `unshare(CLONE_NEWPID)` is refused, until `setns` has put the first one back. So the zygote is the first process of a
namespace of its own, and each session's first process is its direct child (`in_new_pid_namespace`). If the zygote dies,
by whatever signal, the kernel kills all of them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pinjra.jail.walls.disk_quota import BYTES_AN_INODE
from pinjra.jail.walls.libc import buffer, syscall, write_file

FLAGS = {  # linux/sched.h
    "mount namespace": 0x00020000,
    "cgroup namespace": 0x02000000,
    "uts namespace": 0x04000000,
    "ipc namespace": 0x08000000,
    "user namespace": 0x10000000,
    "pid namespace": 0x20000000,
    "network namespace": 0x40000000,
}
# linux/mount.h
_NOSUID, _NODEV, _NOEXEC, _BIND, _REC, _PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV, _ATTR_NOEXEC = 1, 2, 4, 8
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_DETACH = 2
_LINKS = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")  # links into /usr on merged systems


def unshare(names: Iterable[str]) -> None:
    """Leave the named namespaces for new ones.

    Raises:
        OSError: Not permitted here (the machine's fault).
    """
    flags = 0
    for name in names:
        flags |= FLAGS[name]
    if flags:
        syscall("unshare", flags)


def map_user(uid: int, gid: int, process: int) -> None:
    """Map `uid` and `gid`, and nothing else, into the user namespace that this process has just made.

    Args:
        process: Descriptor of a folder /proc, or -1 for the one that is mounted.

    Raises:
        OSError: Not permitted (the machine's fault).
    """
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        write_file(
            f"self/{name}" if process >= 0 else f"/proc/self/{name}", text, process if process >= 0 else None
        )


@contextmanager
def in_new_pid_namespace(own: int) -> Iterator[None]:
    """Make the next child of this process the first of a new pid namespace.

    Args:
        own: Descriptor of this process's own /proc/self/ns/pid.
    """
    syscall("unshare", FLAGS["pid namespace"])
    try:
        yield
    finally:
        syscall("setns", own, FLAGS["pid namespace"])


def build_view(
    readable: Iterable[str],
    devices: Iterable[str],
    writable: Sequence[str],
    texts: Mapping[str, str] | None = None,
    folders: Mapping[str, tuple[str, bool]] | None = None,
    *,
    terminals: str = "",
) -> None:
    """Replace this mount namespace's root by an empty one that shows only these paths, read-only, at their own places.

    Args:
        readable: Folders and files that exist; links on the way are resolved, and made again in the view.
        writable: Empty folders to mount a session's own on, later; the last is for shared memory, too.
        texts: Path -> content of files that the host does not have.
        folders: Path -> what of the host stands there, and whether it may be changed.
        terminals: An empty folder to mount a session's own terminals on, later.

    Raises:
        OSError: Not permitted (the machine's fault).
    """
    _mount("none", "/", "", _REC | _PRIVATE)  # SECURITY: nothing done here shows outside
    root = "/proc"  # a folder that is always there and never shown; gone from sight after the pivot
    _mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV | _NOEXEC, "size=1m,nr_inodes=4k,mode=755")
    # by their real places: a folder comes before what links lead to below it (/etc/localtime, into the time zones)
    for path in sorted(set(readable), key=lambda path: (os.path.realpath(path), path)):
        _show(path, root, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV)
    for path in devices:
        # SECURITY: read-only keeps the host's own node from being touched; writing to a device goes on all the same
        _show(path, root, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NOEXEC)
    for target, (source, is_writable) in (folders or {}).items():
        show_folder(source, root + target, writable=is_writable)
    for path, text in (texts or {}).items():
        os.makedirs(root + os.path.dirname(path), mode=0o755, exist_ok=True)
        Path(root + path).write_text(text, encoding="utf-8")
        os.chmod(root + path, 0o444)
    for link in _LINKS:
        if os.path.islink(link) and not os.path.lexists(root + link):
            os.symlink(os.readlink(link), root + link)
    for folder in (*writable, "/.old", "/dev"):
        os.makedirs(root + folder, exist_ok=True)
    # named semaphores and shared memory, which multiprocessing is made of: in the scratch folder, within its quota
    os.symlink(writable[-1], f"{root}/dev/shm")  # noqa: S108 (of the view)
    if terminals:
        os.makedirs(root + terminals, exist_ok=True)
        os.symlink(f"{terminals}/ptmx", f"{root}/dev/ptmx")
    syscall("pivot_root", root.encode(), f"{root}/.old".encode())
    os.chdir("/")
    syscall("umount2", b"/.old", _DETACH)  # SECURITY: the host's file system is gone from this namespace
    os.rmdir("/.old")
    # SECURITY: the view's own root takes no files either
    _set_attributes("/", _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV | _ATTR_NOEXEC, recursive=False)


def _show(path: str, root: str, attributes: int) -> None:
    """Bind `path` (its real place) below `root`; a path that is shown already with a folder above it is left."""
    real = os.path.realpath(path)
    target = root + real
    if not os.path.lexists(target) or (os.path.isdir(target) and not os.listdir(target)):
        if os.path.isdir(real):
            os.makedirs(target, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            Path(target).touch()
        _mount(real, target, "", _BIND | _REC)
        _set_attributes(target, attributes, recursive=True)
    if path != real and not os.path.lexists(root + path):
        os.makedirs(root + os.path.dirname(path), exist_ok=True)
        os.symlink(os.path.relpath(real, os.path.dirname(path)), root + path)


def show_folder(source: str, target: str, *, writable: bool) -> None:
    """Bind a folder or file of the host at `target` of the view that is being built below `build_view`'s root."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        Path(target).touch()
    _mount(source, target, "", _BIND | _REC)
    # SECURITY: nothing that lies in it is executed, has a set-id bit or is a device
    attributes = _ATTR_NOSUID | _ATTR_NODEV | _ATTR_NOEXEC | (0 if writable else _ATTR_RDONLY)
    _set_attributes(target, attributes, recursive=True)


def mount_scratch(
    path: str,
    *,
    disk_bytes: int | None,
    uid: int,
    gid: int,
    executable: bool = False,
    folders: Sequence[str] = (),
) -> None:
    """Mount the session's own scratch folder: memory-backed, with a quota of bytes and of files.

    Args:
        folders: Places of the view that are folders of the same file system, so that one quota holds for all.

    Raises:
        OSError: Not permitted (the machine's fault).
    """
    # SECURITY: noexec (below): what a guest wrote is never mapped executable
    options = f"mode=700,uid={uid},gid={gid}"
    if disk_bytes is not None:
        options += f",size={disk_bytes},nr_inodes={max(disk_bytes // BYTES_AN_INODE, 16)}"
    flags = _NOSUID | _NODEV | (0 if executable else _NOEXEC)
    _mount("tmpfs", path, "tmpfs", flags, options)
    # `path` last: it hides what it is a part of
    for number, folder in enumerate((*folders, path) if folders else ()):
        part = f"{path}/{number}"
        os.mkdir(part, 0o700)
        os.chown(part, uid, gid)
        _mount(part, folder, "", _BIND)  # SECURITY: a bind of ours keeps the flags of its file system


def mount_terminals(path: str) -> None:
    """Mount terminals that are this session's own, and belong to whoever opens them.

    Raises:
        OSError: Not permitted (the machine's fault).
    """
    _mount("devpts", path, "devpts", _NOSUID | _NOEXEC, "newinstance,ptmxmode=0666,mode=0600,max=64")


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    syscall("mount", os.fsencode(source), os.fsencode(target), kind.encode(), flags, options.encode() or None)


def _set_attributes(path: str, attributes: int, *, recursive: bool) -> None:
    """Set mount attributes and leave the others, so that flags locked by a parent namespace are no obstacle."""
    attr = struct.pack("QQQQ", attributes, 0, 0, 0)
    syscall(
        "mount_setattr",
        _AT_FDCWD,
        os.fsencode(path),
        _AT_RECURSIVE if recursive else 0,
        buffer(attr),
        len(attr),
    )
