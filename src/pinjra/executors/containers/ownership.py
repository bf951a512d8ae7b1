"""Who holds a container or pod, as one line of text: enough to tell later, on the same machine, that the holder is dead."""

from __future__ import annotations

import os
import socket

from pinjra.core.processes import stat_fields


def holder() -> str:
    """Return "<host name>/<boot id>/<pid>/<start time>" of this process."""
    return "/".join([socket.gethostname(), _boot_id(), str(os.getpid()), _start_time(os.getpid())])


def is_abandoned(lease: str) -> bool:
    """Return whether `lease` was made on this machine by a process that is dead. Other machines' are never judged."""
    host, boot, pid, start = [*lease.split("/"), "", "", ""][:4]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    return boot != _boot_id() or _start_time(int(pid)) != start


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def _start_time(pid: int) -> str:
    """Return when a process began: with the pid it names one process of one boot; "" when there is none."""
    try:
        return stat_fields(pid)[19].decode()
    except (OSError, IndexError):
        return ""
