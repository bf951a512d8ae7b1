"""Limits -> a control group around one session, which counts memory and processes of all of it together.

Version 2: https://docs.kernel.org/admin-guide/cgroup-v2.html, version 1: https://docs.kernel.org/admin-guide/cgroup-v1/

A controller can be used where this process may make a group below its own (as root, or where a folder was delegated to
its user). Putting a process into a group waits for the kernel's other processors (about 10 ms): spares hide it. Groups
are named after the zygote that made them, so that a later one can sweep up behind a zygote that was killed.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pinjra.jail.walls.libc import write_file

_NAME = "pinjra"
# v2: (file, its value when unlimited) by controller
_MOST_PIDS = 1 << 20  # the kernel's PID_MAX_LIMIT is 4 << 20, and less on small machines
_V2_FILES = {"memory": "memory.max", "pids": "pids.max"}
_V1_FILES = {"memory": "memory.limit_in_bytes", "pids": "pids.max"}
_KILLS = {1: "memory.oom_control", 2: "memory.events"}  # by version: where "oom_kill" stands


@dataclass(frozen=True)
class Parents:
    """Folders below which groups can be made, by controller; in version 2 they are the same folder.

    Args:
        missing: Why a controller cannot be used.
        maker: This process's number in the names of its groups.
    """

    version: int
    folders: dict[str, str]
    missing: dict[str, str]
    maker: str


@dataclass(frozen=True)
class Place:
    """A folder of the hierarchy that stays reachable when the view of the file system changes.

    Args:
        parent: Descriptor of the folder above; the zygote's, closed in every session.
    """

    parent: int
    name: str

    def write(self, file: str, text: str) -> None:
        """Write one control file.

        Raises:
            OSError: The kernel refused, or does not have the file.
        """
        write_file(f"{self.name}/{file}", text, self.parent)

    def try_write(self, file: str, text: str) -> None:
        """Write where the kernel has that file: a refinement, never a limit that was promised."""
        with suppress(OSError):
            self.write(file, text)

    def open(self, file: str) -> int:
        """Return a descriptor to read one control file again and again.

        Raises:
            OSError: There is none.
        """
        return os.open(f"{self.name}/{file}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.parent)

    def read(self, file: str) -> str:
        """Return a control file's text; "" where there is none."""
        try:
            with os.fdopen(self.open(file), "rb") as opened:
                return opened.read().decode("ascii", "replace")
        except OSError:
            return ""


@dataclass(frozen=True)
class Group:
    """A session's group: one folder for each hierarchy that has a controller."""

    version: int
    places: tuple[Place, ...]
    memory: Place | None
    processes: Place | None = None
    limits: tuple[tuple[Place, str, int], ...] = ()

    def widen(self, sessions: int) -> None:
        """Multiply the limits: so many sessions live in the group now.

        Raises:
            OSError: The kernel refused (the machine's fault).
        """
        for place, file, limit in self.limits:
            if self.version == 1 and file == _V1_FILES["memory"]:  # with swap it may not be below without
                place.try_write("memory.memsw.limit_in_bytes", str(limit * sessions))
            place.write(file, _written(file, limit * sessions))

    def enter(self) -> None:
        """Put this process, and so all that it will start, into the group.

        Raises:
            OSError: The kernel refused (the machine's fault).
        """
        for place in self.places:
            place.write("cgroup.procs", "0")

    def counters(self) -> dict[str, int]:
        """Return descriptors of what the kernel counts: "tasks" of the group, "kills" for its memory; of what there is.

        Raises:
            OSError: The kernel does not have such a file (the machine's fault).
        """
        found = {}
        if self.processes is not None:
            found["tasks"] = self.processes.open("pids.current")
        if self.memory is not None:
            found["kills"] = self.memory.open(_KILLS[self.version])
        return found

    def out_of_memory_kills(self) -> int:
        """Return how many processes the kernel killed in the group because its memory was used up."""
        if self.memory is None:
            return 0
        for line in self.memory.read(_KILLS[self.version]).splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
        return 0

    def kill(self) -> None:
        """Kill all of the group, where the kernel does that in one go (version 2 from Linux 5.14)."""
        if self.version == 2:
            for place in self.places:
                place.try_write("cgroup.kill", "1")

    def remove(self) -> bool:
        """Remove the folders; False when a process is still dying in one of them (ask again)."""
        removed = [_remove(place.name, place.parent) for place in self.places]
        return all(removed)


