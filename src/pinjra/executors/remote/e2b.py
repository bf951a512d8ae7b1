"""An E2B sandbox -> a transport over the stdin and stdout of one background command of its `commands` API.

The vendor's code interpreter is not used: any template with Python 3.10 or later does. Facts of envd that decide things: stdout
is decoded as UTF-8 by the SDK (so: ASCII lines); what is printed while nobody listens is dropped (so: resume); `timeout=` kills
the command (so: 0); the sandbox ends after its lifetime (so: a heartbeat).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from pinjra.core.errors import BackendError, ConfigurationError, MissingDependency, StartupFailed
from pinjra.core.limits import Limits
from pinjra.executors.bootstrap.first_bytes import bootstrap_code, bootstrap_payload
from pinjra.executors.guarantees import Guarantees, of_vendor
from pinjra.executors.remote.packages import distributions_for, install_command
from pinjra.executors.remote.stream_reader import Pump
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport

__all__ = ["E2BExecutor", "E2BTransport"]

KEY = "E2B_API_KEY"
STDIN_CHUNK_BYTES = 512 << 10  # envd refuses messages above 4 MiB; half a MiB keeps the first answer quick
INSTALL_SECONDS = 300


class E2BExecutor(SessionExecutor):
    """Runs guest code in a cloud sandbox of E2B; tools and agents stay here.

    Args:
        api_key: None: `E2B_API_KEY` from the environment, or from a `.env` file when `dotenv` is true.
        template: Template name or id; None for the vendor's default.
        timeout_seconds: Lifetime of the sandbox after the last heartbeat: how long it outlives a dead host.
        allow_internet_access: Let guest code reach the internet.
        install: Install third-party authorised imports in the sandbox before the first run.

    Raises:
        MissingDependency: The SDK is not installed.
        ConfigurationError: There is no key.
        StartupFailed: The sandbox or an installation failed.
    """

    PATIENCE = Patience(start_seconds=120.0, interrupt_seconds=0.5, kill_seconds=5.0, close_seconds=2.0)

    def __init__(
        self,
        additional_authorized_imports: Iterable[str] = (),
        *,
        limits: Limits = Limits(),  # noqa: B008  (frozen)
        api_key: str | None = None,
        dotenv: bool = False,
        template: str | None = None,
        timeout_seconds: int = 300,
        allow_internet_access: bool = False,
        install: bool = True,
        sandbox_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        imports = tuple(additional_authorized_imports)
        self._sdk = _sdk()
        self._key = api_key or _find_key(dotenv=dotenv)
        self._packages = distributions_for(imports) if install else []
        self._allow_internet = allow_internet_access
        self._timeout_seconds = timeout_seconds
        self._create = {
            "template": template,
            "timeout": timeout_seconds,
            # Installing needs the network; it is taken away again before the first guest line runs.
            "allow_internet_access": allow_internet_access or bool(self._packages),
            **(sandbox_options or {}),
        }
        super().__init__(imports, limits=limits, **options)

    def _open(self) -> Transport:
        try:
            sandbox = self._sdk.Sandbox.create(api_key=self._key, **self._create)
        except Exception as error:  # the SDK's and its HTTP client's own errors
            raise StartupFailed(f"E2B did not start a sandbox: {type(error).__name__}: {error}") from error
        try:
            self._install(sandbox)
            transport = E2BTransport(sandbox, heartbeat_seconds=self._timeout_seconds)
            transport.write(bootstrap_payload())
        except BaseException:
            with contextlib.suppress(Exception):
                sandbox.kill()
            raise
        return transport

    def _install(self, sandbox: Any) -> None:
        if not self._packages:
            return
        command = install_command(self._packages)
        try:
            sandbox.commands.run(command, timeout=INSTALL_SECONDS)
            if not self._allow_internet:
                sandbox.update_network({"deny_out": ["0.0.0.0/0"]})
        except Exception as error:
            detail = getattr(error, "stderr", "") or str(error)
            raise StartupFailed(
                f"installing {', '.join(self._packages)} in the sandbox failed: {detail}"[:2000]
            ) from error

    @classmethod
    def diagnose(cls) -> str:
        """Say whether the SDK and a key are there."""
        try:
            _sdk()
            _find_key(dotenv=False)
        except ConfigurationError as error:
            return str(error)
        return ""

    @property
    def guarantees(self) -> Guarantees:
        """What the vendor's machine and the worker in it enforce."""
        return of_vendor("microVM of E2B", has_guard=self._guard, has_network=self._allow_internet)


