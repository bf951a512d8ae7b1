"""A Modal sandbox -> a transport over stdin and stdout of one `exec`.

Modal's streams have byte offsets, so its client loses and repeats nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pinjra.core.errors import BackendError, ConfigurationError
from pinjra.executors.bootstrap.first_bytes import bootstrap_command
from pinjra.executors.remote.base import RemoteTransport, Take, VendorExecutor


@dataclass(kw_only=True, eq=False, repr=False)
class ModalExecutor(VendorExecutor):
    """Runs guest code in a sandbox of Modal; tools and agents stay here.

    Args:
        app_name: The app that the sandbox belongs to; made when there is none.
        image: A `modal.Image`; None: slim Debian with the packages installed.
        timeout_seconds: Lifetime of the sandbox: how long it outlives a dead host.
        cpus: Processors reserved, as the vendor counts them.
        create_kwargs, sandbox_options: Further parameters of `modal.Sandbox.create`. Two names of one thing.
        port: Taken for the sake of programs that were written for another library; no port is opened.

    Raises:
        As `VendorExecutor`; the key is `MODAL_TOKEN_ID` with `MODAL_TOKEN_SECRET`, or what `modal token new` has stored.
    """

    VENDOR, SDK, EXTRA = "Modal", "modal", "modal"
    KEYS = ("MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET")
    KEY_HINT = "set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET, or run `modal token new`"
    WALL = "gVisor of Modal"

    ACCESS: ClassVar[Mapping[str, str]] = {
        **VendorExecutor.ACCESS,
        "packages": "built into the image by the vendor",
    }

    app_name: str = "pinjra"
    image: Any = None
    timeout_seconds: int = 3600
    cpus: float | None = None
    sandbox_options: Mapping[str, Any] | None = None
    create_kwargs: Mapping[str, Any] | None = None
    port: int | None = None

    @classmethod
    def find_key(cls) -> str:
        """Return nothing: the SDK finds its token by itself, in the environment or in its own file."""
        known = getattr(getattr(cls.sdk(), "config", None), "config", None) or {}
        with contextlib.suppress(Exception):  # the SDK's configuration file cannot be read
            if known.get("token_id"):
                return ""
        if not all(os.environ.get(name) for name in cls.KEYS):
            raise ConfigurationError(f"Modal needs a token: {cls.KEY_HINT}")
        return ""

    def _create(self) -> Any:
        sdk = self.sdk()
        app = sdk.App.lookup(self.app_name, create_if_missing=True)
        image = self.image or sdk.Image.debian_slim()
        packages = self._packages if self.image is None else self.access.packages
        if packages:
            image = image.pip_install(*packages)
        memory = self.limits.memory_bytes
        parameters = {
            "block_network": self._is_sealed,
            "timeout": self.timeout_seconds,
            "memory": None if memory is None else max(128, memory >> 20) + 64,
            "cpu": self.cpus,
            **(self.sandbox_options or {}),
            **(self.create_kwargs or {}),
        }
        if self._domains:
            parameters["outbound_domain_allowlist"] = self._domains
        return sdk.Sandbox.create(app=app, image=image, **parameters)

    def _install(self, sandbox: Any) -> None:
        """Do nothing: packages are in the image."""

    def _transport(self, sandbox: Any) -> RemoteTransport:
        return ModalTransport(sandbox)


class ModalTransport(RemoteTransport):
    """The streams of one `exec`."""

    VENDOR = "Modal"
    INPUT_BYTES = 1 << 20  # the client buffers at most 16 MiB before `drain`
    eight_bit_clean = True

    def _start(self) -> None:
        self._process = self._sandbox.exec(*bootstrap_command(), text=False, bufsize=-1)

    def _listen(self, take: Take) -> None:
        for chunk in self._process.stdout:
            take(chunk)

    def _send(self, data: bytes) -> None:
        # The client would try for 20 seconds to reach a process that is gone.
        if not self._listener.is_alive():
            raise BackendError("the worker's output has ended")
        self._process.stdin.write(data)
        self._process.stdin.drain()

    def _end(self) -> None:
        self._sandbox.terminate()  # one `exec` cannot be killed by itself

    def _free(self) -> None:
        self._sandbox.detach()

    def _ending(self) -> Iterator[str]:
        status = self._process.poll()
        yield "the worker still runs" if status is None else f"exit status {status}"