class Maker:
    """Makes groups below opened folders, so that it works when the hierarchy is no longer to be seen."""

    def __init__(self, parents: Parents) -> None:
        self._parents = parents
        self._opened = {
            folder: os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            for folder in set(parents.folders.values())
        }

    def make(self, number: int, *, memory_bytes: int | None, processes: int | None) -> Group:
        """Make the group `number` with its limits; None: that is not limited.

        Raises:
            OSError: The kernel refused (the machine's fault).
        """
        version = self._parents.version
        files = _V2_FILES if version == 2 else _V1_FILES
        name = f"{_NAME}-{self._parents.maker}-{number}"
        places: dict[str, Place] = {}
        limits: list[tuple[Place, str, int]] = []
        memory = pids = None
        # pids first: the wait for a process to be moved is then 5 ms instead of 9, and the second move is free
        for controller, limit in (("pids", processes), ("memory", memory_bytes)):
            folder = self._parents.folders.get(controller)
            if folder is None or limit is None:
                continue
            if folder not in places:
                os.mkdir(name, dir_fd=self._opened[folder])
                places[folder] = Place(self._opened[folder], name)
            places[folder].write(files[controller], _written(files[controller], limit))
            limits.append((places[folder], files[controller], limit))
            if controller == "pids":
                pids = places[folder]
            if controller == "memory":
                memory = places[folder]
                _forbid_swap(memory, version, limit)
        return Group(version, tuple(places.values()), memory, pids, tuple(limits))


def _written(file: str, limit: int) -> str:
    """Return a limit as the kernel takes it: more processes than a kernel has numbers for are refused (kernel/cgroup/pids.c)."""
    return "max" if file == "pids.max" and limit > _MOST_PIDS else str(limit)


def find_parents() -> Parents:
    """Return where this process may make groups, found by making one and removing it."""
    own: dict[str, str] = {}  # controller or "" -> path within its hierarchy
    for line in _lines("/proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    unified = _mount_points("cgroup2")
    found: dict[str, str] = {}
    missing: dict[str, str] = {}
    for controller in ("memory", "pids"):
        if controller in own:
            version, folder = 1, _below(_mount_points("cgroup", controller), own[controller])
        else:
            version, folder = 2, _below(unified, own.get("", "/"))
        reason = _probe(folder, controller, version)
        if reason:
            missing[controller] = reason
        else:
            found[controller] = folder
    is_v1 = any(controller in own for controller in ("memory", "pids"))
    # not getpid(): the number must be the one that everybody's /proc shows
    return Parents(1 if is_v1 else 2, found, missing, os.readlink("/proc/self"))


def _forbid_swap(place: Place, version: int, limit: int) -> None:
    """Count swap too, where the kernel accounts for it; without swap there is nothing to count."""
    if version == 2:
        place.try_write("memory.swap.max", "0")
    else:
        place.try_write("memory.memsw.limit_in_bytes", str(limit))


def sweep(parents: Parents) -> None:
    """Remove groups whose zygote is gone. One that still has a process in it stays."""
    for parent in set(parents.folders.values()):
        for name in os.listdir(parent):
            maker = name.split("-")[1] if name.startswith(f"{_NAME}-") and name.count("-") == 2 else ""
            if maker.isdigit() and not os.path.exists(f"/proc/{maker}"):
                _remove(f"{parent}/{name}")


def _probe(folder: str, controller: str, version: int) -> str:
    """Return "" when a group with `controller` can be made below `folder`, else the reason why not."""
    if not folder:
        return f"no cgroup hierarchy with the {controller} controller is mounted"
    probe = f"{folder}/{_NAME}-probe-{os.getpid()}"
    files = _V2_FILES if version == 2 else _V1_FILES
    try:
        os.mkdir(probe)
    except OSError as error:
        return f"no group can be made below {folder} ({error.strerror}); delegate it (systemd: Delegate=yes)"
    try:
        if not os.path.exists(f"{probe}/{files[controller]}"):
            return f"{folder} does not hand the {controller} controller down (cgroup.subtree_control)"
        if not os.access(f"{probe}/cgroup.procs", os.W_OK):
            return f"processes cannot be put into groups below {folder}"
        return ""
    finally:
        _remove(probe)


def _mount_points(kind: str, controller: str = "") -> list[tuple[str, str]]:
    """Return (root within the hierarchy, folder) of the mounted hierarchies of this kind that have `controller`."""
    found = []
    for line in _lines("/proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        fields, (mounted, _, options) = left.split(), right.split(" ", 2)
        if mounted == kind and (not controller or controller in options.split(",")):
            found.append((fields[3], fields[4]))
    return found


def _below(mounts: list[tuple[str, str]], path: str) -> str:
    """Return the folder of the group `path` in one of the mounts; "" when none shows it."""
    for root, folder in mounts:
        inside = path if root == "/" else path.removeprefix(root)
        if root != "/" and not path.startswith(root):
            continue
        candidate = f"{folder}/{inside.strip('/')}".rstrip("/")
        if os.path.isdir(candidate):
            return candidate
    return ""


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _remove(folder: str, parent: int | None = None) -> bool:
    try:
        os.rmdir(folder, dir_fd=parent)
    except OSError as error:
        return error.errno == errno.ENOENT
    return True