class E2BTransport:
    """The stream of one background command."""

    eight_bit_clean = False  # the SDK decodes output as UTF-8

    def __init__(self, sandbox: Any, *, heartbeat_seconds: int) -> None:
        self._sandbox = sandbox
        self._closed = threading.Event()
        command = f"exec python3 -I -u -c {shlex.quote(bootstrap_code())}"
        try:
            handle = sandbox.commands.run(
                command, background=True, stdin=True, timeout=0, retain_output=False
            )
        except Exception as error:
            raise StartupFailed(f"the worker did not start: {type(error).__name__}: {error}") from error
        self._pid: int = handle.pid
        self._pump = Pump("e2b", lambda: self._stdout(handle))
        self._stderr = ""
        threading.Thread(
            target=self._beat, args=(heartbeat_seconds,), name="pinjra-e2b-heartbeat", daemon=True
        ).start()

    def _stdout(self, handle: Any) -> Iterator[str]:
        for out, err, _ in handle:
            if out:
                yield out
            if err:
                self._stderr = (self._stderr + err)[-4096:]

    def _beat(self, lifetime_seconds: int) -> None:
        """Keep the sandbox alive for as long as this host is."""
        while not self._closed.wait(max(1.0, lifetime_seconds / 3)):
            with contextlib.suppress(Exception):  # the next beat tries again; a dead sandbox ends the stream
                self._sandbox.set_timeout(lifetime_seconds)

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return the next bytes of stdout; see `Transport.read`."""
        return self._pump.read(timeout_seconds)

    def write(self, data: bytes) -> None:
        """Send all of `data` to stdin."""
        for start in range(0, len(data), STDIN_CHUNK_BYTES):
            try:
                self._sandbox.commands.send_stdin(self._pid, data[start : start + STDIN_CHUNK_BYTES])
            except Exception as error:
                raise BackendError(f"E2B took no input: {type(error).__name__}: {error}") from error

    def reopen(self) -> bool:
        """Listen again to the command after the stream broke."""
        if self._closed.is_set():
            return False
        try:
            handle = self._sandbox.commands.connect(self._pid, timeout=0, retain_output=False)
        except Exception:  # the command or the sandbox is gone
            return False
        self._pump.close()
        self._pump = Pump("e2b", lambda: self._stdout(handle))
        return True

    def kill(self) -> None:
        """Kill the sandbox: with it goes everything that the guest started."""
        self._closed.set()
        with contextlib.suppress(Exception):  # it may be gone
            self._sandbox.kill()

    def close(self) -> None:
        """Kill the sandbox and let the threads end."""
        if not self._closed.is_set():
            self.kill()
        self._pump.close()

    def describe_death(self) -> str:
        """Return whether the sandbox still runs, and the end of stderr."""
        words = []
        with contextlib.suppress(Exception):
            words.append("the sandbox still runs" if self._sandbox.is_running() else "the sandbox is gone")
        words.append(self._stderr.strip()[-500:])
        return "; ".join(word for word in words if word)


def _sdk() -> Any:
    try:
        import e2b_code_interpreter
    except ImportError:
        raise MissingDependency("the E2B SDK", "pip install 'pinjra[e2b]'") from None
    return e2b_code_interpreter


def _find_key(*, dotenv: bool) -> str:
    key = os.environ.get(KEY)
    if not key and dotenv:
        try:
            from dotenv import dotenv_values
        except ImportError:
            raise MissingDependency("python-dotenv", "pip install 'pinjra[dotenv]'") from None
        key = dotenv_values().get(KEY)
    if not key:
        raise ConfigurationError(f"E2B needs a key: set {KEY}, or pass api_key=")
    return key
