"""Requests of tenants for sessions -> open executors: counted, found by their owner only, closed when idle."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from pinjra.core.execution import Execution
from pinjra.executors.parameters import constructor_parameters
from pinjra.executors.registry import executor_class
from pinjra.server.http.audit import Audit
from pinjra.server.http.errors import Busy, NotFound
from pinjra.server.http.metrics import Metrics, end_of
from pinjra.server.http.settings import ServeSettings
from pinjra.server.http.tenants import Tenant
from pinjra.server.printed import RunText

if TYPE_CHECKING:
    from pinjra.executors.base import PythonExecutor

__all__ = ["Held", "Hub", "new_name", "watched"]

T = TypeVar("T")

_log = logging.getLogger("pinjra.serve")

_THREADS = (
    64  # besides two for each session: a run in progress occupies one, and whoever wants to stop it another
)
_REAP_SECONDS = 1.0
_LOOK_SECONDS = 2.0  # between two looks at whether sessions can be opened
_BUSY_SECONDS = 2.0  # a session ends, or a run does, about so often on a full machine


@dataclass(slots=True, kw_only=True, eq=False)
class Held:
    """One open session and who owns it.

    Args:
        turn: Held by the call that works in the session; the others wait.
        ends: Monotonic time at which it is closed unless it is used.
        idle_seconds: How far each use moves `ends` on.
        fixed: `ends` was set by the client and is not moved by use (E2B's time-outs).
        details: What a foreign API keeps about its sessions.
        at_end: Called when the time has come, instead of closing.
    """

    id: str
    tenant: Tenant
    executor: PythonExecutor
    executor_name: str
    idle_seconds: float
    ends: float
    started: float = field(default_factory=time.time)
    fixed: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    on_close: list[Callable[[], None]] = field(default_factory=list)
    at_end: Callable[[], None] | None = None

    @property
    def used(self) -> float:
        """Return the monotonic time at which it was used last."""
        return self.ends - self.idle_seconds


def new_name() -> str:
    """Return a name that nobody can guess."""
    return secrets.token_hex(10)


def watched(
    hub: Hub, tenant: Tenant, session: str, executor_name: str, options: dict[str, Any]
) -> Mapping[str, object]:
    """Have the connections of a session to be opened noted; return what its options let it reach, without secrets."""
    takes = constructor_parameters(executor_class(executor_name)).kinds
    if options.get("network") and "on_connection" in takes:
        options["on_connection"] = hub.audit.connections(tenant.name, session)
    reached = {name: options.get(name) for name in ("network", "packages", "programs")}
    return {
        **reached,
        "mounts": sorted(options.get("mounts", ())),
        "secrets_for": sorted(options.get("secrets", ())),
    }


class Hub:
    """All sessions of one service. Used on its event loop only; what blocks runs in threads."""

    def __init__(self, settings: ServeSettings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.audit = Audit(settings)
        self._held: dict[str, Held] = {}
        self._opening = 0
        self._runs = 0
        self._limiter: anyio.CapacityLimiter | None = None
        self._reaper: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self.is_draining = False
        self._looking = asyncio.Lock()
        self._next_look = 0.0
        self._trouble = ""

    # ------------------------------------------------------------ life of the service

    def start(self) -> None:
        """Begin to close sessions whose time has come."""
        self._limiter = anyio.CapacityLimiter(_THREADS + 2 * self.settings.sessions)
        self._reaper = asyncio.create_task(self._reap())

    async def stop(self) -> None:
        """Let runs end within the drain time, then close everything."""
        self.is_draining = True
        if self._reaper is not None:
            self._reaper.cancel()
        deadline = time.monotonic() + self.settings.drain_seconds
        while self._runs and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        await asyncio.gather(*(self.close(held) for held in list(self._held.values())))
        await asyncio.gather(*self._ending)

    async def trouble(self) -> str:
        """Return why sessions cannot be opened here, "" when they can; looked at once in a while, whoever asks."""
        async with self._looking:
            if time.monotonic() >= self._next_look:
                name = self.settings.executor
                problem = await self.call(executor_class(name).diagnose)
                if problem and problem != self._trouble:
                    _log.error("executor %r cannot open sessions: %s", name, problem)
                self._trouble = problem
                self._next_look = time.monotonic() + _LOOK_SECONDS
        # SECURITY: what is missing on this machine is for its log, not for anybody who can reach the port
        return (
            f"executor {self.settings.executor!r} cannot open sessions; the log says why"
            if self._trouble
            else ""
        )

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(_REAP_SECONDS)
            now = time.monotonic()
            for held in [h for h in self._held.values() if h.ends <= now and (h.fixed or not h.users)]:
                self.metrics.expired.inc()
                held.details["end"] = "expired"
                (held.at_end or partial(self.close_soon, held))()

    # ------------------------------------------------------------ sessions

    def all(self) -> list[Held]:
        """Return the open sessions of every tenant, the oldest first."""
        return list(self._held.values())

    def of(self, tenant: Tenant) -> list[Held]:
        """Return the tenant's open sessions, the oldest first."""
        return [held for held in self._held.values() if held.tenant is tenant]

    def get(self, name: str) -> Held | None:
        """Return the session of that name, whoever owns it: the caller checks what the client shows."""
        return self._held.get(name)

    def find(self, tenant: Tenant, name: str) -> Held:
        """Return the tenant's session of that name.

        Raises:
            NotFound: There is none, or it is another tenant's: the same answer for both.
        """
        held = self._held.get(name)
        if held is None or held.tenant is not tenant:
            raise NotFound(f"there is no session {name[:100]!r}")
        return held

    async def open(
        self,
        tenant: Tenant,
        make: Callable[[], PythonExecutor],
        *,
        executor_name: str,
        idle_seconds: float | None = None,
        fixed: bool = False,
        name: str | None = None,
        given: Mapping[str, object] | None = None,
    ) -> Held:
        """Open a session with `make`, which runs in a thread.

        Args:
            given: What it may reach, for the audit log.

        Raises:
            Busy: The tenant or the service has no room (checked before anything starts), or the service is ending.
        """
        self._check_room(tenant)
        tenant.check_budget()
        self._opening += 1
        tenant.sessions += 1
        try:
            executor = await self.call(make)
        except BaseException:
            tenant.sessions -= 1
            raise
        finally:
            self._opening -= 1
        seconds = idle_seconds or self.settings.idle_seconds
        held = Held(
            id=name or new_name(),
            tenant=tenant,
            executor=executor,
            executor_name=executor_name,
            idle_seconds=seconds,
            ends=time.monotonic() + seconds,
            fixed=fixed,
        )
        self._held[held.id] = held
        self.metrics.sessions.labels(tenant.name).inc()
        self.audit.write(
            "opened", tenant=tenant.name, session=held.id, executor=executor_name, **(given or {})
        )
        return held

    def _check_room(self, tenant: Tenant) -> None:
        if self.is_draining:
            raise Busy("the service is ending", self.settings.drain_seconds + 1)
        if tenant.sessions >= tenant.quota.sessions:
            raise Busy(
                f"tenant {tenant.name!r} has {tenant.sessions} sessions open, as many as it may",
                _BUSY_SECONDS,
            )
        if len(self._held) + self._opening >= self.settings.sessions:
            raise Busy(f"{self.settings.sessions} sessions are open, as many as there may be", _BUSY_SECONDS)

    def close_soon(self, held: Held) -> None:
        """Begin to close a session; nobody finds it any more."""
        task = asyncio.create_task(self.close(held))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self, held: Held) -> None:
        """Close a session and wait until nothing of it is left."""
        if self._held.pop(held.id, None) is None:
            return
        held.tenant.sessions -= 1
        self.metrics.sessions.labels(held.tenant.name).dec()
        end = "drained" if self.is_draining else held.details.get("end", "closed")
        seconds = round(time.time() - held.started, 3)
        self.audit.write("closed", tenant=held.tenant.name, session=held.id, end=end, seconds=seconds)
        for tell in held.on_close:
            tell()
        try:
            await self.call(held.executor.close)
        except Exception:
            _log.exception("closing session %s failed", held.id)

    @asynccontextmanager
    async def using(self, held: Held, *, alone: bool = True) -> AsyncIterator[PythonExecutor]:
        """Yield the executor; the session is not idle meanwhile, and with `alone` nobody else uses it."""
        held.users += 1
        try:
            if alone:
                async with held.turn:
                    yield held.executor
            else:
                yield held.executor
        finally:
            held.users -= 1
            if not held.fixed:
                held.ends = time.monotonic() + held.idle_seconds

    # ------------------------------------------------------------ calls

    async def call(self, function: Callable[..., T], *args: object, **options: object) -> T:
        """Return what a blocking function returns, called in a thread; it goes on when the client has left."""
        return await anyio.to_thread.run_sync(partial(function, *args, **options), limiter=self._limiter)

    async def run(
        self, held: Held, run: Callable[[], Execution], *, code: str = "", kind: str = "run"
    ) -> Execution:
        """Return what came of a run; a client that goes away interrupts it. The tenant pays for it.

        Args:
            code, kind: For the audit log.

        Raises:
            Busy: The tenant's processor time is used up.
        """
        held.tenant.check_budget()
        self._runs += 1
        task = asyncio.ensure_future(self.call(run))
        try:
            done = await asyncio.shield(task)
        except asyncio.CancelledError:
            held.executor.interrupt()
            await asyncio.wait([task])
            raise
        finally:
            self._runs -= 1
        held.tenant.charge(done.usage.cpu_seconds or done.usage.wall_seconds)
        self.metrics.count_run(held.tenant.name, done)
        self.audit.write(
            kind,
            tenant=held.tenant.name,
            session=held.id,
            end=end_of(done),
            wall_seconds=round(done.usage.wall_seconds, 4),
            cpu_seconds=done.usage.cpu_seconds,
            output_bytes=done.usage.output_bytes,
            code=self.audit.code(code),
        )
        return done

    async def told(
        self, held: Held, run: Callable[[], Execution], *, code: str = ""
    ) -> AsyncGenerator[tuple[str, str] | Execution, None]:
        """Yield (stream, text) as a run prints it, and last what came of it; else as `run`. To be closed by whoever reads it."""
        output = RunText()
        held.executor.on_output = output.put
        task = asyncio.ensure_future(self.run(held, run, code=code))
        task.add_done_callback(lambda _: output.end())
        try:
            async for piece in output:
                yield piece
            yield task.result()
        finally:
            task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task])
            held.executor.on_output = None
