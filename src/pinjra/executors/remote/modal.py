"""A Modal sandbox -> a transport over stdin and stdout of one `exec`.

Modal's streams have byte offsets, so its client loses and repeats nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Any

from pinjra.core.errors import BackendError, ConfigurationError, MissingDependency, StartupFailed
from pinjra.core.limits import Limits
from pinjra.executors.bootstrap.first_bytes import bootstrap_code, bootstrap_payload
from pinjra.executors.guarantees import Guarantees, of_vendor
from pinjra.executors.remote.packages import distributions_for
from pinjra.executors.remote.stream_reader import Pump
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport

__all__ = ["ModalExecutor", "ModalTransport"]

STDIN_CHUNK_BYTES = 1 << 20  # the client buffers at most 16 MiB before `drain`


class ModalExecutor(SessionExecutor):
    """Runs guest code in a sandbox of Modal; tools and agents stay here.

    Args:
        app_name: The app that the sandbox belongs to; made when there is none.
        image: A `modal.Image`; None: slim Debian with the third-party authorised imports installed.
        network: Let guest code reach the network.
        timeout_seconds: Lifetime of the sandbox: how long it outlives a dead host.
        cpus: Processors reserved, as the vendor counts them.
        sandbox_options: Further parameters of `modal.Sandbox.create`.

    Raises:
        MissingDependency: The SDK is not installed.
        ConfigurationError: There is no token (`MODAL_TOKEN_ID` and `MODAL_TOKEN_SECRET`, or `modal token new`).
        StartupFailed: The sandbox did not start.
    """

    PATIENCE = Patience(start_seconds=120.0, interrupt_seconds=0.5, kill_seconds=5.0, close_seconds=2.0)

    def __init__(
        self,
        additional_authorized_imports: Iterable[str] = (),
        *,
        limits: Limits = Limits(),  # noqa: B008  (frozen)
        app_name: str = "pinjra",
        image: Any = None,
        network: bool = False,
        timeout_seconds: int = 3600,
        cpus: float | None = None,
        sandbox_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        imports = tuple(additional_authorized_imports)
        self._sdk = _sdk()
        _check_token(self._sdk)
        self._app_name = app_name
        self._image = image
        self._packages = distributions_for(imports)
        self._network = network
        memory = limits.memory_bytes
        self._create = {
            "timeout": timeout_seconds,
            "block_network": not network,
            "memory": None if memory is None else max(128, memory >> 20) + 64,
            "cpu": cpus,
            **(sandbox_options or {}),
        }
        super().__init__(imports, limits=limits, **options)

    def _open(self) -> Transport:
        try:
            app = self._sdk.App.lookup(self._app_name, create_if_missing=True)
            image = self._image
            if image is None:
                image = self._sdk.Image.debian_slim()
                if self._packages:
                    image = image.pip_install(*self._packages)
            sandbox = self._sdk.Sandbox.create(app=app, image=image, **self._create)
        except Exception as error:  # the SDK's own errors and those of its gRPC client
            raise StartupFailed(f"Modal did not start a sandbox: {type(error).__name__}: {error}") from error
        try:
            transport = ModalTransport(sandbox)
            transport.write(bootstrap_payload())
        except BaseException:
            with contextlib.suppress(Exception):
                sandbox.terminate()
            raise
        return transport

    @classmethod
    def diagnose(cls) -> str:
        """Say whether the SDK and a token are there."""
        try:
            _check_token(_sdk())
        except ConfigurationError as error:
            return str(error)
        return ""

    @property
    def guarantees(self) -> Guarantees:
        """What the vendor's machine and the worker in it enforce."""
        return of_vendor("gVisor of Modal", has_guard=self._guard, has_network=self._network)


class ModalTransport:
    """The streams of one `exec`."""

    eight_bit_clean = True

    def __init__(self, sandbox: Any) -> None:
        self._sandbox = sandbox
        self._is_closed = False
        try:
            self._process = sandbox.exec(
                "python3", "-I", "-u", "-c", bootstrap_code(), text=False, bufsize=-1
            )
        except Exception as error:
            raise StartupFailed(f"the worker did not start: {type(error).__name__}: {error}") from error
        self._pump = Pump("modal", lambda: self._process.stdout)

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return the next bytes of stdout; see `Transport.read`."""
        return self._pump.read(timeout_seconds)

    def write(self, data: bytes) -> None:
        """Send all of `data` to stdin."""
        if self._pump.has_ended:  # the client would try for 20 seconds to reach a process that is gone
            raise BackendError("Modal took no input: the worker's output has ended")
        try:
            for start in range(0, len(data), STDIN_CHUNK_BYTES):
                self._process.stdin.write(data[start : start + STDIN_CHUNK_BYTES])
                self._process.stdin.drain()
        except Exception as error:
            raise BackendError(f"Modal took no input: {type(error).__name__}: {error}") from error

    def reopen(self) -> bool:
        """Say no: the client reads again from the right offset by itself; what it cannot mend is lost."""
        return False

    def kill(self) -> None:
        """Terminate the sandbox: one `exec` cannot be killed by itself."""
        if not self._is_closed:
            self._is_closed = True
            with contextlib.suppress(Exception):  # it may be gone
                self._sandbox.terminate()

    def close(self) -> None:
        """Terminate the sandbox and let the thread end."""
        self.kill()
        self._pump.close()
        with contextlib.suppress(Exception):
            self._sandbox.detach()

    def describe_death(self) -> str:
        """Return the exit status, when the vendor tells."""
        with contextlib.suppress(Exception):
            status = self._process.poll()
            return "the worker still runs" if status is None else f"exit status {status}"
        return "the sandbox is gone"


def _sdk() -> Any:
    try:
        import modal
    except ImportError:
        raise MissingDependency("the Modal SDK", "pip install 'pinjra[modal]'") from None
    return modal


def _check_token(sdk: Any) -> None:
    config = getattr(sdk, "config", None)
    known = getattr(config, "config", {}) or {}
    try:
        has_file = bool(known.get("token_id"))
    except Exception:  # the SDK's configuration file cannot be read
        has_file = False
    if not has_file and not (os.environ.get("MODAL_TOKEN_ID") and os.environ.get("MODAL_TOKEN_SECRET")):
        raise ConfigurationError(
            "Modal needs a token: set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET, or run `modal token new`"
        )
