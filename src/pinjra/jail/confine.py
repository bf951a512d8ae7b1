"""A plan and a session's limits -> this process confined for ever. Runs in a child that the zygote has just forked.

The order matters and is the file's content: what needs rights comes first, what takes rights away after it, the system
call filter last, because each step before it makes calls that the filter kills for.
"""

from __future__ import annotations

import errno
import os
import signal
import tempfile
from contextlib import suppress
from dataclasses import dataclass

from pinjra.jail import profile
from pinjra.jail.plan import Plan
from pinjra.jail.walls import capabilities, landlock, loopback, namespaces, owners, rlimits, seccomp
from pinjra.jail.walls.cgroups import Group
from pinjra.jail.walls.libc import PDEATHSIG, close_all_but, prctl, syscall

_SESSION_NAMESPACES = (
    "mount namespace",
    "network namespace",
    "ipc namespace",
    "uts namespace",
    "cgroup namespace",
)


@dataclass(frozen=True)
class Spec:
    """What one session may use; None: not limited."""

    memory_bytes: int | None
    disk_bytes: int | None
    processes: int | None

    @property
    def group_memory_bytes(self) -> int | None:
        """Return the memory of the whole session: the scratch folder is memory too."""
        return None if self.memory_bytes is None else self.memory_bytes + (self.disk_bytes or 0)

    @property
    def group_processes(self) -> int | None:
        """Return the processes of the whole session: supervisor and checkpoint are not the guest's."""
        return None if self.processes is None else self.processes + 2


@dataclass(frozen=True)
class Prepared:
    """What the zygote has prepared for the session.

    Args:
        scratch: The folder to mount on or, without a mount namespace, the session's own folder.
        readable: Used where there is no private view.
        process: Descriptor of a /proc folder.
        uid, gid: Whom to become, as root; else who this process is.
        others: Processes of that uid outside the session.
        keep: Descriptors that stay open.
        parent: The zygote's process number.
        filter: The system call filter, assembled once for all sessions.
        writable: Folders besides the scratch folder.
        mounts: Where the user's folders are mounted, to be mapped to this session's user.
        folders: Of the view, to be written by the session besides the scratch folder, within its quota.
        door: Where the sockets of the session's own network are sent; -1: it has none.
        ports, addresses: Of these sockets.
    """

    scratch: str
    readable: tuple[str, ...]
    process: int
    uid: int
    gid: int
    others: int
    group: Group | None
    keep: frozenset[int]
    parent: int
    filter: bytes
    writable: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    door: int = -1
    ports: tuple[int, ...] = ()
    addresses: tuple[str, ...] = ()


def confine(plan: Plan, spec: Spec, box: Prepared) -> None:
    """Apply all of `plan` to this process.

    Raises:
        OSError, ValueError: A step did not work; the caller must end this process at once.
    """
    if box.group is not None:
        box.group.enter()
    reserved = _reserved_bytes(box.process)
    _leave_host(plan, spec, box)
    if not plan.has("pid namespace"):
        _die_with(box.parent)  # SECURITY: else a session may outlive its host
    os.chdir(box.scratch)
    os.umask(0o077)
    if os.environ.get("HOME") != box.scratch:
        set_environment(box.scratch)
    rlimits.apply(
        memory_bytes=spec.memory_bytes,
        file_bytes=None if plan.has("scratch tmpfs") and not box.writable else spec.disk_bytes,
        processes=_most_processes(spec, has_group=plan.has("cgroup pids")),
        reserved_bytes=reserved,
        others=box.others,
        has_group=plan.has("cgroup memory"),
        may_reserve=plan.makes_code,
    )
    close_all_but(box.keep)  # SECURITY: a descriptor that stays open is a way around every rule below
    if plan.has("landlock files"):
        readable = ("/",) if plan.has("mount namespace") else box.readable
        executable = readable if plan.programs else ()
        if plan.makes_code:
            executable = (*executable, box.scratch, *box.folders)
        landlock.apply(
            readable,
            (box.scratch, *box.folders, *box.writable),
            profile.DEVICES,
            terminals=(profile.TERMINALS,) if plan.terminals else (),
            network=plan.network or plan.hosts,
            executable=executable,
        )
    prctl(38, 1)  # PR_SET_NO_NEW_PRIVS. SECURITY: a set-id program would give rights back
    capabilities.drop_all()  # SECURITY: who stays root has no more rights than another user, but root's own files
    if plan.by_root and os.getuid() == 0:
        raise OSError(errno.EPERM, "still uid 0: not unprivileged")
    capabilities.forbid_inspection()  # SECURITY: the session's other processes could read this one's memory
    if plan.has("seccomp"):
        seccomp.apply(box.filter)  # SECURITY: last, and before the first byte of the host is read


def _most_processes(spec: Spec, *, has_group: bool) -> int | None:
    """Return RLIMIT_NPROC. Where the group counts more exactly, there is room for forked sessions; each widens the group."""
    own = spec.group_processes
    return own if own is None or not has_group else own * profile.SESSIONS


def _leave_host(plan: Plan, spec: Spec, box: Prepared) -> None:
    """Go into the namespaces and become unprivileged, in the order that each way needs."""
    wanted = [name for name in _SESSION_NAMESPACES if plan.has(name)]
    if plan.by_root:
        namespaces.unshare(wanted)
        _furnish(plan, spec, box)
        capabilities.become(box.uid)  # SECURITY: before the user namespace, or "root inside" is root outside
        if plan.has("user namespace"):
            capabilities.allow_uid_map()
            namespaces.unshare(["user namespace"])
            namespaces.map_user(box.uid, box.gid, box.process)
    elif plan.has("user namespace"):
        namespaces.unshare(["user namespace", *wanted])
        namespaces.map_user(box.uid, box.gid, box.process)
        _furnish(plan, spec, box)


def _furnish(plan: Plan, spec: Spec, box: Prepared) -> None:
    """Fill the new namespaces: a scratch folder of its own, a host name that tells nothing."""
    if plan.has("mount namespace"):
        namespaces.mount_scratch(
            box.scratch,
            disk_bytes=spec.disk_bytes,
            uid=box.uid,
            gid=box.gid,
            executable=plan.makes_code,
            folders=box.folders,
        )
        if plan.terminals:
            namespaces.mount_terminals(profile.TERMINALS)
        # SECURITY: in this namespace only; without one of its own the mount would be the machine's
        for target in box.mounts if plan.by_root else ():
            with suppress(OSError):  # a file system that cannot (overlays): then what others may read is read
                owners.map_owner(target, box.uid, box.gid, box.process)
    if plan.hosts:
        loopback.raise_loopback(box.addresses)
    if box.door >= 0:
        loopback.hand_over(box.door, box.ports)
    if plan.has("uts namespace"):
        syscall("sethostname", b"jail", 4)


def forget_signals() -> None:
    """Give every signal what a fresh Python gives it, and block none: the choices of whoever started this process do not stay."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) not in (
            signal.SIG_DFL,
            None,
        ):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when the zygote dies; called after the change of uid, which would reset it."""
    prctl(PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)


def _reserved_bytes(process: int) -> int:
    """Return the address space that this process has before it runs guest code."""
    with os.fdopen(os.open("self/statm", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process), "rb") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def set_environment(scratch: str) -> None:
    """Have the environment of a session, and nothing else in it."""
    os.environ.clear()
    os.environ.update(profile.ENVIRONMENT, HOME=scratch, TMPDIR=scratch)
    tempfile.tempdir = None  # it remembers where the zygote's lie
