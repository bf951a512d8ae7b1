"""An E2B sandbox -> a transport over the stdin and stdout of one background command of its `commands` API.

The vendor's code interpreter is not used: any template with Python 3.10 or later does. Facts of envd that decide things: stdout
is decoded as UTF-8 by the SDK (so: ASCII lines); what is printed while nobody listens is dropped (so: resume); `timeout=` kills
the command (so: 0); the sandbox ends after its lifetime (so: a heartbeat).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pinjra.core.errors import MissingDependency
from pinjra.executors.bootstrap.first_bytes import bootstrap_command
from pinjra.executors.remote.base import INSTALL_SECONDS, RemoteTransport, Take, VendorExecutor

KEY = "E2B_API_KEY"


@dataclass(kw_only=True, eq=False, repr=False)
class E2BExecutor(VendorExecutor):
    """Runs guest code in a cloud sandbox of E2B; tools and agents stay here.

    Args:
        api_key: None: `E2B_API_KEY` from the environment, or from a `.env` file when `dotenv` is true.
        template: Template name or id; None for the vendor's default.
        timeout_seconds: Lifetime of the sandbox after the last heartbeat: how long it outlives a dead host.
        timeout: Another name of it.
        allow_internet_access: Let guest code reach the internet: `network=True`.
        envs: Another name of `env`.
        metadata: Of the sandbox.
        sandbox_options: Further parameters of the SDK's `Sandbox.create`.
    """

    VENDOR, SDK, EXTRA = "E2B", "e2b_code_interpreter", "e2b"
    KEYS, KEY_HINT = (KEY,), f"set {KEY}, or pass api_key="
    WALL = "microVM of E2B"

    dotenv: bool = False
    template: str | None = None
    timeout_seconds: int = 300
    timeout: int | None = None
    allow_internet_access: bool = False
    envs: Mapping[str, str] | None = None
    metadata: Mapping[str, str] | None = None
    sandbox_options: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.sdk()  # that it is not installed is said before anything else
        self.timeout_seconds = self.timeout or self.timeout_seconds
        if self.api_key is None and self.dotenv and not os.environ.get(KEY):
            self.api_key = _key_in_file()
        self.network = self.network or self.allow_internet_access
        self.env = self.env or self.envs or {}
        super().__post_init__()

    def _create(self) -> Any:
        # Installing needs the network; it is taken away again before the first guest line runs.
        parameters = {
            "allow_internet_access": not self._is_sealed or bool(self._packages),
            "template": self.template,
            "timeout": self.timeout_seconds,
            "metadata": dict(self.metadata) if self.metadata else None,
            **(self.sandbox_options or {}),
        }
        if self._domains and not self._packages:
            parameters["network"] = self._allowed
        return self.sdk().Sandbox.create(api_key=self._key, **parameters)

    @property
    def _allowed(self) -> dict[str, list[str]]:
        """What may be reached, where not all may: the vendor lets `allow_out` come before `deny_out`."""
        return {**({"allow_out": self._domains} if self._domains else {}), "deny_out": ["0.0.0.0/0"]}

    def _transport(self, sandbox: Any) -> RemoteTransport:
        return E2BTransport(sandbox, lifetime_seconds=self.timeout_seconds)

    def _run_command(self, sandbox: Any, command: str) -> str:
        sandbox.commands.run(command, timeout=INSTALL_SECONDS)  # raises what failed
        return ""

    def _take_network(self, sandbox: Any) -> None:
        sandbox.update_network(self._allowed)


class E2BTransport(RemoteTransport):
    """The stream of one background command."""

    VENDOR = "E2B"  # envd refuses messages above 4 MiB; half a MiB keeps the first answer quick

    def __init__(self, sandbox: Any, *, lifetime_seconds: int) -> None:
        super().__init__(sandbox)
        self._lifetime_seconds = lifetime_seconds
        self._handle: Any = None

    def _start(self) -> None:
        command = f"exec {shlex.join(bootstrap_command())}"
        self._handle = self._sandbox.commands.run(
            command, background=True, stdin=True, timeout=0, retain_output=False
        )
        self.keep_alive(self._lifetime_seconds / 3)

    def _beat(self) -> None:
        self._sandbox.set_timeout(self._lifetime_seconds)

    def _listen(self, take: Take) -> None:
        for out, err, _ in self._handle:
            take(out or "")
            self._note_stderr(err or "")

    def _send(self, data: bytes) -> None:
        self._sandbox.commands.send_stdin(self._handle.pid, data)

    def _attach(self) -> bool:
        self._handle = self._sandbox.commands.connect(self._handle.pid, timeout=0, retain_output=False)
        return True

    def _end(self) -> None:
        self._sandbox.kill()

    def _ending(self) -> Iterator[str]:
        yield "the sandbox still runs" if self._sandbox.is_running() else "the sandbox is gone"


def _key_in_file() -> str | None:
    try:
        from dotenv import dotenv_values
    except ImportError:
        raise MissingDependency("python-dotenv", "pip install 'pinjra[dotenv]'") from None
    return dotenv_values().get(KEY)
