"""All runs of agents of one service: started, found by their owner only, kept on disk."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from pinjra.agents.agent import Agent
from pinjra.agents.memory.memory import AgentMemory
from pinjra.agents.memory.steps import ActionStep, MemoryStep, TaskStep
from pinjra.agents.resuming import resumed
from pinjra.agents.run.options import RunOptions
from pinjra.agents.run.sessions import LastRun, RunSession
from pinjra.core.cache_folder import home_folder
from pinjra.core.errors import ConfigurationError
from pinjra.core.files import GivenFile
from pinjra.executors.base import PythonExecutor
from pinjra.server.http.errors import Busy, NotFound
from pinjra.server.http.hub import Hub, new_name
from pinjra.server.http.tenants import Tenant
from pinjra.server.models import LoadedModels
from pinjra.server.runs.making import AgentMaker, FirstSaid
from pinjra.server.runs.note import RunNote
from pinjra.server.runs.run import AgentRun

_log = logging.getLogger("pinjra.serve")

_LIVE = 64  # runs at one time; each has a thread
_END_SECONDS = 10.0  # for interrupted runs to end when the service does
_GO_ON = (
    "You were interrupted and go on now with the same task at the next step. All variables are still there."
)
_NEW_SESSION = "\n(The Python session is a new one: its variables are gone.)"
_ENDED = "the service ended while this run went on"


def runs_folder(given: str) -> Path:
    """Return where runs are kept: the given folder, else the user's for such data (XDG on Linux)."""
    if given:
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home_folder() / "AppData" / "Local") / "pinjra" / "runs"
    if sys.platform == "darwin":
        return home_folder() / "Library" / "Application Support" / "pinjra" / "runs"
    base = os.environ.get("XDG_STATE_HOME", "")
    return (
        (Path(base) if Path(base).is_absolute() else home_folder() / ".local" / "state") / "pinjra" / "runs"
    )


