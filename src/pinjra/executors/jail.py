"""A process of this machine, confined by the kernel -> a transport. The default executor on Linux.

The mechanisms are `pinjra.jail`; this file only asks its zygote for a session and speaks over the socket.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pinjra.core.errors import ExecutorUnavailable
from pinjra.core.limits import Limits
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.jailed import Box, JailTransport
from pinjra.executors.session.executor import Patience, SessionExecutor
from pinjra.guard.policy import DEFAULT_AUTHORIZED
from pinjra.jail import profile
from pinjra.jail.confine import Spec
from pinjra.jail.programs import find_programs
from pinjra.jail.spawn.client import Config, zygote_for
from pinjra.wire.connection import opening_bytes

if TYPE_CHECKING:
    from pinjra.core.access import Access
    from pinjra.core.execution import Execution
    from pinjra.executors.network.gateway import Connection, Doorway, Gateway
    from pinjra.executors.network.rules import Resolve

__all__ = ["JailExecutor", "JailTransport"]

_SERVE = "pinjra.worker.supervisor.loop:serve"
_WARM_UP = "pinjra.worker.warmup:warm_up"
# What every session needs sooner or later; each is then shared memory and no time
_PRELOAD = (
    "pinjra.worker.interpreter.forked",
    *DEFAULT_AUTHORIZED,
)


class JailExecutor(SessionExecutor):
    """Runs guest code in a process that the kernel confines: files, network, system calls, memory, processes.

    Args:
        preload: Modules that the zygote imports once for all sessions. None: the authorised ones that are not of the
            standard library, so that `import pandas` in a session costs nothing.
        require: Properties or mechanisms (`pinjra.jail.profile.PROPERTIES`) without which the jail must not start.
        without: Mechanisms to leave out although this kernel has them.
        spares: Confined processes kept ready for the next session of the same limits; 0 saves about 4 MiB each.
        resolve: Name and port -> addresses, for `network=[…]`; None: as this machine does.
        on_connection: Told each connection of the guest, or refusal, when it has ended; on a thread of the gateway.
        options: `network`, `python_path` (folders with modules of your own: the guest can read everything in them) and the others
            of docs/sandbox.md; `guard`, `rollback`, `protected`.

    Raises:
        JailUnavailable: This machine cannot give what is required; says what is missing and the choices.
        ConfigurationError: An unknown name in `require` or `without` (the caller's fault).
        StartupFailed: The zygote did not come up (the host's fault).
    """

    ACCESS: ClassVar[Mapping[str, str]] = {
        **SessionExecutor.ACCESS,
        "programs": "execve of the read-only view",
        "network": "hosts: own network namespace, the host's gateway; True: the host's network",
        "secrets": "added by the host's gateway",
        "python_path": "read-only in the view",
    }
    PATIENCE = Patience(close_seconds=0.0)  # no goodbye: the kernel ends all of a session at once

    def __init__(
        self,
        additional_authorized_imports: Iterable[str] = (),
        *,
        limits: Limits = Limits(),  # noqa: B008  (frozen)
        preload: Iterable[str] | None = None,
        require: Iterable[str] = (),
        without: Iterable[str] = (),
        spares: int = 1,
        resolve: Resolve | None = None,
        on_connection: Callable[[Connection], None] | None = None,
        **options: Any,
    ) -> None:
        imports = tuple(additional_authorized_imports)
        self._preload = tuple(preload) if preload is not None else third_party(imports)
        self._require, self._without = tuple(require), tuple(without)
        self._spares = spares
        self._resolve, self._on_connection = resolve, on_connection
        self._gateway: Gateway | None = None
        super().__init__(imports, limits=limits, **options)

    def _configure(self) -> None:
        demands: dict[str, Any] = {}
        if self.access.hosts:
            gateway = self._gateway = _gateway(self.access, self._resolve, self._on_connection)
            demands = {
                "ports": gateway.rules.ports,
                "addresses": gateway.rules.addresses,
                "texts": gateway.texts,
            }
        self._config = session_config(
            self,
            self._preload,
            require=self._require,
            without=self._without,
            network=self.access.open_network,
            **demands,
        )
        if self._gateway is not None:
            self._environment += self._gateway.environment

    def _open(self) -> JailTransport:
        return open_box(self, self._config, self._spares, self._gateway)

    @property
    def connections(self) -> tuple[Connection, ...]:
        """What this session has reached, or was refused, through `network=[…]`; the last thousand."""
        doorway = self._doorway()
        return tuple(doorway.connections) if doorway is not None else ()

    def _run(self, code: str, argv: tuple[str, ...], stdin: bytes, wall_seconds: float | None) -> Execution:
        done = super()._run(code, argv, stdin, wall_seconds)
        doorway = self._doorway()
        refused = doorway.take_refusals() if doorway is not None else []
        if not refused:
            return done
        if done.error is None:
            return replace(done, notes=(*done.notes, *refused))
        hint = "\n".join((*((done.error.hint,) if done.error.hint else ()), *refused))
        return replace(done, error=replace(done.error, hint=hint))

    def _doorway(self) -> Doorway | None:
        transport = self._link.channel.transport
        return transport.doorway if isinstance(transport, JailTransport) else None

    def _open_fork(self, ask: Callable[[], None]) -> JailTransport:
        return fork_box(self, ask)

    @classmethod
    def diagnose(cls) -> str:
        """Return "" when the jail works here, else why not."""
        try:
            zygote_for(Config(serve=_SERVE, warm_up=_WARM_UP, preload=_PRELOAD))
        except Exception as error:  # whatever it is, it is the answer
            return str(error)
        return ""

    @property
    def guarantees(self) -> Guarantees:
        """What is applied around this session, and what could not be."""
        return guarantees_of(self)


# ---------------------------------------------------------------- shared with `local`, which asks for less


def session_config(executor: SessionExecutor, preload: Iterable[str] = (), **demands: Any) -> Config:
    """Return the zygote's configuration for the sessions of an executor.

    Args:
        preload: Modules besides those that every session needs.
        demands: `require`, `without`, `network`, `refuses` of `Config`.
    """
    found = find_programs(executor.access.programs)
    executor._environment = (f"PATH={found.path}",) if found.path else ()
    return Config(
        serve=_SERVE,
        warm_up=_WARM_UP,
        preload=(*_PRELOAD, *preload),
        programs=found.shown,
        makes_code=found.makes_code,
        python_path=executor.access.python_path,
        **demands,
    )


def open_box(
    executor: SessionExecutor, config: Config, spares: int, gateway: Gateway | None = None
) -> JailTransport:
    """Return the stream to a new confined process.

    Raises:
        JailUnavailable, ConfigurationError, StartupFailed: As `zygote_for`.
    """
    zygote = zygote_for(config)  # another one when that died or this process was forked
    executor._scratch = zygote.scratch
    limits = executor.limits
    opening = opening_bytes(executor._init({"raw"}, is_clean=True)) if spares else b""
    spec = Spec(
        memory_bytes=_whole(limits.memory_bytes),
        disk_bytes=_whole(limits.disk_bytes),
        processes=_whole(limits.processes),
    )
    return JailTransport(Box(zygote.take(spec, spares=spares, opening=opening), gateway))


def fork_box(executor: SessionExecutor, ask: Callable[[], None]) -> JailTransport:
    """Return the stream to a copy of an executor's session, in the same box.

    Raises:
        ExecutorUnavailable: Its supervisor cannot.
    """
    transport = executor._link.channel.transport
    if not isinstance(transport, JailTransport) or "fork" not in executor.hello.capabilities:
        raise ExecutorUnavailable("this session cannot be forked: its supervisor offers no such thing")
    return transport.branch(ask)


def guarantees_of(executor: SessionExecutor) -> Guarantees:
    """Return what is applied around a confined session, as it says itself, and what could not be."""
    applied = executor.hello.applied
    holds = {wish: _holds(wish, applied) for wish in profile.PROPERTIES}
    group = "cgroup memory" in applied
    return Guarantees(
        boundary="kernel" if all(holds[wish] for wish in profile.REQUIRED) else "none",
        isolation=applied,
        memory="cgroup memory, RLIMIT_DATA" if group else "RLIMIT_DATA of each process",
        wall="host timer, kill",
        cpu="supervisor and RLIMIT_CPU",
        operations="guard" if executor._guard else "",
        disk="tmpfs size"
        if "scratch tmpfs" in applied
        else "RLIMIT_FSIZE of each file, a watch on the folder",
        processes="cgroup pids, RLIMIT_NPROC" if "cgroup pids" in applied else "RLIMIT_NPROC",
        network=_network(executor.access, applied) if holds["network"] else "audit hook",
        files=_files(applied) if holds["files"] else "audit hook",
        rollback="forked checkpoint" if executor._rollback else "",
        fork="copy of the process, in the same box" if "fork" in executor.hello.capabilities else "",
        missing=executor.hello.missing,
    )


def _gateway(
    access: Access, resolve: Resolve | None, on_connection: Callable[[Connection], None] | None
) -> Gateway:
    from pinjra.executors.network.gateway import Gateway
    from pinjra.executors.network.rules import look_up

    return Gateway(access, resolve=resolve or look_up, on_connection=on_connection)


def third_party(imports: Iterable[str]) -> tuple[str, ...]:
    """Return the modules worth importing once for all: not "*", not those that Python brings."""
    names = {name.removesuffix(".*") for name in imports if name != "*"}
    return tuple(sorted(name for name in names if name.partition(".")[0] not in sys.stdlib_module_names))


def _holds(wish: str, applied: tuple[str, ...]) -> bool:
    return any(all(name in applied for name in group) for group in profile.PROPERTIES[wish])


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


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
