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
from pinjra.jail.confine import Spec
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
        self._preload = (*_PRELOAD, *(preload if preload is not None else _third_party(imports)))
        self._require, self._without = tuple(require), tuple(without)
        self._spares = spares
        super().__init__(imports, limits=limits, **options)

    def _configure(self) -> None:
        self._config = Config(
            serve=_SERVE,
            warm_up=_WARM_UP,
            preload=self._preload,
            python_path=self.access.python_path,
            require=self._require,
            without=self._without,
            network=self.access.open_network,
        )

    def _open(self) -> JailTransport:
        self._zygote = zygote_for(self._config)  # another one when that died or this process was forked
        self._scratch = self._zygote.scratch
        opening = opening_bytes(self._init({"raw"}, is_clean=True)) if self._spares else b""
        spec = Spec(
            memory_bytes=_whole(self.limits.memory_bytes),
            disk_bytes=_whole(self.limits.disk_bytes),
            processes=_whole(self.limits.processes),
        )
        return JailTransport(Box(self._zygote.take(spec, spares=self._spares, opening=opening)))

    def _open_fork(self, ask: Callable[[], None]) -> JailTransport:
        transport = self._link.channel.transport
        if not isinstance(transport, JailTransport) or "fork" not in self.hello.capabilities:
            raise ExecutorUnavailable("this session cannot be forked: its supervisor offers no such thing")
        return transport.branch(ask)

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
        """What the zygote's plan applies around each session, and what it could not."""
        applied = self._zygote.applied
        group = "cgroup memory" in applied
        return Guarantees(
            boundary="kernel",
            isolation=applied,
            memory="cgroup memory, RLIMIT_DATA" if group else "RLIMIT_DATA of each process",
            wall="host timer, kill",
            cpu="supervisor and RLIMIT_CPU",
            operations="guard" if self._guard else "",
            disk="tmpfs size" if "scratch tmpfs" in applied else "RLIMIT_FSIZE of each file",
            processes="cgroup pids, RLIMIT_NPROC" if "cgroup pids" in applied else "RLIMIT_NPROC",
            network="" if self.access.open_network else "no sockets (seccomp), " + _network(applied),
            files="private read-only view, Landlock" if "mount namespace" in applied else "Landlock",
            rollback="forked checkpoint" if self._rollback else "",
            fork="copy of the process, in the same box" if "fork" in self.hello.capabilities else "",
            missing=self._zygote.missing,
        )


def _third_party(imports: Iterable[str]) -> tuple[str, ...]:
    """Return the modules worth importing once for all: not "*", not those that Python brings."""
    names = {name.removesuffix(".*") for name in imports if name != "*"}
    return tuple(sorted(name for name in names if name.partition(".")[0] not in sys.stdlib_module_names))


def _network(applied: tuple[str, ...]) -> str:
    return "network namespace" if "network namespace" in applied else "the host's namespace"


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
