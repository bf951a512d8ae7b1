"""A host name -> a connection to an address that was checked, within a deadline.

The name is resolved here, once; each answer is checked, and the connection goes to the very address that passed: a
second answer of a name server (DNS rebinding) has nowhere to come in. The name itself still goes into the Host header
and the TLS handshake, because those are made from the URL one layer above.

Only `fetch` imports this file, and only when a page is fetched.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

from pinjra.core.addresses import why_refused
from pinjra.core.errors import ToolRefused

Resolver = Callable[[str, int], Sequence[str]]
"""Host name and port → IP addresses, best first; raises OSError."""


class Deadline:
    """A point in time by which everything has to be done."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self, at_most: float | None = None) -> float:
        """Return the seconds left, at most `at_most`.

        Raises:
            httpcore.ReadTimeout: None are left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout(f"not done within {self.seconds:g} seconds")
        return left if at_most is None else min(left, at_most)


class CheckedBackend(httpcore.NetworkBackend):
    """Connects to public addresses only, and to the hosts that the operator allowed by name.

    Args:
        allow_hosts: "host" (any port) or "host:port", lower case, as in the URL.
    """

    def __init__(self, deadline: Deadline, allow_hosts: frozenset[str], resolver: Resolver | None) -> None:
        self._deadline = deadline
        self._allow_hosts = allow_hosts
        self._resolver = resolver or _resolve
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection to the first address of `host` that passes and answers.

        Raises:
            ToolRefused: All its addresses are refused.
            httpcore.ConnectError: It has none, or none answers.
        """
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._checked_addresses(host, port):
            try:
                # SECURITY: the checked address, never the name: nothing is resolved a second time.
                stream = self._network.connect_tcp(
                    address, port, self._deadline.remaining(timeout), local_address, socket_options
                )
                return _DeadlinedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        """Refuse: a socket file is this machine's own.

        Raises:
            ToolRefused: Always.
        """
        raise ToolRefused("socket files cannot be visited")

    def _checked_addresses(self, host: str, port: int) -> list[str]:
        answers = _within(self._deadline, lambda: list(self._resolver(host, port)))
        shown = f"[{host}]" if ":" in host else host
        if not self._allow_hosts.isdisjoint({host, shown, f"{shown}:{port}"}):
            return answers
        refused = {address: why for address in answers if (why := why_refused(address))}
        passed = [address for address in answers if address not in refused]
        if refused and not passed:
            address, why = next(iter(refused.items()))
            raise ToolRefused(
                f"{shown}:{port} is not on the public internet ({address}: {why}); only public pages can be visited"
            )
        return passed


class _DeadlinedStream(httpcore.NetworkStream):
    """A connection whose every operation ends by the deadline, however slowly the other side drips."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.remaining(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.remaining(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.remaining(timeout))
        return _DeadlinedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _within(deadline: Deadline, resolve: Callable[[], list[str]]) -> list[str]:
    """Return what `resolve` returns; the system's resolver knows no time limit, so it gets a thread."""
    answers: list[str] = []
    problems: list[Exception] = []

    def work() -> None:
        try:
            answers.extend(resolve())
        except (OSError, UnicodeError) as error:  # UnicodeError: a label longer than the DNS allows
            problems.append(error)

    thread = threading.Thread(target=work, name="pinjra-resolve", daemon=True)
    thread.start()
    thread.join(deadline.remaining())
    if thread.is_alive():
        raise httpcore.ConnectTimeout(f"no answer from the name server within {deadline.seconds:g} seconds")
    if problems:
        raise httpcore.ConnectError(f"the name cannot be resolved: {problems[0]}")
    return answers
