"""Readable and writable paths -> a Landlock domain that this process and its children can never leave.

https://docs.kernel.org/userspace-api/landlock.html, https://man7.org/linux/man-pages/man7/landlock.7.html

Landlock needs no privilege. What it can restrict grew with its ABI: 1 files, 2 links and renames between folders,
3 truncation, 4 TCP, 5 device ioctls, 6 abstract Unix sockets and signals to processes outside. It does not hide that a
path exists (stat), and does not govern modes, owners and times: the seccomp policy and the mount namespace do.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable, Iterable

from pinjra.jail.walls.libc import buffer, prctl, prepared, syscall

# linux/landlock.h
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_SOCK, _MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 11
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_FILE_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_FILE_RIGHTS = (1 << 16) - 1  # from ABI 5
_TCP_RIGHTS = 0b11  # bind, connect
_SCOPES = 0b11  # abstract Unix sockets, signals
_CREATE_VERSION = 1
_RULE_PATH_BENEATH = 1

_READ = _READ_FILE | _READ_DIR
# SECURITY: nothing in it is run; no device nodes and no sockets in the scratch folder.
_SCRATCH = _FILE_RIGHTS & ~(_EXECUTE | _MAKE_CHAR | _MAKE_BLOCK | _MAKE_SOCK | _IOCTL_DEV)


def abi() -> int:
    """Return the kernel's Landlock ABI; 0 where there is none or it is switched off at boot."""
    try:
        return syscall("landlock_create_ruleset", None, 0, _CREATE_VERSION)
    except OSError:
        return 0


def apply(
    readable: Iterable[str],
    writable: Iterable[str],
    devices: Iterable[str],
    *,
    network: bool,
    executable: Iterable[str] = (),
    terminals: Iterable[str] = (),
) -> None:
    """Confine this process for ever: `readable` for reading, `writable` for everything but execution, nothing else.

    Args:
        readable, writable: Files or folders with all below them; one that does not exist is left out.
        devices: Files that may be read and written, not truncated or controlled.
        network: TCP stays open (the scopes hold nevertheless).
        terminals: Folders of terminals of the session's own, which it may also control.
        executable: Files that may be run and read (programs and their loader), folders with all below them.

    Raises:
        OSError: The kernel refused (the machine's fault).
    """
    version = abi()
    handled = _FILE_RIGHTS_BY_ABI.get(version, _FILE_RIGHTS)
    attributes = struct.pack("Q", handled)
    if version >= 4:
        attributes += struct.pack("Q", 0 if network else _TCP_RIGHTS)
    if version >= 6:
        attributes += struct.pack("Q", _SCOPES)
    ruleset = syscall("landlock_create_ruleset", buffer(attributes), len(attributes), 0)
    try:
        for paths, rights in (
            (readable, _READ),
            (writable, _SCRATCH),
            (devices, _READ_FILE | _WRITE_FILE),
            (executable, _EXECUTE | _READ),
            (terminals, _READ | _WRITE_FILE | _IOCTL_DEV),
        ):
            for path in paths:
                _add(ruleset, path, rights & handled)
        prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
        # SECURITY: from here on the rules hold, for all children too
        syscall("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def signal_scope() -> Callable[[], bool]:
    """Return what lets a process and its children signal no other process of their box, and says whether it could.

    Each call makes a domain of its own. What the call needs is made here, once: forked children, which call it, would copy it.

    Raises:
        OSError: The kernel (ABI 6) has no such scope.
    """
    ruleset = syscall("landlock_create_ruleset", buffer(struct.pack("QQQ", 0, 0, _SCOPES & 0b10)), 24, 0)
    restrict = prepared("landlock_restrict_self", ruleset, 0)
    return lambda: restrict() == 0  # SECURITY: no_new_privs is set since the box was made


def _add(ruleset: int, path: str, rights: int) -> None:
    """Allow `rights` below `path`; the rights of folders are taken off for a file, else the kernel says EINVAL."""
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES, errno.ENOTDIR):
            return
        raise
    try:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            rights &= _EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE
        rule = buffer(struct.pack("=Qi", rights, beneath))
        syscall("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(beneath)
