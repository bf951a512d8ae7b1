"""This machine -> what its kernel offers to this process, found by trying (in a child that is thrown away).

Files and version numbers lie: a kernel may have user namespaces and a security module that takes their rights away,
or the right Landlock and a container's filter in front of it. So each thing is done once, for real.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from pinjra.jail.walls import capabilities, cgroups, landlock, namespaces, seccomp
from pinjra.jail.walls.libc import syscall

_SHARED_UID = (
    "not every uid can be used here (uid_map), so the session's is shared with other processes of nobody"
)


@dataclass(frozen=True)
class Kernel:
    """What can be used here. Where a text is kept, "" means that it works, and else it is the reason why not.

    Args:
        unprivileged_uid: As root, a session can be given a uid without rights.
        own_uid: ... and one that nobody else has; else it is the one called "nobody", which others may have too.
        namespaces: Name → reason. What root can make, where it has its rights; else what a user namespace of its own allows.
        nested_user_namespace: An unprivileged process can make a user namespace.
    """

    uid: int
    seccomp: str
    landlock_abi: int
    unprivileged_uid: str
    own_uid: str
    nested_user_namespace: str
    namespaces: dict[str, str] = field(default_factory=dict)
    landlock: str = ""
    cgroups: cgroups.Parents = field(default_factory=lambda: cgroups.Parents(2, {}, {}, ""))


def probe() -> Kernel:
    """Return what this kernel offers. Call it in a process with a single thread: it forks.

    Raises:
        OSError: A child could not be forked (the machine's fault).
    """
    if not sys.platform.startswith("linux"):
        return Kernel(os.getuid(), f"the jail needs Linux, this is {sys.platform}", 0, "", "", "")
    unprivileged_uid = _attempt(_give_up_root) if os.geteuid() == 0 else "not started as root"
    is_root = not unprivileged_uid  # root without its rights does what an unprivileged user does
    names = [name for name in namespaces.FLAGS if name != "user namespace"]
    enter = _as_root if is_root else _as_user
    found = {name: _attempt(lambda name=name: enter(name)) for name in names}  # type: ignore[misc]
    nested = _attempt(_nested if is_root else _user_namespace)
    return Kernel(
        uid=os.geteuid(),
        seccomp=seccomp.is_supported(),
        landlock_abi=landlock.abi(),
        landlock=_attempt(lambda: landlock.apply(["/usr"], [], [], network=False)),
        unprivileged_uid=unprivileged_uid,
        own_uid=unprivileged_uid or ("" if capabilities.owns_all_uids() else _SHARED_UID),
        nested_user_namespace=nested,
        namespaces=found,
        cgroups=cgroups.find_parents(),
    )


def _as_root(name: str) -> None:
    namespaces.unshare([name])
    _use(name)


def _as_user(name: str) -> None:
    _user_namespace((name,))
    _use(name)


def _user_namespace(others: tuple[str, ...] = ()) -> None:
    uid, gid = os.geteuid(), os.getegid()
    namespaces.unshare(["user namespace", *others])
    namespaces.map_user(uid, gid, -1)


def _give_up_root() -> None:
    capabilities.become(capabilities.uid_for(os.getpid(), capabilities.owns_all_uids()))


def _nested() -> None:
    _give_up_root()
    capabilities.allow_uid_map()
    _user_namespace()


def _use(name: str) -> None:
    """Do what the jail will do with that namespace: a filter may allow making it and forbid using it."""
    if name == "mount namespace":
        namespaces.build_view(["/usr/lib"], [], ["/tmp"])  # noqa: S108 (a folder of the view, not of the host)
        namespaces.mount_scratch("/tmp", disk_bytes=1 << 20, uid=os.getuid(), gid=os.getgid())  # noqa: S108
    elif name == "pid namespace":
        if reason := _attempt(_as_first_process):
            raise OSError(reason)
    elif name == "uts namespace":
        syscall("sethostname", b"jail", 4)


def _as_first_process() -> None:
    with namespaces.in_new_pid_namespace(os.open("/proc/self/ns/pid", os.O_RDONLY)):
        pass


def _attempt(action: Callable[[], None], tries: int = 3) -> str:
    """Return "" when a child process could do it, else the reason why not."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        reason = ""
        try:
            action()
        except BaseException as error:
            reason = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        finally:
            os.write(writer, reason.encode("utf-8", "replace")[:4000])
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        reason = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    # By whoever ends what takes memory: that says nothing of the kernel.
    if status == signal.SIGKILL and tries > 1:
        return _attempt(action, tries - 1)
    return reason or ("" if status == 0 else f"the attempt was killed (status {status})")
