"""A process of this machine, confined by the kernel -> a transport. The default executor on Linux.

The mechanisms are `pinjra.jail`; this file only asks its zygote for a session and speaks over the socket.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any, ClassVar

from pinjra.access.programs import find_programs
from pinjra.core.module_path import installed_folders, modules_of
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.pipes import DescriptorTransport, is_ready
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.executor import SessionExecutor
from pinjra.guard.policy import DEFAULT_AUTHORIZED
from pinjra.jail import profile
from pinjra.jail.confine import Spec
from pinjra.jail.spawn.client import Config, JailProcess, zygote_for

if TYPE_CHECKING:
    from pinjra.access.network.gateway import Connection, Doorway, Gateway
    from pinjra.access.network.rules import Resolve
    from pinjra.core.access import Access
    from pinjra.core.execution import Execution
    from pinjra.core.spans import Span
    from pinjra.executors.session.run import RunRecord

_SERVE = "pinjra.worker.supervisor.loop:serve"
# What every session needs sooner or later; each is then shared memory and no time
_PRELOAD = ("pinjra.worker.interpreter.forked", *DEFAULT_AUTHORIZED)
_DEATH_SECONDS = 2.0  # a killed session is gone in milliseconds; a kernel under memory pressure takes longer
_LEAVE_SECONDS = 2.0  # for the supervisor to end one of several sessions; then the box ends with all of them


@dataclass(kw_only=True, eq=False, repr=False)
class JailExecutor(SessionExecutor):
    """Runs guest code in a process that the kernel confines: files, network, system calls, memory, processes.

    Args:
        preload: Modules that the zygote imports once for all sessions. None: the authorised ones that are not of the
            standard library, so that `import pandas` in a session costs nothing.
        require: Properties or mechanisms (`pinjra.jail.profile.PROPERTIES`) without which the jail must not start.
        without: Mechanisms to leave out although this kernel has them.
        spares: Sessions that are opened in advance; 0 saves about 4 MiB each.
        resolve: Name and port -> addresses, for `network=[…]`; None: as this machine does.
        on_connection: Told each connection of the guest, or refusal, when it has ended; on a thread of the gateway.
        folders: Where the guest finds empty folders of its own besides the scratch folder, in that one's quota ("/mnt").
        python_path: Folders with modules of your own: the guest can read everything in them.

    Raises:
        JailUnavailable: This machine cannot give what is required; says what is missing and the choices.
        ConfigurationError: An unknown name in `require` or `without` (the caller's fault).
        StartupFailed: The zygote did not come up (the host's fault).
    """

    ACCESS: ClassVar[Mapping[str, str]] = {
        **SessionExecutor.ACCESS,
        "programs": "execve of the read-only view",
        "packages": "wheels, a read-only layer of the view",
        "mounts": "bind mounts of the view; Landlock without it",
        "network": "hosts: own network namespace, the host's gateway; True: the host's network",
        "secrets": "added by the host's gateway",
        "python_path": "read-only in the view",
    }
    PATIENCE = Patience(close_seconds=0.0)  # no goodbye: the kernel ends all of a session at once

    preload: Iterable[str] | None = None
    require: Iterable[str] = ()
    without: Iterable[str] = ()
    spares: int = 1
    resolve: Resolve | None = None
    on_connection: Callable[[Connection], None] | None = None
    folders: Iterable[str] = ()

    def _configure(self) -> None:
        self._gateway: Gateway | None = None
        if self.preload is None:
            self.preload = third_party(self.additional_authorized_imports)
        self.preload, self.folders = tuple(self.preload), tuple(self.folders)
        demands: dict[str, Any] = {"require": tuple(self.require), "without": tuple(self.without)}
        if self.folders:
            demands["folders"] = ("", *self.folders)
        if self.access.hosts:
            gateway = self._gateway = _gateway(self.access, self.resolve, self.on_connection)
            self.spares = 0  # a session belongs to its gateway, which is this executor's own
            rules = gateway.rules
            demands |= {"ports": rules.ports, "addresses": rules.addresses, "texts": gateway.texts}
        self._config = session_config(self, self.preload, network=self.access.open_network, **demands)
        if self._gateway is not None:
            self._environment += self._gateway.environment

    def _open(self) -> JailTransport:
        return open_box(self, self._config, self._gateway)

    @property
    def connections(self) -> tuple[Connection, ...]:
        """What this session has reached, or was refused, through `network=[…]`; the last thousand."""
        doorway = self._doorway
        return tuple(doorway.connections) if doorway is not None else ()

    def _ended(self, record: RunRecord, trace: Span) -> Execution:
        done = super()._ended(record, trace)
        refused = self._doorway.take_refusals() if self._doorway is not None else []
        if not refused:
            return done
        if done.error is None:
            return replace(done, notes=(*done.notes, *refused))
        hint = "\n".join((*((done.error.hint,) if done.error.hint else ()), *refused))
        return replace(done, error=replace(done.error, hint=hint))

    @property
    def _doorway(self) -> Doorway | None:
        transport = self._connection.messages.transport
        return transport.box.doorway if isinstance(transport, JailTransport) else None

    @classmethod
    def diagnose(cls) -> str:
        try:
            zygote_for(Config(serve=_SERVE, preload=_PRELOAD))
        except Exception as error:  # whatever it is, it is the answer
            return str(error)
        return ""

    @property
    def guarantees(self) -> Guarantees:
        return guarantees_of(self)


# ---------------------------------------------------------------- shared with `local`, which asks for less


def session_config(executor: SessionExecutor, preload: Iterable[str] = (), **demands: Any) -> Config:
    """Return the zygote's configuration for the sessions of an executor.

    Args:
        preload: Modules besides those that every session needs.
        demands: `require`, `without`, `network`, `refuses`, `folders` of `Config`.
    """
    found = find_programs(executor.access.programs)
    folders = (*_layers(executor), *executor.access.python_path)
    variables = {
        "PATH": found.path,
        "PYTHONPATH": os.pathsep.join(folders),
        # git ends where /etc/gitconfig is there and cannot be read.
        **dict.fromkeys(("GIT_CONFIG_NOSYSTEM", "GIT_ATTR_NOSYSTEM"), "1" if found.shown else ""),
    }
    executor._environment = tuple(f"{name}={value}" for name, value in variables.items() if value)
    return Config(
        mounts=tuple((name, mount.path, mount.writable) for name, mount in executor.access.mounts),
        serve=_SERVE,
        preload=(*_PRELOAD, *_trusted(preload, executor)),
        programs=found.shown,
        makes_code=found.makes_code,
        layers=folders,
        inodes=executor.access.inodes,
        **demands,
    )


def _trusted(names: Iterable[str], executor: SessionExecutor) -> list[str]:
    """Return the modules that the zygote may import: all of them are this machine's own.

    SECURITY: what comes from a layer or a folder of modules is imported in the box only. It is there for guests, and an earlier
    one may have written it. Where it takes the place of an installed module, none is imported: they import each other.
    """
    folders = [path for path in executor.access.python_path if os.access(path, os.R_OK)]
    brought = {*executor._modules, *(name for path in folders for name in modules_of(path))}
    installed = installed_folders()
    if any(PathFinder.find_spec(name, installed) for name in brought):
        return []
    return [name for name in names if name.partition(".")[0] not in brought]


def _layers(executor: SessionExecutor) -> tuple[str, ...]:
    """Return the folders of `packages=`; what they bring may be imported."""
    if not executor.access.packages:
        return ()
    from pinjra.access.layers import layer_for

    layer = layer_for(executor.access.packages)
    executor._modules = layer.modules
    return (layer.path,)


def open_box(executor: SessionExecutor, config: Config, gateway: Gateway | None = None) -> JailTransport:
    """Return the stream to a new confined process; raise as `zygote_for`."""
    zygote = zygote_for(config)  # another one when that died or this process was forked
    executor.scratch = zygote.scratch
    executor._links = tuple(
        f"{name}={f'{profile.MOUNTS}/{name}' if zygote.scratch else mount.path}"
        for name, mount in executor.access.mounts
    )
    limits = executor.limits
    spec = Spec(memory_bytes=limits.memory_bytes, disk_bytes=limits.disk_bytes, processes=limits.processes)
    return JailTransport(JailBox(zygote.take(spec), gateway))


def guarantees_of(executor: SessionExecutor) -> Guarantees:
    """Return what is applied around a confined session, as it says itself, and what could not be."""
    applied = executor.hello.applied
    group = "cgroup memory" in applied
    return executor._enforced(
        "kernel" if profile.is_confined(applied) else "none",
        *applied,
        memory="cgroup memory, RLIMIT_DATA" if group else "RLIMIT_DATA of each process",
        wall="host timer, kill",
        cpu="supervisor and RLIMIT_CPU",
        disk="tmpfs size"
        if "scratch tmpfs" in applied
        else "RLIMIT_FSIZE of each file, a watch on the folder",
        processes="cgroup pids, RLIMIT_NPROC" if "cgroup pids" in applied else "RLIMIT_NPROC",
        network=_network(executor.access, applied) if profile.holds("network", applied) else "audit hook",
        files=_files(applied) if profile.holds("files", applied) else "audit hook",
        fork="copy of the process, in the same box" if "fork" in executor.hello.capabilities else "",
    )


def _gateway(
    access: Access, resolve: Resolve | None, on_connection: Callable[[Connection], None] | None
) -> Gateway:
    from pinjra.access.network.gateway import Gateway
    from pinjra.access.network.rules import look_up

    return Gateway(access, resolve=resolve or look_up, on_connection=on_connection)


def third_party(imports: Iterable[str]) -> tuple[str, ...]:
    """Return the modules worth importing once for all: not "*", not those that Python brings."""
    names = {name.removesuffix(".*") for name in imports if name != "*"}
    return tuple(sorted(name for name in names if name.partition(".")[0] not in sys.stdlib_module_names))


def _network(access: Access, applied: tuple[str, ...]) -> str:
    if access.open_network:
        return ""
    if access.hosts:
        hosts = ", ".join(host.removesuffix(":") for host in access.hosts)
        return f"network namespace; the host's gateway for {hosts}"
    names = {"seccomp": "no sockets (seccomp)", "network namespace": "network namespace"}
    return ", ".join(words for name, words in names.items() if name in applied)


def _files(applied: tuple[str, ...]) -> str:
    names = {"mount namespace": "private read-only view", "landlock files": "Landlock"}
    return ", ".join(words for name, words in names.items() if name in applied)


# ---------------------------------------------------------------- the streams into a box


class JailBox:
    """A confined process tree, and how many sessions live in it. It ends with the last of them."""

    def __init__(self, process: JailProcess, gateway: Gateway | None = None) -> None:
        self.stream = socket.socket(fileno=process.stream.detach())
        self._process = process
        door, process.door = process.door, None
        self.doorway = gateway.open(door) if gateway is not None and door is not None else None
        self._lock = threading.RLock()
        self._tenants = self._most = 1
        self._death = ""

    def enter(self) -> None:
        """Count one more session."""
        with self._lock:
            self._tenants += 1
            self._most = max(self._most, self._tenants)
            self._process.widen(self._most)

    @property
    def pid(self) -> int:
        """Return the number of the first process, as this machine has it; 0: it has ended."""
        with self._lock:
            return self._process.pid

    @property
    def is_shared(self) -> bool:
        """Return whether another session lives here."""
        return self._tenants > 1

    def leave(self) -> None:
        """Count one session less; end the box when that was the last."""
        with self._lock:
            self._tenants -= 1
            if self._tenants == 0:
                self.kill()
                self._end()

    def kill(self) -> None:
        """Kill the first process; the kernel kills the others with it."""
        with self._lock, suppress(ProcessLookupError):  # it is dead already
            if self._process.pidfd >= 0:
                try:
                    signal.pidfd_send_signal(self._process.pidfd, signal.SIGKILL)
                except PermissionError:  # this process has given up its rights since; the zygote has them
                    self._end()

    def describe_death(self) -> str:
        """Return how the first process ended, or ends in a moment, and why where that is known; "" while it lives."""
        with self._lock:
            if self._process.pidfd >= 0:
                seconds = 0.0 if self.is_shared else _DEATH_SECONDS
                if not is_ready(self._process.pidfd, select.POLLIN, seconds):
                    return ""
            self._end()
            return self._death

    def _end(self) -> None:
        if self.doorway is not None:
            self.doorway.close()
        how = self._process.end()
        if how:
            self._death = _words(how)


class JailTransport(DescriptorTransport):
    """The stream of one session."""

    READ_BYTES = 120 << 10  # beyond 128 KiB malloc(3) takes from the kernel and gives back, each time

    def __init__(self, box: JailBox, stream: socket.socket | None = None) -> None:
        self.box = box
        self._stream = box.stream if stream is None else stream
        super().__init__(self._stream.fileno(), self._stream.fileno())
        self._closing = threading.Lock()
        self._passing: socket.socket | None = None
        self._has_left = False

    def write(self, data: bytes) -> None:
        if self._passing is not None:
            passing, self._passing = self._passing, None
            is_ready(self._in, select.POLLOUT, self.WRITE_SECONDS)
            data = data[socket.send_fds(self._stream, [data], [passing.fileno()]) :]
        super().write(data)

    @property
    def pid(self) -> int:
        return self.box.pid

    def branch(self, ask: Callable[[], None]) -> JailTransport:
        """Return another session's stream into this box.

        Args:
            ask: Says something to the supervisor; the far end of the new stream goes with it.
        """
        ours, theirs = socket.socketpair()
        self._passing = theirs
        self.box.enter()
        try:
            ask()
        except BaseException:
            ours.close()
            self.box.leave()
            raise
        finally:
            self._passing = None
            theirs.close()
        return JailTransport(self.box, ours)

    def kill(self) -> None:
        """Kill the box when this session is the last in it; else cut the stream, at which the supervisor ends the session."""
        if self._has_left:
            return
        if not self.box.is_shared:
            self.box.kill()
            return
        with suppress(OSError):  # it has ended already
            self._stream.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._closing:
            if self._has_left:
                return
            if self.box.is_shared:
                self._say_goodbye()
            else:
                self.box.kill()
            # A reader wakes at the end of the stream; it must not meet another's descriptor.
            with self._reading:
                self._in = self._out = -1
                self._stream.close()
            self._has_left = True
            self.box.leave()

    def _say_goodbye(self) -> None:
        """End the stream and wait for its other end; a supervisor that does not answer is killed with all that it has."""
        deadline = time.monotonic() + _LEAVE_SECONDS
        try:
            self._stream.shutdown(socket.SHUT_WR)
            while self.read(deadline - time.monotonic()):
                pass
        except TimeoutError:
            self.box.kill()
        except OSError:
            return  # it has ended already

    def describe_death(self) -> str:
        return self.box.describe_death()


def _words(how: dict[str, object]) -> str:
    """Return a sentence about a wait status."""
    if how.get("memory_kills"):
        return "out of memory: killed by the kernel for its cgroup"
    status = how.get("status")
    code = os.waitstatus_to_exitcode(status) if isinstance(status, int) else 0
    said = str(how.get("note") or "").strip()
    words = f"signal {-code}" if code < 0 else f"exit status {code}"
    return f"{words}: {said}" if said else words
