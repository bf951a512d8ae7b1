"""A Blaxel sandbox -> a transport over the stdin and the log stream of one process of its sandbox API.

Facts that decide things: the log stream is made of lines ("stdout:…"), so frames are lines; it replays from the process's start
when it is opened again, so resuming needs nothing but the protocol's numbers; without `keep_alive` the sandbox sleeps in mid-run;
the SDK's own `write_stdin` makes a new TLS context for each call, so one HTTP client is kept.
"""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from pinjra.core.errors import BackendError
from pinjra.executors.bootstrap.first_bytes import bootstrap_command
from pinjra.executors.remote.base import RemoteTransport, Take, VendorExecutor

LONGEST_LINE = 2 << 20  # characters: twice a frame's longest line


@dataclass(kw_only=True, eq=False, repr=False)
class BlaxelExecutor(VendorExecutor):
    """Runs guest code in a sandbox of Blaxel; tools and agents stay here.

    Args:
        image: With Python 3.10 or later as `python3`.
        sandbox_name: None: one of its own.
        memory: In MiB; None: what `limits` needs.
        ttl: Lifetime of the sandbox ("30m"): how long it outlives a dead host.
        region: Where it runs; None: the vendor's choice.
        sandbox: An existing `SyncSandboxInstance` to use instead of a new one; it is not deleted at the end.

    Raises:
        As `VendorExecutor`; the key is `BL_API_KEY` with `BL_WORKSPACE`.
    """

    VENDOR, SDK, EXTRA = "Blaxel", "blaxel.core", "blaxel"
    KEYS, KEY_HINT = ("BL_API_KEY", "BL_CLIENT_CREDENTIALS"), "set BL_API_KEY and BL_WORKSPACE"
    WALL = "microVM of Blaxel"

    image: str = "blaxel/py-app:latest"
    sandbox_name: str | None = None
    memory: int | None = None
    ttl: str | None = "1h"
    region: str | None = None
    sandbox: Any = None

    @property
    def _parameters(self) -> dict[str, Any]:
        needed = self.limits.memory_bytes
        wanted = {
            "name": self.sandbox_name or f"pinjra-{uuid.uuid4().hex[:12]}",
            "image": self.image,
            "memory": self.memory or (4096 if needed is None else max(1024, (needed >> 20) + 512)),
            "ttl": self.ttl,
            "region": self.region,
        }
        return {name: value for name, value in wanted.items() if value}

    def _create(self) -> Any:
        parameters = self._parameters
        if not self._has_network:  # it cannot be taken away after an installation
            parameters["network"] = {"allowedDomains": self._domains, "forbiddenDomains": ["*"]}
        return self.sandbox or self.sdk().SyncSandboxInstance.create(parameters)

    def _transport(self, sandbox: Any) -> RemoteTransport:
        return BlaxelTransport(sandbox, is_owned=self.sandbox is None)

    def _run_command(self, sandbox: Any, command: str) -> str:
        started = sandbox.process.exec({"command": command, "keep_alive": True})
        done = sandbox.process.wait(started.name)
        return str(done.stderr or done.logs) if done.status == "failed" else ""

    @property
    def _has_network(self) -> bool:
        return super()._has_network or bool(self._packages) or self.sandbox is not None


class BlaxelTransport(RemoteTransport):
    """The stream of one process."""

    VENDOR = "Blaxel"

    def __init__(self, sandbox: Any, *, is_owned: bool) -> None:
        super().__init__(sandbox)
        self._is_owned = is_owned
        self._name = f"pinjra-{uuid.uuid4().hex[:8]}"
        self._http: httpx.Client = sandbox.process.get_client()

    def _start(self) -> None:
        self._sandbox.process.exec(
            {
                "command": shlex.join(bootstrap_command()),
                "name": self._name,
                "stdin": True,
                "keep_alive": True,  # else the sandbox scales to zero in the middle of a run
                "timeout": 0,
            }
        )

    def _listen(self, take: Take) -> None:
        url = f"/process/{self._name}/logs/stream"
        with self._http.stream("GET", url, timeout=httpx.Timeout(30.0, read=None)) as response:
            if response.status_code != 200:
                raise BackendError(f"no log stream: HTTP {response.status_code}")
            for kind, text in _by_stream(response.iter_text()):
                if kind == "stdout":
                    take(text)
                else:
                    self._note_stderr(text)

    def _send(self, data: bytes) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        response = self._http.post(f"/process/{self._name}/stdin", content=data, headers=headers)
        if response.status_code >= 400:
            raise BackendError(f"HTTP {response.status_code}: {response.text[:200]}")

    def _attach(self) -> bool:
        return bool(self._sandbox.process.get(self._name).status == "running")

    def _end(self) -> None:
        if self._is_owned:
            self._sandbox.delete()
        else:
            self._sandbox.process.kill(self._name)

    def _free(self) -> None:
        self._http.close()

    def _ending(self) -> Iterator[str]:
        found = self._sandbox.process.get(self._name)
        yield f"{found.status}, exit status {found.exit_code}"


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
