"""A Blaxel sandbox -> a transport over the stdin and the log stream of one process of its sandbox API.

Facts that decide things: the log stream is made of lines ("stdout:…"), so frames are lines; it replays from the process's start
when it is opened again, so resuming needs nothing but the protocol's numbers; without `keep_alive` the sandbox sleeps in mid-run;
the SDK's own `write_stdin` makes a new TLS context for each call, so one HTTP client is kept.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import httpx

from pinjra.core.errors import BackendError, ConfigurationError, MissingDependency, StartupFailed
from pinjra.core.limits import Limits
from pinjra.executors.bootstrap.first_bytes import bootstrap_code, bootstrap_payload
from pinjra.executors.guarantees import Guarantees, of_vendor
from pinjra.executors.remote.packages import distributions_for, install_command
from pinjra.executors.remote.stream_reader import Pump
from pinjra.executors.session.capabilities import open_network
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport

__all__ = ["BlaxelExecutor", "BlaxelTransport"]

STDIN_CHUNK_BYTES = 512 << 10
LONGEST_LINE = 2 << 20  # characters: twice a frame's longest line
TAIL_CHARACTERS = 4096  # of stderr, kept to say why a worker died


class BlaxelExecutor(SessionExecutor):
    """Runs guest code in a sandbox of Blaxel; tools and agents stay here.

    Args:
        image: None for the vendor's Python image.
        ttl: Lifetime of the sandbox ("30m"): how long it outlives a dead host.
        network: Let guest code reach the network.
        install: Install third-party authorised imports in the sandbox before the first run.
        sandbox: An existing `SyncSandboxInstance` to use instead of a new one; it is not deleted at the end.

    Raises:
        MissingDependency: The SDK is not installed.
        ConfigurationError: There is no key (`BL_API_KEY` and `BL_WORKSPACE`).
        StartupFailed: The sandbox or an installation failed.
    """

    PATIENCE = Patience(start_seconds=120.0, interrupt_seconds=0.5, kill_seconds=5.0, close_seconds=2.0)

    def __init__(
        self,
        additional_authorized_imports: Iterable[str] = (),
        *,
        limits: Limits = Limits(),  # noqa: B008  (frozen)
        image: str = "blaxel/py-app:latest",
        ttl: str = "1h",
        network: bool = False,
        install: bool = True,
        sandbox: Any = None,
        **options: Any,
    ) -> None:
        imports = tuple(additional_authorized_imports)
        self._sdk = _sdk()
        if sandbox is None:
            _check_key()
        self._given = sandbox
        self._packages = distributions_for(imports) if install else []
        self._network = open_network(type(self).__name__, network)
        memory = limits.memory_bytes
        self._create = {
            "name": f"pinjra-{uuid.uuid4().hex[:12]}",
            "image": image,
            "ttl": ttl,
            "memory": 4096 if memory is None else max(1024, (memory >> 20) + 512),
        }
        if not network and not self._packages:
            self._create["network"] = {"allowedDomains": [], "forbiddenDomains": ["*"]}
        super().__init__(imports, limits=limits, **options)

    def _open(self) -> Transport:
        try:
            sandbox = self._given or self._sdk.SyncSandboxInstance.create(self._create)
        except Exception as error:  # the SDK's and its HTTP client's own errors
            raise StartupFailed(f"Blaxel did not start a sandbox: {type(error).__name__}: {error}") from error
        transport = BlaxelTransport(sandbox, is_owned=self._given is None)
        try:
            if self._packages:
                transport.install(self._packages)
            transport.start()
        except BaseException:
            transport.close()
            raise
        return transport

    @classmethod
    def diagnose(cls) -> str:
        """Say whether the SDK and a key are there."""
        try:
            _sdk()
            _check_key()
        except ConfigurationError as error:
            return str(error)
        return ""

    @property
    def guarantees(self) -> Guarantees:
        """What the vendor's machine and the worker in it enforce."""
        has_network = self._network or bool(self._packages) or self._given is not None
        return of_vendor("microVM of Blaxel", has_guard=self._guard, has_network=has_network)


