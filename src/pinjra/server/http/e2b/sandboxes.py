"""Sandboxes of tenants: opened, found, paused, extended, ended at their time. The state of E2B's control plane."""

from __future__ import annotations

import asyncio
import json
import math
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from starlette.responses import JSONResponse

from pinjra.core.errors import BackendError, PinjraError, SessionLost
from pinjra.executors.pool import POOL
from pinjra.jail.confine import Spec
from pinjra.server.http.e2b.box import SandboxBox, spec_for
from pinjra.server.http.e2b.upstream import Exchange
from pinjra.server.http.errors import Busy, NotFound, status_of
from pinjra.server.http.hub import METER_SECONDS, Held, Hub
from pinjra.server.http.tenants import Tenant

ENVD_VERSION = "0.6.4"  # whose answers are given here
_DETAIL = "e2b"
_ANSWER_SECONDS = 10.0  # of the box's server to the host
_READY_SECONDS = 60.0  # for a box to be opened in advance
_PAUSED_SECONDS = 86400.0  # a paused sandbox holds its memory so long
_ID = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(kw_only=True, eq=False)
class Sandbox:
    """What is known of a sandbox besides its session.

    Args:
        access_token: What envd's requests show.
        traffic_token: What requests to other ports show.
        is_public: Requests to other ports need to show nothing.
        is_short: It was paused because its tenant had no processor time left, not by its owner: a request lets it go on.
        requests: In progress now.
        metered: When it was asked for its metrics last, and what it had used by then.
    """

    held: Held
    box: SandboxBox
    template: str
    metadata: dict[str, str]
    variables: dict[str, str]
    auto_pause: bool
    auto_resume: bool
    is_public: bool
    network: dict[str, Any]
    allow_internet: bool | None
    access_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    traffic_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ends: datetime = field(default_factory=lambda: datetime.now(UTC))
    is_paused: bool = False
    is_short: bool = False
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    requests: int = 0
    metered: tuple[float, float] = field(default_factory=lambda: (time.monotonic(), 0.0))

    @property
    def id(self) -> str:
        """Return its name."""
        return self.held.id

    @property
    def is_over(self) -> bool:
        """Return whether its time is over."""
        return not self.is_paused and self.held.ends <= time.monotonic()

    def extend(self, seconds: float) -> None:
        """Let it end so many seconds from now."""
        self.held.ends = time.monotonic() + seconds
        self.ends = datetime.now(UTC) + timedelta(seconds=seconds)


def failure(
    status: int, message: str, headers: dict[str, str] | None = None, **details: object
) -> JSONResponse:
    """Return a failure as E2B's clients read it."""
    return JSONResponse({"code": status, "message": message, **details}, status, headers)


def refused(error: BaseException) -> JSONResponse:
    """Return an error as a failure; who may come again is told when."""
    wait = {"Retry-After": str(math.ceil(error.retry_seconds))} if isinstance(error, Busy) else None
    return failure(status_of(error)[0], str(error), wait)


def _beginning(box: SandboxBox, variables: dict[str, str]) -> dict[str, Any]:
    return {"variables": variables, "path": box.path, "warm": True}