class AgentRuns:
    """Runs by their id. Used on the event loop only; agents work in threads."""

    def __init__(self, hub: Hub, models: LoadedModels) -> None:
        self._hub = hub
        self._maker = AgentMaker(hub.settings, models)
        self._folder = runs_folder(hub.settings.runs_folder)
        self._runs: dict[str, AgentRun] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._limiter: anyio.CapacityLimiter | None = None

    async def stop(self) -> None:
        """Interrupt what goes on, and wait until it is written down."""
        for run in self._runs.values() if self._runs else ():
            if run.is_live:
                run.interrupt()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_END_SECONDS)
        for run in self._runs.values() if self._runs else ():
            await self._hub.call(run.forget_session)

    # ------------------------------------------------------------ finding

    def of(self, tenant: Tenant) -> list[AgentRun]:
        """Return the tenant's runs, the newest first."""
        mine = [run for run in self._known().values() if run.record.tenant == tenant.name]
        return sorted(mine, key=lambda run: run.record.started, reverse=True)

    def find(self, tenant: Tenant, name: str) -> AgentRun:
        """Return the tenant's run of that id.

        Raises:
            NotFound: There is none, or it is another tenant's.
        """
        run = self._known().get(name)
        if run is None or run.record.tenant != tenant.name:
            raise NotFound(f"there is no run {name[:100]!r}")
        return run

    def folder_of(self, name: str) -> Path | None:
        """Return the folder of a run of any tenant, for frames; None where there is none."""
        run = self._known().get(name)
        return run.folder if run else None

    def _known(self) -> dict[str, AgentRun]:
        """Return all runs; read from the disk once. Those that a killed service left are ended."""
        if self._runs is None:
            self._runs = {}
            for path in sorted(self._folder.glob("*/run.json")):
                run = _loaded(path)
                if run is not None:
                    self._runs[run.record.id] = run
        return self._runs

    # ------------------------------------------------------------ starting

    async def start(
        self, tenant: Tenant, record: RunNote, files: tuple[GivenFile, ...], max_steps: int | None, variables: dict[str, Any]
    ) -> AgentRun:  # fmt: skip
        """Begin a run with a session of its own.

        Raises:
            Busy: There is no room for a session, or for one more run.
        """
        agent = await self._agent(tenant, record)
        run = await self._opened(tenant, record, agent, lambda: agent.python_executor)  # type: ignore[attr-defined]  # asked of code agents only
        options = RunOptions(
            task=record.task,
            max_steps=min(max_steps or agent.max_steps, agent.max_steps),
            reset=not agent.runs_code,
            variables=variables,
            files=files,
            streams=True,
        )
        self._begin(run, options)
        return run

    async def go_on(self, tenant: Tenant, run: AgentRun, task: str) -> None:
        """Go on with a run that has ended: with the same task, or with a further one.

        Raises:
            ConfigurationError: It goes on already, or has its answer and there is no further task.
        """
        if run.is_live:
            raise ConfigurationError("this run goes on already")
        memory = run.memory() if run.agent is None or run.held is None else run.agent.memory.copy()
        has_session = run.agent is not None and run.held is not None
        if run.agent is None or not has_session:
            run.forget_session()
            agent = await self._agent(tenant, run.record)
            await self._open(tenant, run, agent, lambda: agent.python_executor)  # type: ignore[attr-defined]  # as above
        agent = _agent_of(run)
        if task:
            memory.append(TaskStep(task=task if has_session or not agent.runs_code else task + _NEW_SESSION))
            options = RunOptions(task=task, max_steps=agent.max_steps, memory=memory)
        else:
            options = resumed(memory, agent.max_steps, None, has_session=agent.runs_code)
            if has_session:
                memory.steps[-1] = TaskStep(task=_GO_ON)
        self._begin(run, replace(options, reset=False, streams=True))

    async def branch(self, tenant: Tenant, run: AgentRun, step: int, code: str, *, goes_on: bool) -> AgentRun:
        """Begin a run that is the same up to a step, whose code is another one, in a fork of the session as it was then.

        Raises:
            ConfigurationError: There is no such step, or nothing is kept of the session (the client's fault).
        """
        source = run.snapshots.get(step)
        if source is None:
            kept = ", ".join(map(str, sorted(run.snapshots))) or "none"
            raise ConfigurationError(f"the session before step {step} is no longer kept; kept are: {kept}")
        before = _steps_before(run.memory(), step)
        old = run.record
        record = RunNote(
            id=new_name(), tenant=old.tenant, agent=old.agent, task=old.task, approval=old.approval, parent=old.id,
            branch_step=step, executor=old.executor, model=old.model, tools=old.tools,
        )  # fmt: skip
        agent = await self._agent(tenant, record)
        branch = await self._opened(tenant, record, agent, source.fork)
        assert branch.held is not None  # noqa: S101 (a source is a code agent's)
        session = RunSession(branch.held.executor, owned=True, made_with=agent.session_options())
        session.is_fresh = True
        agent.last_runs.keep(LastRun(before, session), continued=False)
        agent.planning_interval = None  # the plan stands in the steps before
        agent.model = FirstSaid(agent.model, f"```python\n{code}\n```")
        branch.first_code, branch.stops_after_step = code, not goes_on
        options = RunOptions(task=old.task, max_steps=agent.max_steps, memory=before)
        self._begin(branch, replace(options, reset=False, streams=True))
        return branch

    async def remove(self, run: AgentRun) -> None:
        """End a run and remove everything that is kept of it.

        Raises:
            Busy: Its session is just being opened.
        """
        if run.is_live and run.task is None:
            raise Busy("this run is just beginning", 1.0)
        run.interrupt()
        if run.task is not None:
            await asyncio.wait([run.task])
        if run.held is not None:
            await self._hub.close(run.held)
        self._drop(run)

    def _drop(self, run: AgentRun) -> None:
        self._known().pop(run.record.id, None)
        shutil.rmtree(run.folder, ignore_errors=True)

    async def _agent(self, tenant: Tenant, record: RunNote) -> Agent:
        if self._hub.is_draining or len(self._tasks) >= _LIVE:
            raise Busy(f"{len(self._tasks)} runs of agents go on, as many as there may be", 5.0)
        return await self._hub.call(
            self._maker.make,
            record.agent,
            tenant.quota,
            executor=record.executor,
            model=record.model,
            tools=record.tools,
        )

    def _new(self, record: RunNote) -> AgentRun:
        known = self._known()
        ended = sorted((r for r in known.values() if not r.is_live), key=lambda r: r.record.started)
        for old in ended[: max(len(known) - self._hub.settings.runs_kept + 1, 0)]:
            if old.held is None:
                self._drop(old)
        folder = self._folder / record.id
        folder.mkdir(parents=True, mode=0o700)
        run = known[record.id] = AgentRun(folder, record)
        run.save()
        return run

    async def _opened(
        self, tenant: Tenant, record: RunNote, agent: Agent, make: Callable[[], PythonExecutor]
    ) -> AgentRun:
        """Return a new run; one that gets no session is not kept."""
        run = self._new(record)
        try:
            await self._open(tenant, run, agent, make)
        except BaseException:
            self._drop(run)
            raise
        return run

    async def _open(
        self, tenant: Tenant, run: AgentRun, agent: Agent, make: Callable[[], PythonExecutor]
    ) -> None:
        """Give the run its agent and, where it runs code, its session, which the service counts and closes."""
        run.agent = agent
        run.charge, run.refusal = tenant.charge, lambda: _refusal(tenant)
        if not agent.runs_code:
            return
        name = getattr(agent, "executor_type", None) or "own"
        held = run.held = await self._hub.open(tenant, make, executor_name=name)
        held.details["run"] = run.record.id
        held.on_close.append(lambda: self._closed(run))

    def _closed(self, run: AgentRun) -> None:
        run.interrupt()
        run.held = None
        task = asyncio.ensure_future(self._hub.call(run.forget_session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _begin(self, run: AgentRun, options: RunOptions) -> None:
        run.begin()
        task = run.task = asyncio.create_task(self._drive(run, options))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drive(self, run: AgentRun, options: RunOptions) -> None:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_LIVE)
        held = run.held
        try:
            if held is None:
                await anyio.to_thread.run_sync(run.work, options, limiter=self._limiter)
                return
            async with self._hub.using(held):
                await anyio.to_thread.run_sync(run.work, options, limiter=self._limiter)
                held.executor = run.agent.python_executor or held.executor if run.held else held.executor  # type: ignore[union-attr]  # one that was lost was replaced
        except Exception as error:
            _log.exception("run %s failed", run.record.id)
            run.end("error", f"{type(error).__name__}: an error of the service")
        finally:
            run.log.close()
            self._hub.metrics.agent_runs.labels(run.record.tenant, run.record.state).inc()


def _refusal(tenant: Tenant) -> str:
    try:
        tenant.check_budget()
    except Busy as error:
        return str(error)
    return ""


def _loaded(path: Path) -> AgentRun | None:
    try:
        run = AgentRun(path.parent, RunNote.model_validate_json(path.read_bytes()))
    except (OSError, ValueError) as error:
        _log.warning("%s is no run: %s", path, error)
        return None
    if run.is_live:
        run.log.open()
        run.end("interrupted", _ENDED)
        run.log.close()
    return run


def _agent_of(run: AgentRun) -> Agent:
    assert run.agent is not None  # noqa: S101 (it was opened)
    return run.agent


def _steps_before(memory: AgentMemory, number: int) -> AgentMemory:
    """Return the steps before action step `number`.

    Raises:
        ConfigurationError: There is no such step (the client's fault).
    """
    kept: list[MemoryStep] = []
    for step in memory.steps:
        if isinstance(step, ActionStep) and step.step_number == number:
            return AgentMemory(memory.system_prompt.system_prompt, kept)
        kept.append(step)
    raise ConfigurationError(f"this run has no step {number}")
