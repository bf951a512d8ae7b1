"""A process of this machine, confined by the kernel -> a transport. The default executor on Linux.

The mechanisms are `pinjra.jail`; this file only asks its zygote for a session and speaks over the socket.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterable
from typing import Any

from pinjra.core.errors import BackendError
from pinjra.core.limits import Limits
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.session import Patience, SessionExecutor
from pinjra.guard.imports import DEFAULT_AUTHORIZED
from pinjra.jail.client import Config, Session, Zygote, zygote_for
from pinjra.jail.confine import Spec

__all__ = ["JailExecutor", "JailTransport"]

_SERVE = "pinjra.worker.supervisor:serve"
# What every session needs sooner or later; each is then shared memory and no time
_PRELOAD = (
    "pinjra.worker.interpreter",
    "pinjra.guard.replacements",
    "pinjra.guard.services",
    *DEFAULT_AUTHORIZED,
)
_DEATH_SECONDS = 2.0  # a killed session is gone in milliseconds; a kernel under memory pressure takes longer
_MOST_BYTES = 1 << 20


class JailExecutor(SessionExecutor):
    """Runs guest code in a process that the kernel confines: files, network, system calls, memory, processes.

    Args:
        preload: Modules that the zygote imports once for all sessions. None: the authorised ones that are not of the
            standard library, so that `import pandas` in a session costs nothing.
        require: Properties or mechanisms (`pinjra.jail.profile.PROPERTIES`) without which the jail must not start.
        without: Mechanisms to leave out although this kernel has them.
        network: The guest may open internet sockets.
        spares: Confined processes kept ready for the next session of the same limits; 0 saves about 3 MiB each.
        python_path: Folders with modules of your own. The guest can read everything in them.

    Raises:
        JailUnavailable: This machine cannot give what is required; says what is missing and the choices.
        ConfigurationError: An unknown name in `require` or `without` (the caller's fault).
        StartupFailed: The zygote did not come up (the host's fault).
    """

    PATIENCE = Patience(close_seconds=0.0)  # no goodbye: the kernel ends all of a session at once

    def __init__(
        self,
        additional_authorized_imports: Iterable[str] = (),
        *,
        limits: Limits = Limits(),  # noqa: B008  (frozen)
        preload: Iterable[str] | None = None,
        require: Iterable[str] = (),
        without: Iterable[str] = (),
        network: bool = False,
        spares: int = 1,
        python_path: Iterable[str] = (),
        **options: Any,
    ) -> None:
        imports = tuple(additional_authorized_imports)
        self._config = Config(
            serve=_SERVE,
            preload=(*_PRELOAD, *(preload if preload is not None else _third_party(imports))),
            python_path=tuple(os.path.abspath(path) for path in python_path),
            require=tuple(require),
            without=tuple(without),
            network=network,
        )
        self._spares = spares
        self._zygote: Zygote = zygote_for(self._config)
        super().__init__(imports, limits=limits, scratch=self._zygote.scratch, **options)

    def _open(self) -> JailTransport:
        self._zygote = zygote_for(self._config)  # another one when that died or this process was forked
        spec = Spec(
            memory_bytes=_whole(self.limits.memory_bytes),
            disk_bytes=_whole(self.limits.disk_bytes),
            processes=_whole(self.limits.processes),
        )
        return JailTransport(self._zygote.take(spec, spares=self._spares))

    @classmethod
    def diagnose(cls) -> str:
        """Return "" when the jail works here, else why not."""
        try:
            zygote_for(Config(serve=_SERVE, preload=_PRELOAD))
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
            network="" if self._config.network else "no sockets (seccomp), " + _network(applied),
            files="private read-only view, Landlock" if "mount namespace" in applied else "Landlock",
            rollback="forked checkpoint",
            missing=self._zygote.missing,
        )


class JailTransport:
    """The socket of one session."""

    eight_bit_clean = True

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stream = session.stream
        self._stream.setblocking(False)
        self._reading = threading.Lock()
        self._ending = threading.Lock()
        self._death = ""
        self._is_closed = False

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return the next bytes; b"" when the session is dead or closed.

        Raises:
            TimeoutError: Nothing came in time.
        """
        with self._reading:
            if self._is_closed:
                return b""
            try:
                return self._stream.recv(_MOST_BYTES)
            except BlockingIOError:
                pass
            except OSError:
                return b""
            self._wait(select.POLLIN, timeout_seconds)
            try:
                return self._stream.recv(_MOST_BYTES)
            except BlockingIOError:
                raise TimeoutError("nothing came from the session in time") from None
            except OSError:
                return b""

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            BackendError: The session is dead.
        """
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._stream.send(rest) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, None)  # ends also when the session dies: `kill` is the deadline
            except OSError as error:
                raise BackendError(f"the session is gone: {error}") from error

    def _wait(self, event: int, timeout_seconds: float | None) -> None:
        """Return when the stream is ready or has ended.

        Raises:
            TimeoutError: Neither, in time.
        """
        poll = select.poll()
        poll.register(self._stream.fileno(), event)
        if not poll.poll(None if timeout_seconds is None else max(timeout_seconds, 0.0) * 1000):
            raise TimeoutError("the session's stream is not ready in time")

    def reopen(self) -> bool:
        """Return False: a socket of this machine does not break."""
        return False

    def kill(self) -> None:
        """Kill the session's first process; the kernel kills the others with it."""
        with self._ending:
            if self._session.pidfd >= 0:
                try:
                    signal.pidfd_send_signal(self._session.pidfd, signal.SIGKILL)
                except ProcessLookupError:
                    return  # it is dead already

    def close(self) -> None:
        """Kill the session and wait until nothing of it is left."""
        self.kill()
        with self._reading:  # a reader wakes at the end of the stream, and must not meet another's descriptor
            self._is_closed = True
            self._end()

    def describe_death(self) -> str:
        """Return how the session's first process ended, and why where that is known; "" while it lives."""
        with self._ending:
            pidfd = self._session.pidfd
            if pidfd < 0:
                return self._death
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(_DEATH_SECONDS * 1000):
                return ""
        with self._reading:
            self._is_closed = True
            self._end()
        return self._death

    def _end(self) -> None:
        with self._ending:
            how = self._session.end()
            if how:
                self._death = _words(how)


def _words(how: dict[str, object]) -> str:
    """Return a sentence about a wait status."""
    if how.get("memory_kills"):
        return "out of memory: killed by the kernel for its cgroup"
    status = how.get("status")
    code = os.waitstatus_to_exitcode(status) if isinstance(status, int) else 0
    said = str(how.get("note") or "").strip()
    words = f"signal {-code}" if code < 0 else f"exit status {code}"
    return f"{words}: {said}" if said else words


def _third_party(imports: Iterable[str]) -> tuple[str, ...]:
    """Return the modules worth importing once for all: not "*", not those that Python brings."""
    names = {name.removesuffix(".*") for name in imports if name != "*"}
    return tuple(sorted(name for name in names if name.partition(".")[0] not in sys.stdlib_module_names))


def _network(applied: tuple[str, ...]) -> str:
    return "network namespace" if "network namespace" in applied else "the host's namespace"


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
