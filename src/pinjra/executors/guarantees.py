"""Guarantees: what an executor enforces here and now, and by which mechanism."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Guarantees", "of_container", "of_vendor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantees:
    """What this executor enforces here and now. A text names the mechanism; "" means: not enforced.

    Args:
        boundary: What stands between guest and host: "kernel" (own process, confined), "container", "vm", "wasm",
            "remote" (somebody else's machine), or "none" (this process).
        isolation: Mechanisms applied, outermost first ("landlock abi 7", "seccomp", "user namespace", …).
        memory, wall, cpu, operations, disk, processes, network, files: The mechanism, or "".
        rollback: A failed step leaves the variables as they were.
        fork: `fork()` works.
        missing: What was asked for or could be had elsewhere and is not applied here, each with its reason.
    """

    boundary: Literal["kernel", "container", "vm", "wasm", "remote", "none"]
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


def of_vendor(isolation: str, *, has_guard: bool, network: str) -> Guarantees:
    """Return what somebody else's sandbox and the worker in it enforce.

    Args:
        isolation: What the vendor says stands around the sandbox.
        network: How it is blocked, or "".
    """
    return Guarantees(
        boundary="remote",
        isolation=(isolation,),
        memory="RLIMIT_DATA in the sandbox",
        wall="host timer, kill by the supervisor",
        cpu="measured by the supervisor",
        operations="guard" if has_guard else "",
        disk="RLIMIT_FSIZE, supervisor's quota",
        processes="counted by the supervisor",
        network=network,
        files="scratch folder in the sandbox",
        rollback="forked checkpoint",
    )


def of_container(*isolation: str, has_guard: bool, network: str) -> Guarantees:
    """Return what a hardened container of this machine enforces.

    Args:
        isolation: Mechanisms, outermost first.
        network: How it is taken away, or "".
    """
    return Guarantees(
        boundary="container",
        isolation=isolation,
        memory="cgroup",
        wall="host timer, kill",
        cpu="measured by the supervisor",
        operations="guard" if has_guard else "",
        disk="tmpfs size",
        processes="cgroup pids",
        network=network,
        files="scratch on tmpfs",
        rollback="forked checkpoint",
    )
