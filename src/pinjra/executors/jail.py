"""A process of this machine, confined by the kernel -> a transport. The default executor on Linux.

The mechanisms are `pinjra.jail`; this file only asks its zygote for a session and speaks over the socket.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from pinjra.core.errors import ExecutorUnavailable
from pinjra.core.limits import Limits
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.jailed import Box, JailTransport
from pinjra.executors.session.executor import Patience, SessionExecutor
from pinjra.guard.imports import DEFAULT_AUTHORIZED
from pinjra.jail import profile
from pinjra.jail.confine import Spec
from pinjra.jail.programs import find_programs
from pinjra.jail.spawn.client import Config, zygote_for
from pinjra.wire.connection import opening_bytes

__all__ = ["JailExecutor", "JailTransport"]

_SERVE = "pinjra.worker.supervisor.loop:serve"
_WARM_UP = "pinjra.worker.warmup:warm_up"
# What every session needs sooner or later; each is then shared memory and no time
_PRELOAD = (
    "pinjra.worker.interpreter.forked",
    "pinjra.guard.replacements",
    "pinjra.guard.services",
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
        "network": "True: sockets of the host's network",
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
        **options: Any,
    ) -> None:
        imports = tuple(additional_authorized_imports)
        self._preload = tuple(preload) if preload is not None else third_party(imports)
        self._require, self._without = tuple(require), tuple(without)
        self._spares = spares
        super().__init__(imports, limits=limits, **options)

    def _configure(self) -> None:
        self._config = session_config(
            self,
            self._preload,
            require=self._require,
            without=self._without,
            network=self.access.open_network,
        )

    def _open(self) -> JailTransport:
        return open_box(self, self._config, self._spares)

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


def open_box(executor: SessionExecutor, config: Config, spares: int) -> JailTransport:
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
    return JailTransport(Box(zygote.take(spec, spares=spares, opening=opening)))


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
        network=""
        if executor.access.open_network
        else _network(applied)
        if holds["network"]
        else "audit hook",
        files=_files(applied) if holds["files"] else "audit hook",
        rollback="forked checkpoint" if executor._rollback else "",
        fork="copy of the process, in the same box" if "fork" in executor.hello.capabilities else "",
        missing=executor.hello.missing,
    )


def third_party(imports: Iterable[str]) -> tuple[str, ...]:
    """Return the modules worth importing once for all: not "*", not those that Python brings."""
    names = {name.removesuffix(".*") for name in imports if name != "*"}
    return tuple(sorted(name for name in names if name.partition(".")[0] not in sys.stdlib_module_names))


def _holds(wish: str, applied: tuple[str, ...]) -> bool:
    return any(all(name in applied for name in group) for group in profile.PROPERTIES[wish])


def _network(applied: tuple[str, ...]) -> str:
    names = {"seccomp": "no sockets (seccomp)", "network namespace": "network namespace"}
    return ", ".join(words for name, words in names.items() if name in applied)


def _files(applied: tuple[str, ...]) -> str:
    names = {"mount namespace": "private read-only view", "landlock files": "Landlock"}
    return ", ".join(words for name, words in names.items() if name in applied)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
