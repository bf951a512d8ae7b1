"""A service of `pinjra serve` -> a transport: the worker runs there, the host's side here, so tools stay with the caller."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import httpx

from pinjra.core.errors import (
    BackendError,
    ConfigurationError,
    ExecutorUnavailable,
    MissingDependency,
    PinjraError,
    StartupFailed,
)
from pinjra.core.limits import Limits
from pinjra.core.spans import headers as trace_headers
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.session.transport import Transport
from pinjra.executors.session.uploading import UploadingExecutor

_OPEN_SECONDS = 120.0  # a service may install packages first
_PIECE_BYTES = 4 << 20  # of one message; the service takes up to 32 MiB
_MOST_BYTES = 32 << 20  # of one message or answer of a service: it sends far less

# What the service answers -> whose fault it is.
_ERRORS: dict[int, type[PinjraError]] = {
    400: ConfigurationError,
    401: ConfigurationError,
    403: ConfigurationError,
    429: ExecutorUnavailable,
    501: ExecutorUnavailable,
    503: StartupFailed,
}


@dataclass(kw_only=True, eq=False, repr=False)
class HttpExecutor(UploadingExecutor):
    """Runs guest code in a session of a `pinjra serve` that may be on another machine.

    Args:
        url: Where the service is; else PINJRA_URL.
        token: The tenant's token; else PINJRA_TOKEN. Not needed by a service on loopback without tenants.
        executor: Which of the service's executors; "" for its default.
        parameters: Further parameters of the stream there, such as {"mounts": ["name"]} for folders that its operator offers.

    Raises:
        ConfigurationError: No address, a wrong token, or parameters that the service does not take (the caller's fault).
        ExecutorUnavailable: The service has no room, or cannot give what was asked.
        StartupFailed: The service cannot be reached, is no such service, or the session did not come up.
    """

    ACCESS: ClassVar[Mapping[str, str]] = {
        **UploadingExecutor.ACCESS,
        **dict.fromkeys(("packages", "programs", "network", "secrets"), "the service's executor"),
    }

    url: str | None = None
    token: str | None = None
    executor: str = ""
    parameters: Mapping[str, object] | None = None

    def _configure(self) -> None:
        self._url = (self.url or os.environ.get("PINJRA_URL") or "").rstrip("/")
        if not self._url.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"executor 'http' needs url=\"http://HOST:PORT\" or PINJRA_URL, not {self._url.rpartition('@')[2]!r}"
            )
        scheme, _, rest = self._url.partition("://")
        self._shown = f"{scheme}://{rest.rpartition('@')[2]}"  # names before an "@" may be keys
        token = self.token or os.environ.get("PINJRA_TOKEN") or ""
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        access = self.access
        asked = {
            "packages": access.packages,
            "programs": access.programs,
            "network": access.open_network or [host.removesuffix(":") for host in access.hosts],
            "secrets": {host.removesuffix(":"): dict(headers) for host, headers in access.secrets},
            "executor": self.executor,
        }
        limits = {name: getattr(self.limits, name) for name in Limits.__slots__}
        self._wanted = {
            **{name: value for name, value in asked.items() if value},
            "authorized_imports": self.additional_authorized_imports,
            "limits": {name: value for name, value in limits.items() if value is not None},
            **{name: False for name in ("guard", "rollback") if not getattr(self, name)},
            **(self.parameters or {}),
        }

    def _open(self) -> Transport:
        opened = self._post("/v1/streams", self._wanted)
        # What the box there needs to hear from this side of the conversation.
        self.scratch = str(opened.get("scratch", ""))
        self._links = self._several(opened, "links")
        self._environment = self._several(opened, "environment")
        modules = self._several(opened, "modules")  # of `packages`
        self.authorized_imports = tuple(dict.fromkeys((*self.authorized_imports, *map(str, modules))))
        return self._connected(str(opened.get("id")))

    def _several(self, opened: Mapping[str, Any], name: str) -> tuple[Any, ...]:
        found = opened.get(name, [])
        if not isinstance(found, list):
            raise StartupFailed(f"the service at {self._shown} says {found!r:.100} of {name!r}")
        return tuple(found)

    def _open_fork(self, ask: Callable[[], None]) -> Transport:
        name = str(self._post(f"/v1/streams/{self._transport.name}/fork", {}).get("id"))
        ask()
        return self._connected(name)

    def _connected(self, name: str) -> HttpTransport:
        self._transport = HttpTransport(self._url, name, self._headers)
        return self._transport

    def _post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        try:
            status, data = self._asked(path, body)
            answer = json.loads(data)
        except (httpx.HTTPError, ValueError, RecursionError) as error:
            raise StartupFailed(f"the service at {self._shown} does not answer: {error}") from error
        if not isinstance(answer, dict):
            raise StartupFailed(f"the service at {self._shown} answers with no object of JSON")
        if status >= 400:
            told = answer.get("error")
            said = told.get("message") if isinstance(told, dict) else data[:300].decode("utf-8", "replace")
            raise _ERRORS.get(status, BackendError)(f"the service at {self._shown}: {said}")
        return answer

    def _asked(self, path: str, body: Mapping[str, object]) -> tuple[int, bytes]:
        headers = {**self._headers, **trace_headers()}
        with httpx.stream(
            "POST", self._url + path, json=body, headers=headers, timeout=_OPEN_SECONDS
        ) as response:
            data = bytearray()
            for piece in response.iter_bytes():
                data += piece
                if len(data) > _MOST_BYTES:
                    raise ValueError("its answer has no end")
            return response.status_code, bytes(data)

    def tell_verdicts(self, ends: Mapping[str, int]) -> None:
        """Tell the service how many snippets ended how in this box: it carries bytes, and cannot see it."""
        self._transport.tell(json.dumps({"verdicts": ends}))

    @property
    def guarantees(self) -> Guarantees:
        """What the worker enforces there; the wall is the service's executor."""
        there = dict.fromkeys(("memory", "disk", "processes", "network", "fork"), "the service's executor")
        there |= {"wall": "host timer, kill", "files": "scratch folder there"}
        return self._enforced("remote", "the executor of a pinjra service", **there)


class HttpTransport(Transport):
    """One stream of a service, over a WebSocket; the service ends a box whose client has left."""

    eight_bit_clean = True

    def __init__(self, url: str, name: str, headers: Mapping[str, str]) -> None:
        try:
            from websockets.exceptions import ConnectionClosed, WebSocketException
            from websockets.sync.client import connect
        except ImportError:
            raise MissingDependency("websockets", "pip install 'pinjra[http]'") from None
        self.name = name
        self._death = ""
        self._closed = ConnectionClosed
        self._ending = ExitStack()
        said = {**headers, **trace_headers()}
        address = f"ws{url[4:]}/v1/streams/{name}"
        try:
            stream = connect(
                address, additional_headers=said, max_size=_MOST_BYTES, compression=None, proxy=None
            )
            self._socket = self._ending.enter_context(stream)
        except (OSError, WebSocketException) as error:
            raise StartupFailed(f"the service does not take the stream: {error}") from error

    def read(self, timeout_seconds: float | None) -> bytes:
        try:
            data = self._socket.recv(timeout_seconds)
        except self._closed as error:
            if error.rcvd is not None:
                self._death = error.rcvd.reason
            return b""
        return data if isinstance(data, bytes) else data.encode()

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            for begin in range(0, len(view), _PIECE_BYTES):
                self._socket.send(bytes(view[begin : begin + _PIECE_BYTES]))
        except self._closed as error:
            raise BackendError(f"the stream to the service has ended: {error}") from error

    def tell(self, text: str) -> None:
        """Say something to the service itself; nothing where the stream has ended, which its next use finds out."""
        with suppress(self._closed):
            self._socket.send(text)

    def kill(self) -> None:
        """Cut the stream, at which the service ends the box."""
        self._ending.close()

    def close(self) -> None:
        self.kill()

    def describe_death(self) -> str:
        """Return what the service said when it ended the stream."""
        return self._death
