"""Specs -> child processes that are confined and serve a session: forked, counted, reaped by the zygote."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import NoReturn

from pinjra.core.processes import ended_children
from pinjra.core.removal import remove
from pinjra.core.temporary_folders import make_folder
from pinjra.jail import profile
from pinjra.jail.confine import Prepared, Spec, confine
from pinjra.jail.plan import Plan
from pinjra.jail.spawn import forks
from pinjra.jail.walls import capabilities, cgroups, namespaces, rlimits, seccomp
from pinjra.jail.walls import disk_quota as quota
from pinjra.jail.walls.syscalls import machine

_NOTE_BYTES = 1 << 16
# SECURITY: a guest's files may take the disk ten seconds to remove; the other sessions must not wait for that
_REMOVE_SECONDS, _SLICE_SECONDS = 0.2, 0.02
_CLOSE_SECONDS, _NAP_SECONDS = 1.0, 0.005


@dataclass
class ConfinedProcess:
    """A session's first process, alive or dead.

    Args:
        pidfd: Readable when the process is dead.
        lock: Descriptor that shows the folder to be in use; -1 when there is none.
        door: Where the sockets of its own network come out, until it is handed over.
        note: Reading end of a pipe in which a child that could not confine itself says why.
    """

    number: int
    process: int
    pidfd: int
    note: int
    group: cgroups.Group | None
    folder: str
    lock: int
    disk_bytes: int | None
    status: int | None = None
    memory_kills: int = 0
    message: str = ""
    door: socket.socket | None = None


@dataclass
class SessionPool:
    """All sessions of one zygote.

    Args:
        place: Where scratch folders of the host's lie; "": there are none.
    """

    plan: Plan
    serve: Callable[..., None]
    missing: tuple[str, ...]
    readable: tuple[str, ...]
    scratch: str
    place: str
    maker: cgroups.Maker | None
    ports: tuple[int, ...] = ()
    addresses: tuple[str, ...] = ()
    mounts: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    _children: dict[int, ConfinedProcess] = field(default_factory=dict)
    _by_process: dict[int, ConfinedProcess] = field(default_factory=dict)
    _groups: list[cgroups.Group] = field(default_factory=list)  # still to be removed
    _folders: list[str] = field(default_factory=list)  # the same
    _count: int = 0

    def __post_init__(self) -> None:
        # opened before the view is built: it has no /proc
        self._proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._process = os.getpid()
        self._all_uids = capabilities.owns_all_uids()
        rules = seccomp.policy(
            private_view=self.plan.has("mount namespace"),
            network=self.plan.network,
            writable_mounts=any(writable for _, writable in self.mounts.values()),
            hosts=self.plan.hosts,
            programs=self.plan.programs,
            makes_code=self.plan.makes_code,
            terminals=self.plan.terminals,
        )
        self._filter = seccomp.assemble(rules, machine())

    @property
    def private_scratch(self) -> str:
        """Return where every session has its scratch folder; "" when each has another."""
        return self.scratch if self.plan.has("mount namespace") else ""

    def is_busy(self) -> bool:
        """Return whether something is left to clean that could not be cleaned yet."""
        return bool(self._groups or self._folders)

    def reap(self) -> None:
        """Take note of all that died, and clean up behind it."""
        for process, status, _usage in ended_children():
            self._retire(process, status)
        self._groups = [group for group in self._groups if not group.remove()]
        self._folders = [folder for folder in self._folders if not remove(folder, _SLICE_SECONDS)]

    def end(self, number: int) -> dict[str, object]:
        """Kill session `number` if it is alive, wait for it, clean up behind it, and say how it ended."""
        child = self._children.get(number)
        if child is None:
            return {"status": None, "memory_kills": 0, "note": "no such session"}
        if child.status is None:
            os.kill(child.process, signal.SIGKILL)
            _, status = os.waitpid(child.process, 0)
            self._retire(child.process, status)
        self._forget(child)
        return {"status": child.status, "memory_kills": child.memory_kills, "note": child.message}

    def widen(self, number: int, sessions: int) -> None:
        """Let session `number` have the memory and processes of so many, because it was forked."""
        child = self._children.get(number)
        if child is not None and child.group is not None:
            child.group.widen(sessions)

    def has_folders(self) -> bool:
        """Return whether there are scratch folders whose quota nobody else enforces."""
        return any(child.folder and child.status is None for child in self._children.values())

    def enforce_quotas(self) -> None:
        """Kill the sessions that have written more than they may."""
        for child in list(self._by_process.values()):
            if not child.folder or child.disk_bytes is None:
                continue
            try:
                is_exceeded = quota.is_exceeded(child.folder, child.disk_bytes)
            except OSError:  # no descriptor is left for a look: the next one comes
                continue
            if is_exceeded:
                child.message = f"disk: the scratch folder holds more than {child.disk_bytes} bytes"
                os.kill(child.process, signal.SIGKILL)

    def close(self) -> None:
        """End every session: the host is gone. With pid namespaces the kernel would do it as well."""
        for child in self._children.values():
            if child.status is None:
                os.kill(child.process, signal.SIGKILL)
        for number in list(self._children):
            self.end(number)
        for folder in self._folders:
            remove(folder)
        deadline = time.monotonic() + _CLOSE_SECONDS
        while self._groups and time.monotonic() < deadline:
            # a process may still be dying in it, and nobody may come after this zygote
            self._groups = [group for group in self._groups if not group.remove()]
            time.sleep(_NAP_SECONDS)

    def _retire(self, process: int, status: int) -> None:
        """Note how a process ended; free what its session held."""
        child = self._by_process.pop(process, None)
        if child is None:
            return  # an orphan of a session without a pid namespace
        child.status = status
        if not self.plan.has("pid namespace"):
            self._kill_orphans()
        child.message += os.read(child.note, _NOTE_BYTES).decode("utf-8", "replace")
        os.close(child.note)
        if child.group is not None:
            child.memory_kills = child.group.out_of_memory_kills()
            child.group.kill()
            if not child.group.remove():
                self._groups.append(child.group)
        if child.folder:
            os.close(child.lock)
            if not remove(child.folder, _REMOVE_SECONDS):
                self._folders.append(child.folder)

    def _kill_orphans(self) -> None:
        """Kill the processes that a dead session left to this one, until no more come: a fork bomb is faster than one look."""
        while True:
            path = f"self/task/{self._process}/children"
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc), "rb") as file:
                orphans = [pid for pid in map(int, file.read().split()) if pid not in self._by_process]
            if not orphans:
                return
            for orphan in orphans:
                os.kill(orphan, signal.SIGKILL)
            for orphan in orphans:
                os.waitpid(orphan, 0)

    def _forget(self, child: ConfinedProcess) -> None:
        if self._children.pop(child.number, None) is None:
            return
        os.close(child.pidfd)
        if child.door is not None:
            child.door.close()

    def take(self, spec: Spec) -> tuple[ConfinedProcess, socket.socket]:
        """Return a new session, which confines itself while this process goes on, and the host's end of its stream.

        Raises:
            OSError: There are no more processes, descriptors or groups (the machine's fault).
        """
        self._count += 1
        with ExitStack() as undo:
            group = self._make_group(spec)
            if group is not None:
                undo.callback(group.remove)
            folder, lock = "", -1
            if not self.plan.has("mount namespace"):
                folder, lock = make_folder(f"{profile.SCRATCH_PREFIX}{self._process}-", self.place)
                undo.callback(remove, folder)
                undo.callback(os.close, lock)  # before: removing takes a descriptor
            host, guest = socket.socketpair()
            undo.callback(host.close)
            reader, writer = os.pipe2(os.O_CLOEXEC)
            undo.callback(os.close, reader)
            door, inner_door = socket.socketpair() if self.ports else (None, None)
            try:
                ends = guest, inner_door
                process = self._fork_process(lambda: self._become_session(spec, group, folder, ends, writer))
            finally:
                guest.close()
                os.close(writer)
                if inner_door is not None:
                    inner_door.close()
            undo.callback(_end_at_once, process)
            pidfd = os.pidfd_open(process)
            undo.pop_all()
        child = ConfinedProcess(self._count, process, pidfd, reader, group, folder, lock, spec.disk_bytes)
        child.door = door
        self._children[child.number] = self._by_process[process] = child
        return child, host

    def _make_group(self, spec: Spec) -> cgroups.Group | None:
        if self.maker is None:
            return None
        return self.maker.make(
            self._count, memory_bytes=spec.group_memory_bytes, processes=spec.group_processes
        )

    def _fork_process(self, become: Callable[[], NoReturn]) -> int:
        """Return the session's first process, in a pid namespace of its own where there is one."""
        is_first = self.plan.has("pid namespace")
        with namespaces.in_new_pid_namespace(self._pid_namespace) if is_first else nullcontext():
            process = forks.fork()
            if process == 0:
                become()
        return process

    def _become_session(
        self,
        spec: Spec,
        group: cgroups.Group | None,
        folder: str,
        ends: tuple[socket.socket, socket.socket | None],
        note: int,
    ) -> NoReturn:
        """Confine this process and serve; never returns into the zygote's code."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            stream = ends[0].detach()
            box = self._box(group, folder, -1 if ends[1] is None else ends[1].detach())
            extra = {n: os.open(f, os.O_RDONLY, dir_fd=self._proc) for n, f in profile.COUNTS.items()}
            extra.update(box.group.counters() if box.group is not None else {})
            confine(self.plan, spec, replace(box, keep=frozenset({0, 1, 2, stream, note, *extra.values()})))
            _reseed()
            self.serve(stream, stream, applied=self.plan.applied, missing=self.missing, words=note, **extra)
        except BaseException as error:  # not even SystemExit may go back into the zygote's loop
            said = str(error) if isinstance(error, OSError) else traceback.format_exc()
            os.write(note, said.encode("utf-8", "replace")[-4000:])
        finally:  # also where the note is closed already
            os._exit(1)

    def _box(self, group: cgroups.Group | None, folder: str, door: int) -> Prepared:
        uid, gid = os.getuid(), os.getgid()
        if self.plan.by_root:
            uid = gid = capabilities.uid_for(int(os.readlink("self", dir_fd=self._proc)), self._all_uids)
            if folder:
                os.chown(folder, uid, gid)
        is_private = self.plan.has("own uid") or self.plan.has("user namespace")
        return Prepared(
            scratch=folder or self.scratch,
            readable=(*self.readable, *self.mounts, *profile.DEVICES),
            process=self._proc,
            uid=uid,
            gid=gid,
            others=0 if is_private else rlimits.processes_of(uid),
            group=group,
            keep=frozenset({0, 1, 2}),
            parent=self._process,
            filter=self._filter,
            writable=tuple(target for target, (_, writable) in self.mounts.items() if writable),
            mounts=tuple(self.mounts),
            folders=self.folders,
            door=door,
            ports=self.ports,
            addresses=self.addresses,
        )


def _end_at_once(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def _reseed() -> None:
    """Give this session random numbers of its own."""
    for name in ("random", "numpy.random"):
        module = sys.modules.get(name)
        if module is not None:
            module.seed()
