"""Headers of a request -> the tenant that it comes from, or a refusal."""

from __future__ import annotations

import hmac
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from pinjra.server.http.errors import Busy, Unauthorized
from pinjra.server.http.settings import ServeSettings, TenantSettings

_WINDOW_SECONDS = 3600.0  # of the processor time that a tenant may use
_TOGETHER_SECONDS = 10.0  # what is used within so long is one entry: a window has a few hundred at most
_DEAR_SHARE = 0.2  # of the service's time, for what a tenant's boxes make dear for it
# Loopback without a token: the user of this machine.
_ANYBODY = TenantSettings(token="-" * 16, network=("*",), packages=True)


@dataclass(slots=True, eq=False)
class Tenant:
    """Who asks, what it may use, and what it has used.

    Args:
        bodies: Bytes of requests and answers that are in memory.
        rests_until: Monotonic time up to which work that is dear for the service itself waits.
        spent: (monotonic time, processor seconds) of what its runs used in the last hour, the oldest first.
    """

    name: str
    quota: TenantSettings
    sessions: int = 0
    requests: int = 0
    bodies: int = 0
    rests_until: float = 0.0
    spent: deque[tuple[float, float]] = field(default_factory=deque)

    def charge(self, cpu_seconds: float) -> None:
        """Note processor time that one of its runs has used, where that is bounded."""
        if self.quota.cpu_seconds is None:
            return
        now = time.monotonic()
        if self.spent and now - self.spent[-1][0] < _TOGETHER_SECONDS:
            since, before = self.spent.pop()
            now, cpu_seconds = since, before + cpu_seconds
        self.spent.append((now, cpu_seconds))

    def rest_seconds(self, used_seconds: float) -> float:
        """Note processor time of the service itself that dear work has taken; return how long the next of that kind waits.

        So all such work of one tenant has a fifth of the service's time at most, and the tenant pays for it.
        """
        self.charge(used_seconds)
        now = time.monotonic()
        self.rests_until = max(self.rests_until, now) + used_seconds / _DEAR_SHARE
        return self.rests_until - now

    def check_budget(self) -> None:
        """Check that it has processor time left.

        Raises:
            Busy: It has used what it may use in an hour.
        """
        if self.quota.cpu_seconds is None:
            return
        now = time.monotonic()
        while self.spent and self.spent[0][0] < now - _WINDOW_SECONDS:
            self.spent.popleft()
        if sum(seconds for _, seconds in self.spent) >= self.quota.cpu_seconds:
            wait = self.spent[0][0] + _WINDOW_SECONDS - now
            raise Busy(
                f"tenant {self.name!r} has used its {self.quota.cpu_seconds:g} processor seconds of this hour",
                wait,
            )


class Tenants:
    """All tenants of a service."""

    def __init__(self, settings: ServeSettings) -> None:
        self._tenants = {name: Tenant(name, quota) for name, quota in settings.tenants.items()}
        anybody = _ANYBODY.model_copy(update={"sessions": settings.sessions})
        self._operator = settings.metrics_token
        self._anybody = None if settings.tenants else Tenant("local", anybody)

    def of(self, headers: Mapping[str, str]) -> Tenant:
        """Return the tenant whose token stands in `Authorization: Bearer`, `X-API-Key` or `X-Access-Token`.

        Raises:
            Unauthorized: There is none.
        """
        if self._anybody is not None:
            return self._anybody
        given, found = _token(headers).encode("utf-8", "replace"), None
        for tenant in self._tenants.values():  # SECURITY: all are compared, each in constant time
            if hmac.compare_digest(tenant.quota.token.encode(), given):
                found = tenant
        if found is None:
            raise Unauthorized("a token is needed: Authorization: Bearer …")
        return found

    def rows_for(self, headers: Mapping[str, str]) -> str | None:
        """Return whose rows of the metrics a request may see: all (None), a tenant's, or nobody's ("")."""
        # SECURITY: names of tenants, and what each does, are not for anybody who can reach the port
        given = _token(headers).encode("utf-8", "replace")
        is_operator = bool(self._operator) and hmac.compare_digest(self._operator.encode(), given)
        return None if is_operator or self._anybody is not None else self.name_of(headers)

    def knows(self, authorization: str) -> bool:
        """Return whether a header is a token of this service, a tenant's or the operator's."""
        return self._anybody is None and self.rows_for({"authorization": authorization}) != ""

    def found(self, headers: Mapping[str, str]) -> Tenant | None:
        """Return the tenant that a request comes from; None where it has none."""
        try:
            return self.of(headers)
        except Unauthorized:
            return None

    def name_of(self, headers: Mapping[str, str]) -> str:
        """Return the name of the tenant that a request comes from; "" where it has none."""
        tenant = self.found(headers)
        return tenant.name if tenant is not None else ""


def _token(headers: Mapping[str, str]) -> str:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    other = headers.get("x-api-key") or headers.get("x-access-token") or ""
    return (bearer if scheme.lower() == "bearer" else other).strip()
