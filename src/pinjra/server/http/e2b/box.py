"""What a tenant may use -> a jail with a server in it, and connections to that server. Whatever comes from it is hostile."""

from __future__ import annotations

import functools
import select
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pinjra.access.programs import find_programs
from pinjra.core.errors import BackendError, ConfigurationError, ExecutorUnavailable, SessionLost
from pinjra.core.execution import Execution
from pinjra.executors.base import PythonExecutor
from pinjra.jail.confine import Spec
from pinjra.jail.paths import readable
from pinjra.jail.spawn.client import Config, JailProcess, zygote_for

if TYPE_CHECKING:
    from pinjra.server.http.tenants import Tenant

_SERVE = "pinjra.server.http.e2b.inside.serve:serve"
_NEEDED = {"e2b": "e2b", "IPython": "ipython", "connectrpc": "connectrpc"}
# What code of this kind imports first; each is shared memory and no time, where it is installed.
_PRELOAD = (
    "pinjra.server.http.e2b.inside.kernel",
    "pinjra.server.http.e2b.inside.charts",
    "anyio._backends._asyncio",  # these are imported at first use only, in each box anew
    "IPython.core.completerlib",
    "IPython.core.crashhandler",
    "IPython.core.magics",
    "numpy",
    "pandas",
    "matplotlib.pyplot",
    "matplotlib_inline.backend_inline",
    "PIL.Image",
    "PIL.PngImagePlugin",
)
_FOLDERS = ("/home/user", "/root", "/tmp")  # noqa: S108 (of the box); the last is for shared memory, too
_PROCESSES = 128


class SandboxBox(PythonExecutor):
    """One jail whose first process is a server of E2B's API. It is no session for `run`: clients of that API speak to it."""

    def __init__(self, spec: Spec) -> None:
        """Open it.

        Raises:
            ExecutorUnavailable: The jail or a package that it needs is not there (the operator's fault).
            StartupFailed: It did not come up.
        """
        self._check_here()
        programs = find_programs(("*",))
        config = Config(
            serve=_SERVE,
            preload=_PRELOAD,
            programs=programs.shown,
            makes_code=True,
            folders=_FOLDERS,
            loopback=True,
            terminals=True,
        )
        self.spec = spec
        self.path = programs.path
        self._lock = threading.Lock()
        self._process: JailProcess | None = zygote_for(config).take(spec)
        self.pid = self._process.pid
        self._process.stream.setblocking(False)

    @classmethod
    @functools.cache
    def _check_here(cls) -> None:
        for module, package in _NEEDED.items():
            if find_spec(module) is None:
                raise ExecutorUnavailable(
                    f"E2B's API needs {package!r} on this machine: pip install 'pinjra[e2b-server]'"
                )
        for path in readable((), network=False)[0]:
            if path.startswith(tuple(f"{folder}/" for folder in _FOLDERS)):
                raise ExecutorUnavailable(
                    f"sandboxes of E2B's API have {', '.join(_FOLDERS)} of their own, which would hide {path!r}: "
                    "Python and Pinjra must be installed elsewhere"
                )

    @property
    def pidfd(self) -> int:
        """Return the descriptor that is readable when the box is dead; -1: closed."""
        return self._process.pidfd if self._process is not None else -1

    def connect(self, port: int = 0) -> socket.socket:
        """Return a new connection to the box's own server, or to what the guest has listening at a port of its loopback.

        Raises:
            SessionLost: The box is dead.
            BackendError: Its server takes no more connections (the guest's fault: it stopped it).
        """
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            try:
                if self._process is None:
                    raise SessionLost("the sandbox is closed")
                socket.send_fds(self._process.stream, [b"%8d" % port], [theirs.fileno()])
            except BlockingIOError as error:
                ours.close()
                raise BackendError("the sandbox takes no more connections") from error
            except (OSError, SessionLost) as error:
                ours.close()
                raise SessionLost("the sandbox has ended") from error
        return ours

    def discard(self) -> None:
        """End it: nobody has wanted it."""
        self.close()

    def is_unused(self) -> bool:
        """Return whether it may be given to somebody: it was opened in advance, and runs."""
        return self.is_alive()

    def is_alive(self) -> bool:
        """Return whether its first process runs."""
        if self.pidfd < 0:
            return False
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return not poll.poll(0)

    def signal(self, number: int) -> None:
        """Send a signal to the first process."""
        with self._lock:
            if self.pidfd >= 0:
                try:
                    signal.pidfd_send_signal(self.pidfd, number)
                except ProcessLookupError:
                    return  # it is dead

    def close(self) -> None:
        """Kill it and clean up behind it. Idempotent."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.end()

    # ------------------------------------------------------------ what executors have

    def run(self, code: str, *, wall_seconds: float | None = None) -> Execution:
        """Refuse: this is not how it is spoken to."""
        raise ConfigurationError("this session is an E2B sandbox: use E2B's API")

    def send_tools(self, tools: Mapping[str, Callable[..., object]]) -> None:
        """Refuse, as `run` does."""
        raise ConfigurationError("this session is an E2B sandbox: it has no tools")

    def send_variables(self, variables: Mapping[str, object]) -> None:
        """Refuse, as `run` does."""
        raise ConfigurationError("this session is an E2B sandbox: use E2B's API")


def spec_for(tenant: Tenant) -> Spec:
    """Return what a sandbox of this tenant may use: all that its quota allows."""
    quota = tenant.quota
    return Spec(memory_bytes=quota.memory_bytes, disk_bytes=quota.disk_bytes, processes=_PROCESSES)
