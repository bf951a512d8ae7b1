"""Privileges -> none: capability sets emptied, an unprivileged uid for good.

https://man7.org/linux/man-pages/man7/capabilities.7.html
"""

from __future__ import annotations

import os
import struct

from pinjra.jail.walls.libc import buffer, prctl, syscall

_CAPBSET_DROP, _CAP_AMBIENT, _AMBIENT_CLEAR_ALL, _SET_DUMPABLE = 24, 47, 4, 4  # linux/prctl.h
_VERSION_3 = 0x20080522

# Uids 0x70000000 and up are given to nobody: see the table at https://systemd.io/UIDS-GIDS/
_FIRST_UID = 0x70000000
_NOBODY = 65534


def owns_all_uids() -> bool:
    """Return whether this user namespace maps every uid, so that each session can have one of its own."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return any(int(line.split()[0]) == 0 and int(line.split()[2]) >= 0xFFFFFFFF for line in file)


def uid_for(process: int, all_uids: bool) -> int:
    """Return an unprivileged uid of the host for the session whose first process is `process`.

    No two live sessions share one (RLIMIT_NPROC and kill then know them apart), where all uids can be used; else nobody's.
    """
    return _FIRST_UID + process if all_uids else _NOBODY


def become(uid: int) -> None:
    """Be `uid` and the group of the same number, with no other group, and no way back.

    Raises:
        OSError: Not permitted (the machine's fault).
    """
    os.setgroups([])  # SECURITY: files that a group of root may read would be open to it
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def allow_uid_map() -> None:
    """Make /proc/self writable again for this process; a change of uid took that away."""
    prctl(_SET_DUMPABLE, 1)


def forbid_inspection() -> None:
    """Let no other process of this uid trace this one, read its memory, or get a core file of it."""
    prctl(_SET_DUMPABLE, 0)


def drop_all() -> None:
    """Empty the bounding, ambient, inheritable, permitted and effective sets of this process.

    Raises:
        OSError: The kernel kept one (the machine's fault).
    """
    _clear_bounding()
    prctl(_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    header = buffer(struct.pack("Ii", _VERSION_3, 0))
    syscall("capset", header, buffer(bytes(24)))


def _clear_bounding() -> None:
    """Drop what this process may drop; without CAP_SETPCAP the set is no way up (no_new_privs is on)."""
    for capability in range(64):
        try:
            prctl(_CAPBSET_DROP, capability)
        except OSError:
            return
