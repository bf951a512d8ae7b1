"""Addresses of `pinjra serve` -> an engine whose boxes are there. A service that does not answer is passed over for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pinjra.core.errors import ConfigurationError, ExecutorUnavailable, PinjraError, StartupFailed
from pinjra.fleet.engine import LocalEngine

if TYPE_CHECKING:
    from pinjra.executors.base import PythonExecutor
    from pinjra.executors.http import HttpExecutor

_BOXES = 2  # at once on each service at first
_REST_SECONDS = 5.0  # for a service that did not answer
# parameters of the executor here, not of the session there
_OWN = ("limits", "guard", "rollback", "authorized_imports", "token")


def service_engine(
    addresses: str, executor: str, parameters: dict[str, Any], settings: dict[str, Any]
) -> LocalEngine:
    """Return an engine over the services at `addresses`, separated by commas.

    Raises:
        ConfigurationError: One is no address (the caller's fault).
    """
    urls = [url.strip().rstrip("/") for url in addresses.split(",") if url.strip()]
    if not all(url.startswith(("http://", "https://")) for url in urls):
        raise ConfigurationError(
            f"engine= has addresses like http://HOST:PORT, separated by commas, not {addresses!r}"
        )
    services = _Services(urls, executor, parameters)
    return LocalEngine(
        services.open, tell=_tell, **{**settings, "least": settings["least"] or _BOXES * len(urls)}
    )


def _tell(executor: PythonExecutor, ends: Mapping[str, int]) -> None:
    cast("HttpExecutor", executor).tell_verdicts(ends)


class _Services:
    """The services, and which of them answered last."""

    def __init__(self, urls: list[str], executor: str, parameters: dict[str, Any]) -> None:
        from pinjra.executors.http import HttpExecutor

        self._class = HttpExecutor
        self._urls = urls
        self._own: dict[str, Any] = {name: parameters[name] for name in _OWN if name in parameters}
        self._imports = self._own.pop("authorized_imports")
        self._own["executor"] = executor
        self._there = {name: value for name, value in parameters.items() if name not in _OWN}
        self._resting: dict[str, float] = {}
        self._lock = threading.Lock()
        self._turn = 0

    def open(self) -> PythonExecutor:
        """Return a session on the next service that answers.

        Raises:
            PinjraError: None does; the last one's reason.
        """
        problem: PinjraError = StartupFailed("there is no service")
        for url in self._order():
            try:
                return self._class(self._imports, url=url, parameters=self._there, **self._own)
            except (StartupFailed, ExecutorUnavailable) as error:
                problem = error
                self._resting[url] = time.monotonic() + _REST_SECONDS
        raise problem

    def _order(self) -> list[str]:
        """Return all services, the next one first, those that did not answer lately last."""
        with self._lock:
            self._turn += 1
            turned = [self._urls[(self._turn + i) % len(self._urls)] for i in range(len(self._urls))]
        now = time.monotonic()
        return sorted(turned, key=lambda url: self._resting.get(url, 0.0) > now)
