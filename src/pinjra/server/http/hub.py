"""Requests of tenants for sessions -> open executors: counted, found by their owner only, closed when idle."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from pinjra.core.execution import Execution, Usage
from pinjra.core.processes import usage_of
from pinjra.executors.parameters import constructor_parameters
from pinjra.executors.registry import executor_class
from pinjra.server.http.audit import Audit
from pinjra.server.http.errors import Busy, NotFound, status_of
from pinjra.server.http.metrics import Metrics, end_of
from pinjra.server.http.settings import ServeSettings
from pinjra.server.http.tenants import Tenant

if TYPE_CHECKING:
    from pinjra.executors.base import PythonExecutor

T = TypeVar("T")

SESSION = "session"  # of the native API

_log = logging.getLogger("pinjra.serve")

# Besides two for each session: a run in progress occupies one, and whoever wants to stop it another.
_THREADS = 64
_REAP_SECONDS = 1.0
METER_SECONDS = 5.0
_LOOK_SECONDS = 2.0  # between two looks at whether sessions can be opened
_READS = 2  # of files of one session at one time
_MOST_PIECES = 256  # of output, between a run and its client
_SLOW_SECONDS = 5.0  # a client that reads nothing for so long gets memory, not the run's time
_BUSY_SECONDS = 2.0  # a session ends, or a run does, about so often on a full machine


@dataclass(slots=True, kw_only=True, eq=False)
class Held:
    """One open session and who owns it.

    Args:
        turn: Held by the call that works in the session; the others wait.
        reads: Whole files that are read into memory at one time.
        ends: Monotonic time at which it is closed unless it is used.
        idle_seconds: How far each use moves `ends` on.
        fixed: `ends` was set by the client and is not moved by use (E2B's time-outs).
        details: What a foreign API keeps about its sessions.
        at_end: Called when the time has come; returns whether it goes on, in another way, instead of being closed.
        kind: Which API speaks to it.
        pid: Of the box's first process, where no run tells what is used: the tenant pays for what the kernel counts.
        over_budget: Called when the tenant has used all that it may, instead of closing.
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
    reads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_READS))
    users: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    on_close: list[Callable[[], object]] = field(default_factory=list)
    at_end: Callable[[], bool] | None = None
    kind: str = SESSION
    pid: int = 0
    over_budget: Callable[[], None] | None = None

    def check_kind(self, wanted: str = SESSION) -> None:
        """Check that it is spoken to by its own API; NotFound: it is of another one."""
        if self.kind != wanted:
            raise NotFound(f"{self.id!r} is a {self.kind}, and no {wanted}")

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


async def _opened(make: Callable[[], PythonExecutor]) -> PythonExecutor:
    """Return what `make` opens, in a thread of its own: one for which nobody waits any more is closed when it has come up."""
    opening: Future[PythonExecutor] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            executor = context.run(make)
        except BaseException as error:
            with suppress(InvalidStateError):
                opening.set_exception(error)
            return
        try:
            opening.set_result(executor)
        except InvalidStateError:
            executor.close()

    # A service that ends does not wait for packages to be fetched, or a machine far away to come up
    threading.Thread(target=work, name="pinjra-opening", daemon=True).start()
    return await asyncio.wrap_future(opening)


class RunText:
    """What one run prints in its thread -> pieces on the event loop, those that have come meanwhile as one. Made on the loop.

    Bounded: the run waits for a slow client.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: deque[tuple[str, str]] = deque()
        self._room = threading.Semaphore(_MOST_PIECES)
        self._wake = asyncio.Event()
        self._is_over = False

    def put(self, stream: str, text: str) -> None:
        """Take a piece; called on the run's thread."""
        self._room.acquire(timeout=_SLOW_SECONDS)
        self._pieces.append((stream, text))
        self._loop.call_soon_threadsafe(self._wake.set)

    def end(self) -> None:
        """Say that nothing more comes; called on the loop."""
        self._is_over = True
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[tuple[str, str]]:
        is_last = False
        while not is_last:
            await self._wake.wait()
            self._wake.clear()
            is_last = self._is_over
            pieces = [self._pieces.popleft() for _ in range(len(self._pieces))]
            self._room.release(max(len(pieces), 1))
            for stream, together in groupby(pieces, key=lambda piece: piece[0]):
                yield stream, "".join(text for _, text in together)