class BlaxelTransport:
    """The stream of one process; `start` begins it."""

    eight_bit_clean = False  # the log stream is text lines

    def __init__(self, sandbox: Any, *, is_owned: bool) -> None:
        self._sandbox = sandbox
        self._is_owned = is_owned
        self._is_closed = False
        self._name = f"pinjra-{uuid.uuid4().hex[:8]}"
        self._http: httpx.Client = sandbox.process.get_client()
        self._pump: Pump | None = None
        self._stderr = ""

    def install(self, packages: list[str]) -> None:
        """Install distributions before the worker starts.

        Raises:
            StartupFailed: pip failed; the end of its output is in the message.
        """
        command = install_command(packages)
        try:
            done = self._sandbox.process.exec({"command": command, "keep_alive": True})
            done = self._sandbox.process.wait(done.name)
        except Exception as error:
            raise StartupFailed(f"installing {', '.join(packages)} failed: {error}"[:2000]) from error
        if done.status == "failed":
            raise StartupFailed(f"installing {', '.join(packages)} failed: {done.stderr or done.logs}"[:2000])

    def start(self) -> None:
        """Start the worker and push it in.

        Raises:
            StartupFailed: The process did not start.
        """
        request = {
            "command": f"python3 -I -u -c {shlex.quote(bootstrap_code())}",
            "name": self._name,
            "stdin": True,
            "keep_alive": True,  # else the sandbox scales to zero in the middle of a run
            "timeout": 0,
        }
        try:
            self._sandbox.process.exec(request)
        except Exception as error:
            raise StartupFailed(f"the worker did not start: {type(error).__name__}: {error}") from error
        self._pump = Pump("blaxel", self._stdout)
        self.write(bootstrap_payload())

    def _stdout(self) -> Iterator[str]:
        url = f"/process/{self._name}/logs/stream"
        with self._http.stream("GET", url, timeout=httpx.Timeout(30.0, read=None)) as response:
            if response.status_code != 200:
                raise BackendError(f"no log stream: HTTP {response.status_code}")
            for kind, text in _by_stream(response.iter_text()):
                if kind == "stdout":
                    yield text
                else:
                    self._stderr = (self._stderr + text)[-TAIL_CHARACTERS:]

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return the next bytes of stdout; see `Transport.read`."""
        if self._pump is None:
            return b""
        return self._pump.read(timeout_seconds)

    def write(self, data: bytes) -> None:
        """Send all of `data` to stdin. Not repeated on failure: the protocol's resume does that exactly."""
        for start in range(0, len(data), STDIN_CHUNK_BYTES):
            chunk = data[start : start + STDIN_CHUNK_BYTES]
            headers = {"Content-Type": "application/octet-stream"}
            try:
                response = self._http.post(f"/process/{self._name}/stdin", content=chunk, headers=headers)
            except httpx.HTTPError as error:
                raise BackendError(f"Blaxel took no input: {type(error).__name__}: {error}") from error
            if response.status_code >= 400:
                raise BackendError(
                    f"Blaxel took no input: HTTP {response.status_code}: {response.text[:200]}"
                )

    def reopen(self) -> bool:
        """Listen again; the vendor replays from the start, and the protocol skips what it has seen."""
        if self._is_closed:
            return False
        try:
            if self._sandbox.process.get(self._name).status != "running":
                return False
        except Exception:  # the process or the sandbox is gone
            return False
        if self._pump is not None:
            self._pump.close()
        self._pump = Pump("blaxel", self._stdout)
        return True

    def kill(self) -> None:
        """Delete the sandbox, or kill the process in one that is not ours."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(Exception):  # it may be gone
            if self._is_owned:
                self._sandbox.delete()
            else:
                self._sandbox.process.kill(self._name)

    def close(self) -> None:
        """Kill, and let the thread and the connections end."""
        self.kill()
        if self._pump is not None:
            self._pump.close()
        self._http.close()

    def describe_death(self) -> str:
        """Return the process's status and the end of stderr."""
        words = self._stderr.strip()[-500:]
        with contextlib.suppress(Exception):
            found = self._sandbox.process.get(self._name)
            words = f"{found.status}, exit status {found.exit_code} {words}".strip()
        return words


def _by_stream(chunks: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield ("stdout" or "stderr", text) of a log whose lines say which they are; other lines are the vendor's own."""
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split("\n")
        for line in lines:
            kind, mark, text = line.partition(":")
            if mark and kind in ("stdout", "stderr"):
                yield kind, text + "\n"
        # SECURITY: a line without an end is not collected for ever; as it is, the reader of frames refuses it.
        if len(rest) > LONGEST_LINE:
            yield "stdout", rest
            rest = ""


def _sdk() -> Any:
    try:
        from blaxel import core
    except ImportError:
        raise MissingDependency("the Blaxel SDK", "pip install 'pinjra[blaxel]'") from None
    return core


def _check_key() -> None:
    if not os.environ.get("BL_API_KEY") and not os.environ.get("BL_CLIENT_CREDENTIALS"):
        raise ConfigurationError("Blaxel needs a key: set BL_API_KEY and BL_WORKSPACE")
