"""A child process of this machine, confined by itself as far as the system lets it -> a transport. Runs everywhere.

On Linux the kernel confines it without any privilege: Landlock, seccomp, resource limits (`jail`, without namespaces and groups).
Elsewhere, and where even that cannot be had, the guard and its audit hook are all; `guarantees` says what holds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from pinjra.core.errors import ConfigurationError, ExecutorUnavailable
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.pipes import SubprocessTransport, worker_command
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport

_BY_LANDLOCK = {
    "programs": "execve of what Landlock shows",
    "packages": "wheels, a read-only layer",
    "mounts": "links, Landlock",
}
# What only a jail has: these want privileges, or a machine that gives them to every user.
_NAMESPACES = ("user", "mount", "pid", "network", "ipc", "uts", "cgroup")
_WITHOUT = ("cgroup memory", "cgroup pids", *(f"{kind} namespace" for kind in _NAMESPACES))
_WINDOWS = "`local` needs fork(2), which Windows has not: pip install 'pinjra[wasm]', or use docker"


@dataclass(kw_only=True, eq=False, repr=False)
class LocalPythonExecutor(SessionExecutor):
    """Runs guarded code in a child process on any system; its limits hold because a process can be killed.

    Args:
        additional_functions: Host functions to grant at once, as by `send_tools`.
        timeout_seconds, max_print_outputs_length: `limits.wall_seconds` and `limits.output_bytes`, by the names that users know.
        spares: Sessions kept ready for the next opening.
        python_path: Folders with modules of your own: the guest can read everything in them.

    Raises:
        StartupFailed: No Python process can be started at all (the host's fault).
        ConfigurationError: `guard=False` where the kernel confines nothing (the caller's fault).
    """

    ACCESS: ClassVar[Mapping[str, str]] = {
        **SessionExecutor.ACCESS,
        "python_path": "read-only, by Landlock where the kernel has it",
        **(_BY_LANDLOCK if sys.platform == "linux" else {}),
    }
    IMPORTS = "listed"
    WALLED = False
    PATIENCE = Patience(close_seconds=0.0)  # no goodbye: what holds a session's processes ends them

    additional_functions: Mapping[str, Callable[..., object]] | None = None
    timeout_seconds: float | None = None
    max_print_outputs_length: int | None = None
    spares: int = 1

    def __post_init__(self) -> None:
        if self.timeout_seconds is not None:
            self.limits = replace(self.limits, wall_seconds=self.timeout_seconds)
        if self.max_print_outputs_length is not None:
            self.limits = replace(self.limits, output_bytes=self.max_print_outputs_length)
        self.timeout_seconds = self.limits.wall_seconds
        self.additional_functions = dict(self.additional_functions or {})
        self._unconfined = "" if sys.platform == "linux" else f"{sys.platform} has no such mechanisms"
        super().__post_init__()
        if self.additional_functions:
            self.send_tools(self.additional_functions)

    def _configure(self) -> None:
        if sys.platform == "linux":
            from pinjra.executors.jail import session_config, third_party

            preload = third_party(self.additional_authorized_imports)
            self._config = session_config(self, preload, without=_WITHOUT, refuses=False)

    def _open(self) -> Transport:
        if sys.platform == "linux" and not self._unconfined:
            from pinjra.executors.jail import open_box
            from pinjra.jail.spawn.client import zygote_for

            try:
                zygote = zygote_for(self._config)
            except ExecutorUnavailable as error:
                self._unconfined = str(error)
                if self.access.programs or self.access.mounts or self.access.packages:
                    raise
            else:
                # SECURITY: where sessions can be confined, one that cannot be made is an error, and so is a zygote that does
                # not come up. Else a guest that uses up processes would have the next session unconfined.
                self._check_guard(zygote.applied)
                return open_box(self, self._config)
        if sys.platform == "win32":
            raise ExecutorUnavailable(_WINDOWS)
        self._check_guard(())
        return SubprocessTransport(worker_command(self.access.python_path))

    @classmethod
    def diagnose(cls) -> str:
        return _WINDOWS if sys.platform == "win32" else ""

    def _check_guard(self, applied: tuple[str, ...]) -> None:
        if not applied and not self.guard:
            why = self._unconfined or "the kernel confines nothing"
            raise ConfigurationError(f"guard=False: nothing else stands between guest and host here ({why})")

    @property
    def guarantees(self) -> Guarantees:
        if sys.platform == "linux" and self.hello.applied:
            from pinjra.executors.jail import guarantees_of

            return guarantees_of(self)
        why = f"isolation: the kernel confines nothing here: {self._unconfined}"
        by = {"network": "audit hook", "files": "audit hook: the scratch folder", "processes": ""}
        missing = (why, *self.hello.missing)
        return self._enforced("none", "process", "language guard", "audit hook", missing=missing, **by)
