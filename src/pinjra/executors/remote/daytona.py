"""A Daytona sandbox -> a transport over one asynchronous command of a session: input by requests, output by a WebSocket.

Facts of the vendor that decide things: output is one text stream with markers in it (so: ASCII lines); whoever listens again
hears everything from the start (the protocol skips what it has seen); input gets a newline where it has none (so: whole
lines); a sandbox without events stops by itself (so: a heartbeat).
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pinjra.core.errors import BackendError
from pinjra.executors.bootstrap.first_bytes import bootstrap_command
from pinjra.executors.remote.base import INSTALL_SECONDS, RemoteTransport, Take, VendorExecutor

KEY = "DAYTONA_API_KEY"
INPUT_BYTES = 1 << 20  # of one request; a single longer line goes alone
CALL_SECONDS = 30.0  # of one request
# The SDK keeps the last two characters of its stream back when they come alone, until more comes. Then nothing would: the worker
# waits for us. Resuming makes it speak. A slow line that is only slow has something new within this time.
STALL_SECONDS = 3.0


@dataclass(kw_only=True, eq=False, repr=False)
class DaytonaExecutor(VendorExecutor):
    """Runs guest code in a sandbox of Daytona; tools and agents stay here.

    Args:
        api_key: None: `DAYTONA_API_KEY`. Where the API is: `DAYTONA_API_URL`, or the vendor's.
        snapshot: Of the vendor or your own; None for the vendor's default.
        image: An image to build from instead of a snapshot; memory and processors are then asked for as in `limits`.
        cpus: Processors, with `image`.
        timeout_seconds: After which an idle sandbox is stopped and deleted: how long it outlives a dead host.
    """

    VENDOR, SDK, EXTRA = "Daytona", "daytona", "daytona"
    KEYS, KEY_HINT = (KEY,), f"set {KEY}, or pass api_key="
    WALL = "container of Daytona"

    snapshot: str | None = None
    image: str | None = None
    cpus: int = 1
    timeout_seconds: int = 900

    def _create(self) -> Any:
        sdk = self.sdk()
        self._client = sdk.Daytona(sdk.DaytonaConfig(api_key=self._key))
        return self._client.create(self._parameters(sdk), timeout=self.PATIENCE.start_seconds)

    def _parameters(self, sdk: Any) -> Any:
        common = {
            # Installing needs the network; it is taken away again before the first guest line runs.
            "network_block_all": self._is_sealed and not self._packages,
            "domain_allow_list": ",".join(self._domains) if self._domains and not self._packages else None,
            "auto_stop_interval": max(1, -(-self.timeout_seconds // 60)),
            "auto_delete_interval": 0,  # as soon as it is stopped
            "labels": {"managed-by": "pinjra"},
        }
        if self.image is None:
            return sdk.CreateSandboxFromSnapshotParams(snapshot=self.snapshot, **common)
        memory_gib = -(-((self.limits.memory_bytes or 1 << 30) + (128 << 20)) // (1 << 30))
        resources = sdk.Resources(cpu=self.cpus, memory=memory_gib)
        return sdk.CreateSandboxFromImageParams(image=self.image, resources=resources, **common)

    def _transport(self, sandbox: Any) -> RemoteTransport:
        return DaytonaTransport(sandbox, idle_seconds=self.timeout_seconds, owner=self._client)

    def _run_command(self, sandbox: Any, command: str) -> str:
        done = sandbox.process.exec(command, timeout=INSTALL_SECONDS)
        return "" if done.exit_code == 0 else str(done.result)

    def _take_network(self, sandbox: Any) -> None:
        if self._domains:
            sandbox.update_network_settings(domain_allow_list=",".join(self._domains))
        else:
            sandbox.update_network_settings(network_block_all=True)


class DaytonaTransport(RemoteTransport):
    """The input and the log of one command; markers stand in it, and it is decoded as UTF-8.

    Args:
        owner: The SDK's client; kept, because its connections end with it.
    """

    VENDOR = "Daytona"

    def __init__(self, sandbox: Any, *, idle_seconds: int, owner: Any) -> None:
        super().__init__(sandbox)
        self._owner = owner
        self._idle_seconds = idle_seconds
        self._session = f"pinjra-{uuid.uuid4().hex[:8]}"
        self._command = ""
        self._heard = 0.0  # when; 0 after a whole line

    def _start(self) -> None:
        from daytona import SessionExecuteRequest

        request = SessionExecuteRequest(
            command=shlex.join(bootstrap_command()), run_async=True, suppress_input_echo=True
        )
        process = self._sandbox.process
        process.create_session(self._session)
        self._command = process.execute_session_command(self._session, request).cmd_id
        self.keep_alive(min(self._idle_seconds, 60) / 3)

    def _beat(self) -> None:
        self._sandbox.refresh_activity(request_timeout=CALL_SECONDS)

    def _listen(self, take: Take) -> None:
        """Follow the command's log, from its start to its end."""
        follow = self._sandbox.process.get_session_command_logs_async
        asyncio.run(follow(self._session, self._command, take, self._note_stderr))

    def read(self, timeout_seconds: float | None) -> bytes:
        stalled_in = self._heard + STALL_SECONDS - time.monotonic() if self._heard else None
        is_short = stalled_in is not None and (timeout_seconds is None or stalled_in < timeout_seconds)
        try:
            data = super().read(max(0.0, stalled_in or 0.0) if is_short else timeout_seconds)
        except TimeoutError:
            if is_short:
                raise BackendError(f"nothing came for {STALL_SECONDS:g} s in the middle of a line") from None
            raise
        self._heard = 0.0 if data.endswith(b"\n") else time.monotonic()
        return data

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        return _whole_lines(data)

    def _send(self, data: bytes) -> None:
        self._sandbox.process.send_session_command_input(
            self._session, self._command, data.decode("ascii"), request_timeout=CALL_SECONDS
        )

    def _attach(self) -> bool:
        self._heard = 0.0
        return self._sandbox.process.get_session_command(self._session, self._command).exit_code is None

    def _end(self) -> None:
        self._sandbox.delete()

    def _ending(self) -> Iterator[str]:
        with contextlib.suppress(Exception):  # the command may be gone, and the sandbox there
            status = self._sandbox.process.get_session_command(self._session, self._command).exit_code
            yield "" if status is None else f"exit status {status}"
        self._sandbox.refresh_data(request_timeout=CALL_SECONDS)
        state = getattr(self._sandbox.state, "value", self._sandbox.state)
        yield f"the sandbox is {state} {self._sandbox.error_reason or ''}".strip()


def _whole_lines(data: bytes) -> Iterator[bytes]:
    """Yield `data` in pieces that end with a line's end."""
    start = 0
    while start < len(data):
        # The last line's end within reach; else the end of a longer line; else all that is left.
        end = data.rfind(b"\n", start, start + INPUT_BYTES) + 1 or data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end
