"""Guarantees: what an executor enforces here and now, and by which mechanism."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Boundary = Literal["kernel", "container", "vm", "wasm", "remote", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantees:
    """What this executor enforces here and now. A text names the mechanism; "" means: not enforced.

    Args:
        boundary: What stands between guest and host: "kernel" (own process, confined), "container", "vm", "wasm",
            "remote" (somebody else's machine), or "none" (a process of this user, with a guard).
        isolation: Mechanisms applied, outermost first ("landlock abi 7", "seccomp", "user namespace", …).
        memory, wall, cpu, operations, disk, processes, network, files: The mechanism, or "".
        rollback: A failed step leaves the variables as they were.
        fork: `fork()` works.
        missing: What was asked for or could be had elsewhere and is not applied here, each with its reason.
    """

    boundary: Boundary
    isolation: tuple[str, ...] = ()
    memory: str = ""
    wall: str = ""
    cpu: str = ""
    operations: str = ""
    disk: str = ""
    processes: str = ""
    network: str = ""
    files: str = ""
    rollback: str = ""
    fork: str = ""
    missing: tuple[str, ...] = field(default=())


# What a hardened container of this machine enforces instead of the worker in it.
BY_CONTAINER: Mapping[str, str] = {
    "memory": "cgroup",
    "processes": "cgroup pids",
    "disk": "tmpfs size",
    "wall": "host timer, kill",
    "files": "scratch on tmpfs",
}