class Hub:
    """All sessions of one service. Used on its event loop only; what blocks runs in threads."""

    def __init__(self, settings: ServeSettings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.audit = Audit(settings)
        self._held: dict[str, Held] = {}
        # Process -> its processor seconds that are paid; forked streams share one.
        self._paid: dict[int, float] = {}
        self._next_meter = 0.0
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
                if held.at_end is None or not held.at_end():
                    self.metrics.expired.inc()
                    held.details["end"] = "expired"
                    self.close_soon(held)
            if now >= self._next_meter:
                self._next_meter = now + METER_SECONDS
                self._meter_all()

    def _meter_all(self) -> None:
        """Have tenants pay for what goes on in their boxes without a run; stop it where they have nothing left."""
        for held in [held for held in self._held.values() if held.pid]:
            self.meter(held)
            try:
                held.tenant.check_budget()
            except Busy:
                if held.over_budget is not None:
                    held.over_budget()
                else:
                    held.details["end"] = "budget"
                    self.close_soon(held)

    def meter(self, held: Held) -> tuple[float, int]:
        """Have its tenant pay for what a box has used since the last time; return processor seconds and bytes of memory."""
        used, memory = usage_of(held.pid)
        paid = self._paid.get(held.pid, 0.0)
        if used > paid:
            held.tenant.charge(used - paid)
            self._paid[held.pid] = used
        return used, memory

    def _meter_last(self, held: Held, seconds: float) -> None:
        """Do the same when a session that was open so long is closed."""
        if not self.meter(held)[0]:
            # SECURITY: it has ended, and nobody counts what it used since the last look
            held.tenant.charge(min(seconds, METER_SECONDS))
        if not any(other.pid == held.pid for other in self._held.values()):
            self._paid.pop(held.pid, None)

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
        kind: str = SESSION,
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
            executor = await _opened(make)
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
            kind=kind,
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
        if held.pid:
            self._meter_last(held, seconds)
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
        begun = time.monotonic()
        used_before = self._counted(held)
        task = asyncio.ensure_future(self.call(run))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            held.executor.interrupt()
            await asyncio.wait([task])
            raise
        finally:
            self._runs -= 1
            self._pay(held, task, time.monotonic() - begun, used_before, kind, code)

    def _counted(self, held: Held) -> float:
        """Return the processor seconds that the kernel has counted for a box; 0.0: it is elsewhere, or nobody needs them."""
        pid = getattr(held.executor, "pid", 0) if held.tenant.quota.cpu_seconds is not None else 0
        return usage_of(pid)[0]

    def _pay(
        self,
        held: Held,
        task: asyncio.Future[Execution],
        wall_seconds: float,
        used_before: float,
        kind: str,
        code: str,
    ) -> None:
        """Charge and note a run, however it ended: where nobody knows what it has used, the time on the clock."""
        # SECURITY: a client that leaves, or a guest that ends its worker, would else run for nothing
        end, used = "cancelled", Usage(wall_seconds=wall_seconds)
        if task.done() and not task.cancelled():
            error = task.exception()
            end, used = (status_of(error)[1], used) if error else (end_of(task.result()), task.result().usage)
        # SECURITY: what a run tells of itself is the guest's word
        counted = self._counted(held) - used_before
        held.tenant.charge(max(used.cpu_seconds or used.wall_seconds, counted))
        self.metrics.seconds.observe(used.wall_seconds)
        seconds = (used.wall_seconds, used.cpu_seconds)
        self.note_run(kind, held.tenant, end, seconds, used.output_bytes, code, session=held.id)

    def note_run(
        self,
        kind: str,
        tenant: Tenant,
        end: str,
        seconds: tuple[float, float | None],
        output_bytes: int,
        code: str,
        **details: str,
    ) -> None:
        """Count one finished run, and write it into the audit log. `seconds` are those on the clock and of processor."""
        wall, cpu = seconds
        self.metrics.runs.labels(tenant.name, end).inc()
        self.metrics.cpu.labels(tenant.name).inc(cpu or 0.0)
        self.audit.write(
            kind, tenant=tenant.name, **details, end=end, wall_seconds=round(wall, 4), cpu_seconds=cpu,
            output_bytes=output_bytes, code=self.audit.code(code),
        )  # fmt: skip

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
