"""A child process of this machine, confined by itself as far as the system lets it -> a transport. Runs everywhere.

On Linux the kernel confines it without any privilege: Landlock, seccomp, resource limits (`jail`, without namespaces and groups).
Elsewhere, and where even that cannot be had, the guard and its audit hook are all; `guarantees` says what holds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import ClassVar, Unpack

from pinjra.core.errors import BackendError, ConfigurationError, ExecutorUnavailable, StartupFailed
from pinjra.core.limits import Limits
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.options import SessionOptions
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


class LocalPythonExecutor(SessionExecutor):
    """Runs guarded code in a child process on any system; its limits hold because a process can be killed.

    Args:
        additional_authorized_imports: Module names besides the default list (`pkg`, `pkg.sub`, `pkg.*`, `*`).
        additional_functions: Host functions to grant at once, as by `send_tools`.
        timeout_seconds, max_print_outputs_length: `limits.wall_seconds` and `limits.output_bytes`, by the names that users know.
        spares: Sessions kept ready for the next opening.
        options: `python_path` (folders with modules of your own: the guest can read everything in them) and the others of
            docs/sandbox.md; `imports` ("listed" here), `guard`, `rollback`, `protected`.

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

    def __init__(
        self,
        additional_authorized_imports: Iterable[str] = (),
        *,
        limits: Limits = Limits(),  # noqa: B008  (frozen)
        additional_functions: Mapping[str, Callable[..., object]] | None = None,
        timeout_seconds: float | None = None,
        max_print_outputs_length: int | None = None,
        spares: int = 1,
        **options: Unpack[SessionOptions],
    ) -> None:
        if timeout_seconds is not None:
            limits = replace(limits, wall_seconds=timeout_seconds)
        if max_print_outputs_length is not None:
            limits = replace(limits, output_bytes=max_print_outputs_length)
        self.additional_functions = dict(additional_functions or {})
        imports = tuple(additional_authorized_imports)
        self._imports = imports
        self._unconfined = "" if sys.platform == "linux" else f"{sys.platform} has no such mechanisms"
        super().__init__(imports, limits=limits, spares=spares, **options)
        self._check_guard()
        if self.additional_functions:
            self.send_tools(self.additional_functions)

    @property
    def timeout_seconds(self) -> float | None:
        """Return the longest time of a run."""
        return self.limits.wall_seconds

    def _configure(self) -> None:
        if sys.platform == "linux":
            from pinjra.executors.jail import session_config, third_party

            preload = third_party(self._imports)
            self._config = session_config(self, preload, without=_WITHOUT, refuses=False)

    def _open(self) -> Transport:
        if sys.platform == "linux" and not self._unconfined:
            from pinjra.executors.jail import open_box
            from pinjra.jail.spawn.client import zygote_for

            try:
                zygote_for(self._config)
            except (StartupFailed, ExecutorUnavailable, BackendError, OSError) as error:
                self._unconfined = str(error)
                if self.access.programs or self.access.mounts or self.access.packages:
                    raise
            else:
                # SECURITY: where sessions can be confined, one that cannot be made is an error. Else a guest that uses up
                # processes would have the next session unconfined.
                return open_box(self, self._config)
        if sys.platform == "win32":
            raise ExecutorUnavailable(_WINDOWS)
        return SubprocessTransport(worker_command(self.access.python_path))

    @classmethod
    def diagnose(cls) -> str:
        """Return "" but on Windows."""
        return _WINDOWS if sys.platform == "win32" else ""

    def _check_guard(self) -> None:
        if self.guarantees.boundary == "none" and not self._guard:
            self.close()
            raise ConfigurationError(
                f"guard=False: nothing else stands between guest and host here ({'; '.join(self.hello.missing)})"
            )

    @property
    def guarantees(self) -> Guarantees:
        """What holds here: on Linux what the kernel gives, elsewhere guard and limits."""
        if sys.platform == "linux" and self.hello.applied:
            from pinjra.executors.jail import guarantees_of

            return guarantees_of(self)
        why = f"isolation: the kernel confines nothing here: {self._unconfined}"
        by = {"network": "audit hook", "files": "audit hook: the scratch folder", "processes": ""}
        missing = (why, *self.hello.missing)
        return self._enforced("none", "process", "language guard", "audit hook", missing=missing, **by)
