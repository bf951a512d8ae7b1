"""A Daytona sandbox -> a transport over one asynchronous command of a session: input by requests, output by a WebSocket.

Facts of the vendor that decide things: output is one text stream with markers in it (so: ASCII lines); whoever listens again
hears everything from the start (the protocol skips what it has seen); input gets a newline where it has none (so: whole
lines); a sandbox without events stops by itself (so: a heartbeat).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
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

__all__ = ["DaytonaExecutor", "DaytonaTransport"]

KEY = "DAYTONA_API_KEY"
INPUT_BYTES = 1 << 20  # of one request; a single longer line goes alone
INSTALL_SECONDS = 300
CALL_SECONDS = 30.0  # of one request
# The SDK keeps the last two characters of its stream back when they come alone, until more comes. Then nothing would: the worker
# waits for us. Resuming makes it speak. A slow line that is only slow has something new within this time.
STALL_SECONDS = 3.0
TAIL_CHARACTERS = 4096  # of stderr, kept to say why a worker died


class DaytonaExecutor(SessionExecutor):
    """Runs guest code in a sandbox of Daytona; tools and agents stay here.

    Args:
        api_key: None: `DAYTONA_API_KEY`. Where the API is: `DAYTONA_API_URL`, or the vendor's.
        snapshot: Of the vendor or your own; None for the vendor's default.
        image: An image to build from instead of a snapshot; memory and processors are then asked for as in `limits`.
        cpus: Processors, with `image`.
        timeout_seconds: After which an idle sandbox is stopped and deleted: how long it outlives a dead host.
        network: Let guest code reach the network.
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
        snapshot: str | None = None,
        image: str | None = None,
        cpus: int = 1,
        timeout_seconds: int = 900,
        network: bool = False,
        install: bool = True,
        **options: Any,
    ) -> None:
        imports = tuple(additional_authorized_imports)
        self._sdk = _sdk()
        self._key = api_key or _find_key()
        self._packages = distributions_for(imports) if install else []
        self._network = network
        self._timeout_seconds = timeout_seconds
        self._snapshot = snapshot
        self._image = image
        self._resources = (cpus, -(-((limits.memory_bytes or 1 << 30) + (128 << 20)) // (1 << 30)))
        super().__init__(imports, limits=limits, **options)

    def _open(self) -> Transport:
        try:
            client = self._sdk.Daytona(self._sdk.DaytonaConfig(api_key=self._key))
            sandbox = client.create(self._params(), timeout=self.PATIENCE.start_seconds)
        except Exception as error:  # the SDK's own errors and those of its HTTP client
            raise StartupFailed(
                f"Daytona did not start a sandbox: {type(error).__name__}: {error}"
            ) from error
        try:
            self._install(sandbox)
            transport = DaytonaTransport(sandbox, heartbeat_seconds=self._timeout_seconds, owner=client)
            transport.write(bootstrap_payload())
        except BaseException:
            with contextlib.suppress(Exception):
                sandbox.delete()
            raise
        return transport

    def _params(self) -> Any:
        common = {
            # Installing needs the network; it is taken away again before the first guest line runs.
            "network_block_all": not self._network and not self._packages,
            "auto_stop_interval": max(1, -(-self._timeout_seconds // 60)),
            "auto_delete_interval": 0,  # as soon as it is stopped
            "labels": {"managed-by": "pinjra"},
        }
        if self._image is None:
            return self._sdk.CreateSandboxFromSnapshotParams(snapshot=self._snapshot, **common)
        cpus, gibibytes = self._resources
        resources = self._sdk.Resources(cpu=cpus, memory=gibibytes)
        return self._sdk.CreateSandboxFromImageParams(image=self._image, resources=resources, **common)

    def _install(self, sandbox: Any) -> None:
        if not self._packages:
            return
        names = ", ".join(self._packages)
        command = install_command(self._packages)
        try:
            done = sandbox.process.exec(command, timeout=INSTALL_SECONDS)
            if done.exit_code == 0 and not self._network:
                sandbox.update_network_settings(network_block_all=True)
        except Exception as error:
            raise StartupFailed(f"installing {names} in the sandbox failed: {error}"[:2000]) from error
        if done.exit_code != 0:
            raise StartupFailed(f"installing {names} in the sandbox failed: {done.result}"[:2000])

    @classmethod
    def diagnose(cls) -> str:
        """Say whether the SDK and a key are there."""
        try:
            _sdk()
            _find_key()
        except ConfigurationError as error:
            return str(error)
        return ""

    @property
    def guarantees(self) -> Guarantees:
        """What the vendor's machine and the worker in it enforce."""
        return of_vendor("container of Daytona", has_guard=self._guard, has_network=self._network)


class DaytonaTransport:
    """The input and the log of one command.

    Args:
        owner: The SDK's client; kept, because its connections end with it.
    """

    eight_bit_clean = False  # markers stand in the stream, and it is decoded as UTF-8

    def __init__(self, sandbox: Any, *, heartbeat_seconds: int, owner: Any) -> None:
        from daytona import SessionExecuteRequest

        self._sandbox = sandbox
        self._owner = owner
        self._closed = threading.Event()
        self._stderr = ""
        self._session = f"pinjra-{uuid.uuid4().hex[:8]}"
        request = SessionExecuteRequest(
            command=f"python3 -I -u -c {shlex.quote(bootstrap_code())}",
            run_async=True,
            suppress_input_echo=True,
        )
        try:
            sandbox.process.create_session(self._session)
            self._command: str = sandbox.process.execute_session_command(self._session, request).cmd_id
        except Exception as error:
            raise StartupFailed(f"the worker did not start: {type(error).__name__}: {error}") from error
        self._heard = 0.0  # when; 0 after a whole line
        self._pump = Pump("daytona", feed=self._listen)
        threading.Thread(
            target=self._beat, args=(heartbeat_seconds,), name="pinjra-daytona-heartbeat", daemon=True
        ).start()

    def _listen(self, take: Callable[[str | bytes], None]) -> None:
        """Follow the command's log, from its start to its end."""
        follow = self._sandbox.process.get_session_command_logs_async
        asyncio.run(follow(self._session, self._command, take, self._on_stderr))

    def _on_stderr(self, text: str) -> None:
        self._stderr = (self._stderr + text)[-TAIL_CHARACTERS:]

    def _beat(self, idle_seconds: int) -> None:
        """Tell the vendor that the sandbox is in use, for as long as this host is."""
        while not self._closed.wait(max(1.0, min(idle_seconds, 60) / 3)):
            with contextlib.suppress(Exception):  # the next beat tries again; a dead sandbox ends the stream
                self._sandbox.refresh_activity(request_timeout=CALL_SECONDS)

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return the next bytes of stdout; see `Transport.read`."""
        stalled_in = self._heard + STALL_SECONDS - time.monotonic() if self._heard else None
        is_short = stalled_in is not None and (timeout_seconds is None or stalled_in < timeout_seconds)
        try:
            data = self._pump.read(max(0.0, stalled_in or 0.0) if is_short else timeout_seconds)
        except TimeoutError:
            if is_short:
                raise BackendError(f"nothing came for {STALL_SECONDS:g} s in the middle of a line") from None
            raise
        self._heard = 0.0 if data.endswith(b"\n") else time.monotonic()
        return data

    def write(self, data: bytes) -> None:
        """Send all of `data`, which ends with a line's end, to stdin."""
        for lines in _whole_lines(data):
            try:
                self._sandbox.process.send_session_command_input(
                    self._session, self._command, lines.decode("ascii"), request_timeout=CALL_SECONDS
                )
            except Exception as error:
                raise BackendError(f"Daytona took no input: {type(error).__name__}: {error}") from error

    def reopen(self) -> bool:
        """Listen again while the command runs; the log comes from its start, and the protocol skips what it has seen."""
        if self._closed.is_set():
            return False
        try:
            command = self._sandbox.process.get_session_command(self._session, self._command)
        except Exception:  # the session or the sandbox is gone
            return False
        if command.exit_code is not None:
            return False
        self._pump.close()
        self._heard = 0.0
        self._pump = Pump("daytona", feed=self._listen)
        return True

    def kill(self) -> None:
        """Delete the sandbox: with it goes everything that the guest started."""
        if not self._closed.is_set():
            self._closed.set()
            with contextlib.suppress(Exception):  # it may be gone
                self._sandbox.delete()

    def close(self) -> None:
        """Delete the sandbox and let the threads end."""
        self.kill()
        self._pump.close()

    def describe_death(self) -> str:
        """Return the command's exit status, the sandbox's state and the end of stderr."""
        words = []
        with contextlib.suppress(Exception):
            command = self._sandbox.process.get_session_command(self._session, self._command)
            if command.exit_code is not None:
                words.append(f"exit status {command.exit_code}")
        with contextlib.suppress(Exception):
            self._sandbox.refresh_data(request_timeout=CALL_SECONDS)
            state = getattr(self._sandbox.state, "value", self._sandbox.state)
            words.append(f"the sandbox is {state} {self._sandbox.error_reason or ''}".strip())
        words.append(self._stderr.strip()[-500:])
        return ", ".join(word for word in words if word) or "the sandbox is gone"


def _whole_lines(data: bytes) -> Iterator[bytes]:
    """Yield `data` in pieces that end with a line's end."""
    start = 0
    while start < len(data):
        # The last line's end within reach; else the end of a longer line; else all that is left.
        end = data.rfind(b"\n", start, start + INPUT_BYTES) + 1 or data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def _sdk() -> Any:
    try:
        import daytona
    except ImportError:
        raise MissingDependency("the Daytona SDK", "pip install 'pinjra[daytona]'") from None
    return daytona


def _find_key() -> str:
    key = os.environ.get(KEY)
    if not key:
        raise ConfigurationError(f"Daytona needs a key: set {KEY}, or pass api_key=")
    return key