class Sandboxes:
    """All sandboxes of a service. Used on its event loop only."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    # ------------------------------------------------------------ opening

    async def open(self, tenant: Tenant, seconds: float, **details: Any) -> Sandbox:
        """Open a sandbox.

        Raises:
            Busy: The tenant or the service has no room.
            SessionLost: It was ended meanwhile: by a request, or because its time was over.
        """
        spec = spec_for(tenant)
        name = "i" + "".join(secrets.choice(_ID) for _ in range(20))
        held = await self._hub.open(
            tenant,
            lambda: cast("SandboxBox | None", POOL.take((SandboxBox, spec))) or SandboxBox(spec),
            executor_name="e2b",
            idle_seconds=seconds,
            fixed=True,
            name=name,
            kind="sandbox of E2B's API",
        )
        sandbox = Sandbox(held=held, box=cast("SandboxBox", held.executor), **details)
        held.details[_DETAIL] = sandbox
        held.over_budget = lambda: self._pause_soon(sandbox, is_short=True)
        held.pid = sandbox.box.pid
        held.at_end = lambda: self._on_time(sandbox)
        sandbox.extend(seconds)
        try:
            await self._begin(sandbox)
        except BaseException as error:
            self._check_open(held, error)
            self._hub.close_soon(held)
            raise
        self._check_open(held)
        self._watch(sandbox)
        self._want_ready(spec)
        return sandbox

    def _check_open(self, held: Held, because: BaseException | None = None) -> None:
        """Check that nobody has ended a sandbox while it was opened; SessionLost: it is gone."""
        if self._hub.get(held.id) is None:
            raise SessionLost("the sandbox was ended while it was opened") from because

    async def _begin(self, sandbox: Sandbox) -> None:
        """Give the box what it has to know; return when it answers."""
        await self._say(sandbox.box, "/begin", _beginning(sandbox.box, sandbox.variables))

    async def _say(self, box: SandboxBox, path: str, said: dict[str, Any]) -> None:
        """Tell the box's own server something; return when it has answered.

        Raises:
            SessionLost, BackendError: The box is dead, or its server (which is the guest's) does not answer.
        """
        body = json.dumps(said).encode()
        try:
            async with (
                asyncio.timeout(_ANSWER_SECONDS),
                await Exchange.open(box, "POST", path, [(b"x-box-port", b"host")], body) as exchange,
            ):
                await exchange.head()
        except TimeoutError as error:
            raise BackendError("the sandbox's server does not answer") from error

    def _watch(self, sandbox: Sandbox) -> None:
        """Close the session when its box has died."""
        loop, pidfd = asyncio.get_running_loop(), sandbox.box.pidfd

        def died() -> None:
            loop.remove_reader(pidfd)
            self._hub.close_soon(sandbox.held)

        loop.add_reader(pidfd, died)
        sandbox.held.on_close.append(lambda: loop.remove_reader(pidfd))

    # ------------------------------------------------------------ ready boxes

    async def _ready(self, spec: Spec) -> SandboxBox:
        box = await self._hub.call(SandboxBox, spec)
        try:
            await self._say(box, "/begin", _beginning(box, {}))
        except BaseException:
            await self._hub.call(box.close)
            raise
        return box

    def _want_ready(self, spec: Spec) -> None:
        """Have a box opened in advance, for the next sandbox of this kind, by the pool's thread."""
        loop = asyncio.get_running_loop()

        def open_one() -> SandboxBox:
            return asyncio.run_coroutine_threadsafe(self._ready(spec), loop).result(_READY_SECONDS)

        POOL.want((SandboxBox, spec), 1, open_one)

    # ------------------------------------------------------------ finding

    def of(self, tenant: Tenant) -> list[Sandbox]:
        """Return a tenant's sandboxes, the oldest first."""
        found = (held.details.get(_DETAIL) for held in self._hub.of(tenant))
        return [sandbox for sandbox in found if sandbox is not None and not sandbox.is_over]

    def find(self, tenant: Tenant, name: str) -> Sandbox:
        """Return a tenant's sandbox.

        Raises:
            NotFound: There is none, it is over, or another tenant's.
        """
        found = self._hub.find(tenant, name).details.get(_DETAIL)
        if found is None or found.is_over:
            raise NotFound(f"sandbox {name[:100]!r} not found")
        return cast("Sandbox", found)

    def by_name(self, name: str) -> Sandbox | None:
        """Return any tenant's sandbox: the caller must show one of its tokens."""
        held = self._hub.get(name)
        found = held.details.get(_DETAIL) if held is not None else None
        return None if found is None or found.is_over else cast("Sandbox", found)

    def by_signature(self, is_signed: Callable[[Sandbox], bool]) -> Sandbox | None:
        """Return the sandbox whose token has signed an address: addresses of files need not name it."""
        every = (held.details.get(_DETAIL) for held in self._hub.all())
        return next((one for one in every if one is not None and not one.is_over and is_signed(one)), None)

    # ------------------------------------------------------------ pausing

    def _on_time(self, sandbox: Sandbox) -> bool:
        """Pause it, where that was wished for the end of its time; return whether it was."""
        if not sandbox.auto_pause or sandbox.is_paused:
            return False
        sandbox.held.ends = math.inf  # once
        self._pause_soon(sandbox)
        return True

    def _pause_soon(self, sandbox: Sandbox, *, is_short: bool = False) -> None:
        asyncio.create_task(self.pause(sandbox, is_short=is_short))  # noqa: RUF006 (short, and ended by the loop)

    async def pause(self, sandbox: Sandbox, *, is_short: bool = False) -> bool:
        """Stop all of its processes; False when they were."""
        async with sandbox.changing:
            if sandbox.is_paused:
                return False
            sandbox.is_paused, sandbox.is_short = True, is_short
            try:
                await self._say(sandbox.box, "/freeze", {})
            except PinjraError:
                pass  # SECURITY: its server is the guest's: it may not stop the others, and they are limited as ever
            sandbox.box.signal(signal.SIGSTOP)
            sandbox.held.ends = time.monotonic() + _PAUSED_SECONDS
            return True

    async def resume(self, sandbox: Sandbox, seconds: float) -> bool:
        """Let it go on; False when it was running, and then it lives at least so long."""
        async with sandbox.changing:
            if not sandbox.is_paused:
                if sandbox.held.ends < time.monotonic() + seconds:
                    sandbox.extend(seconds)
                return False
            sandbox.held.tenant.check_budget()
            sandbox.box.signal(signal.SIGCONT)
            try:
                await self._say(sandbox.box, "/thaw", {})
            finally:  # it runs, whatever its server says
                sandbox.is_paused = False
                sandbox.extend(seconds)
            return True

    # ------------------------------------------------------------ metering

    def metrics(self, sandbox: Sandbox, end: float = math.inf) -> list[dict[str, Any]]:
        """Return what it uses now, in E2B's words; nothing where that is after `end`, in Unix seconds."""
        if end + METER_SECONDS < time.time():
            return []
        (since, before), now = sandbox.metered, time.monotonic()
        used, memory = self._hub.meter(sandbox.held)
        elapsed = max(now - since, 0.001)
        sandbox.metered = now, used
        quota = sandbox.held.tenant.quota
        moment = datetime.now(UTC)
        return [
            {
                "timestamp": moment.isoformat().replace("+00:00", "Z"),
                "timestampUnix": int(moment.timestamp()),
                "cpuCount": 1,
                "cpuUsedPct": round(100 * max(used - before, 0.0) / elapsed, 2),
                "memUsed": memory,
                "memTotal": quota.memory_bytes,
                "memCache": 0,
                "diskUsed": 0,
                "diskTotal": quota.disk_bytes,
            }
        ]
