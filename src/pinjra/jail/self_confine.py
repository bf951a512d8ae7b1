"""This process -> confined by itself, for ever, with the mechanisms that need no zygote: Landlock, seccomp, rlimits.

For a worker that was started at the far end of somebody's stream. It asks for nothing less than the jail does: files, network,
system calls and signals are closed, or `JailUnavailable` says which mechanism is missing.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from pinjra.core.removal import remove
from pinjra.core.temporary_folders import make_folder, sweep
from pinjra.jail import paths, plan, profile
from pinjra.jail.confine import Prepared, Spec, confine, forget_signals
from pinjra.jail.probe import Kernel, probe
from pinjra.jail.walls import capabilities, rlimits, seccomp
from pinjra.jail.walls.syscalls import machine


@dataclass(frozen=True)
class SelfConfined:
    """What was applied to this process.

    Args:
        counts: Descriptors of `profile.COUNTS`: afterwards there is no /proc.
    """

    applied: tuple[str, ...]
    missing: tuple[str, ...]
    counts: dict[str, int]


def self_confine(spec: Spec) -> SelfConfined:
    """Confine this process, which has one thread and nothing open but its stream (descriptors 0 to 2).

    Raises:
        JailUnavailable: The kernel cannot give what is required (the machine's fault).
        OSError: A step did not work; the caller must end this process at once.
    """
    kernel = probe()
    chosen = _plan(kernel)
    sweep(profile.SCRATCH_PREFIX, remove)
    scratch, lock = make_folder(profile.SCRATCH_PREFIX)
    process = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    counts = {name: os.open(f"/proc/{file}", os.O_RDONLY) for name, file in profile.COUNTS.items()}
    try:
        shown, left_out = paths.readable((), network=False)
        left_out += paths.unreachable(shown) if chosen.by_root else ()
        forget_signals()
        sys.argv[:] = [""]
        keep = frozenset({0, 1, 2, lock, *counts.values()})
        confine(chosen, spec, _box(chosen, scratch, shown, process, keep))
    except BaseException:
        remove(scratch)
        raise
    return SelfConfined(chosen.applied, (*chosen.missing, *left_out), counts)


def _plan(kernel: Kernel) -> plan.Plan:
    """Return the plan without what only a zygote can do: it makes namespaces and groups from outside of the session."""
    names = ("cgroup memory", "cgroup pids", "user namespace", *kernel.namespaces)
    return plan.make(kernel, without=names)


def _box(
    chosen: plan.Plan, scratch: str, shown: tuple[str, ...], process: int, keep: frozenset[int]
) -> Prepared:
    uid, gid = os.getuid(), os.getgid()
    if chosen.by_root:
        uid = gid = capabilities.uid_for(os.getpid(), capabilities.owns_all_uids())
        os.chown(scratch, uid, gid)
    rules = seccomp.policy(private_view=False, network=False)
    return Prepared(
        scratch=scratch,
        readable=(*shown, *profile.DEVICES),
        process=process,
        uid=uid,
        gid=gid,
        others=0 if chosen.by_root else rlimits.processes_of(uid),
        group=None,
        keep=keep,
        parent=os.getppid(),
        filter=seccomp.assemble(rules, machine()),
    )
