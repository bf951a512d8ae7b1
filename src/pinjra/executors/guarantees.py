"""Guarantees: what an executor enforces here and now, and by which mechanism."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

__all__ = ["Guarantees", "of_container", "of_worker"]


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


def of_worker(
    boundary: Literal["kernel", "container", "vm", "wasm", "remote", "none"],
    *isolation: str,
    has_guard: bool,
    network: str = "",
    **others: str,
) -> Guarantees:
    """Return what the worker enforces wherever it runs, behind what stands around it.

    Args:
        isolation: Mechanisms, outermost first.
        network: How it is taken away, or "".
        others: Fields that something else than the worker enforces.
    """
    own = Guarantees(
        boundary=boundary,
        isolation=isolation,
        memory="RLIMIT_DATA",
        wall="host timer, kill by the supervisor",
        cpu="measured by the supervisor",
        operations="guard" if has_guard else "",
        disk="RLIMIT_FSIZE, supervisor's quota",
        processes="counted by the supervisor",
        network=network,
        files="scratch folder",
        rollback="forked checkpoint",
    )
    return replace(own, **cast("dict[str, Any]", others))


def of_container(*isolation: str, has_guard: bool, network: str) -> Guarantees:
    """Return what a hardened container of this machine enforces; see `of_worker`."""
    by_cgroup = {"memory": "cgroup", "processes": "cgroup pids", "disk": "tmpfs size"}
    others = {**by_cgroup, "wall": "host timer, kill", "files": "scratch on tmpfs"}
    return of_worker("container", *isolation, has_guard=has_guard, network=network, **others)
