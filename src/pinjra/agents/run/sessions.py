"""Which executor session a run works in: its own, the last run's, or one that the caller gave."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

from pinjra.agents.memory.memory import AgentMemory
from pinjra.agents.run.results import RunResult
from pinjra.agents.run.waiting import Waits
from pinjra.core.calls import HostFunction
from pinjra.core.errors import ConfigurationError, ExecutorUnavailable, PinjraError
from pinjra.executors.base import PythonExecutor

# SECURITY: of an executor that callers gave: it has one state, and one set of granted tools, whichever agents' runs use it.
_TURNS: WeakKeyDictionary[PythonExecutor, threading.Lock] = WeakKeyDictionary()
_NAMING = threading.Lock()


class RunSession:
    """An executor while runs use it: one run at a time, where the caller gave it.

    Args:
        owned: Made for the agent, which then closes it.
        made_with: What the agent was given for it.

    Attributes:
        is_fresh: No run has used it yet: what its owner put there is meant to stay.
    """

    def __init__(self, executor: PythonExecutor, *, owned: bool, made_with: object = None) -> None:
        self.executor = executor
        self.owned = owned
        self.made_with = made_with
        self.is_fresh = False
        with _NAMING:
            self._lock = None if owned else _TURNS.setdefault(executor, threading.Lock())
        self._granted: set[str] = set()
        self._turns: dict[str, tuple[object, threading.Lock]] = {}

    async def acquire(self, waits: Waits) -> None:
        """Wait until no other run uses a given executor."""
        if self._lock is not None:
            await waits.turn(self._lock)

    def release(self) -> None:
        """Let the next run have a given executor."""
        self.executor.on_output = None
        if self._lock is not None:
            self._lock.release()

    def turns(self, callables: Mapping[str, object]) -> dict[str, threading.Lock]:
        """Return which calls of a tool, by its name, wait for each other: also for one of an earlier run that was given up."""
        before = self._turns
        self._turns = {
            name: before[name] if name in before and before[name][0] is each else (each, threading.Lock())
            for name, each in callables.items()
        }
        return {name: lock for name, (_each, lock) in self._turns.items()}

    def grant(self, functions: Mapping[str, HostFunction]) -> None:
        """Let code call these and nothing that an earlier run of this session was granted."""
        gone = self._granted - set(functions)
        if gone:
            # such an executor keeps the name; the ended run's tool refuses by itself
            with suppress(ExecutorUnavailable):
                self.executor.revoke_tools(sorted(gone))
        self.executor.send_tools(functions)
        self._granted = set(functions)

    def emptied(self) -> bool:
        """Forget its variables; False where it is lost. A given executor stays as its owner left it."""
        try:
            if self.owned:
                self.executor.reset()
        except PinjraError:  # it died meanwhile; a fresh one is as good
            self.close()
            return False
        return True

    def close(self) -> None:
        """End the session if it was made for the agent."""
        if not self.owned:
            return
        try:
            self.executor.close()
        except PinjraError as error:  # the run's result must not be lost for it
            warnings.warn(f"a session did not close: {error}", ResourceWarning, stacklevel=2)


@dataclass(frozen=True, slots=True)
class LastRun:
    """What is left of a run: enough to go on with it."""

    memory: AgentMemory
    session: RunSession | None
    result: RunResult | None = None
    objects: Mapping[str, object] = field(default_factory=dict)


class LastRuns:
    """Keeps what is left of the last run to end, for `reset=False`; one run at a time goes on with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: LastRun | None = None
        self._continued = 0
        self._closed = False

    @property
    def last(self) -> LastRun | None:
        """Return the last run's remains without taking them."""
        return self._last

    def take(self, *, reset: bool) -> LastRun | None:
        """Return and remove the last run's remains; None where there are none.

        Raises:
            ConfigurationError: Another thread goes on with them at this moment (the caller's fault).
        """
        with self._lock:
            self._closed = False
            if not reset and self._last is None and self._continued:
                raise ConfigurationError(
                    "another thread is continuing the last run (reset=False); wait for it to end"
                )
            last, self._last = self._last, None
            if not reset:
                self._continued += 1
        return last

    def keep(self, left: LastRun, *, continued: bool) -> None:
        """Keep what is left of a run that ended; what was kept before is closed."""
        with self._lock:
            if continued:
                self._continued -= 1
            old, self._last = self._last, left
            drop = left.session if self._closed else None
        for session in (old.session if old else None, drop):
            if session is not None:
                session.close()

    def executor(
        self, open_session: Callable[[], RunSession | None], system_prompt: Callable[[], str]
    ) -> PythonExecutor | None:
        """Return the kept session's executor; where there is none, that of a session opened for the next run."""
        with self._lock:
            last = self._last
        if last is None or last.session is None:
            memory = last.memory if last else AgentMemory(system_prompt())
            last = LastRun(memory, open_session())
            if last.session is not None:
                last.session.is_fresh = True
            self.keep(last, continued=False)
        return last.session.executor if last.session else None

    def memory(self, system_prompt: Callable[[], str]) -> AgentMemory:
        """Return the kept memory; before the first run a fresh one, which `reset=False` goes on with."""
        with self._lock:
            if self._last is None:
                self._last = LastRun(AgentMemory(system_prompt()), None)
            return self._last.memory

    def abandon(self, *, continued: bool) -> None:
        """A run that was to go on did not begin."""
        with self._lock:
            if continued:
                self._continued -= 1

    def close(self) -> None:
        """Close the kept session; the memory stays readable."""
        with self._lock:
            self._closed = True
            last = self._last
            if last is not None:
                self._last = replace(last, session=None)
        if last is not None and last.session is not None:
            last.session.close()
