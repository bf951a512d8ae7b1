"""Which executor session a run works in: its own, the last run's, or one that the caller gave."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from pinjra.agents.memory.memory import AgentMemory
from pinjra.agents.run.state import Run
from pinjra.core.errors import ConfigurationError, PinjraError
from pinjra.executors.base import PythonExecutor

__all__ = ["ExecutorSource", "LastRun", "LastRuns", "Session"]


class Session:
    """An executor while runs use it.

    Args:
        owned: Made for the agent, which then closes it.
        lock: Held while a run uses an executor that the caller gave: it has one state for all runs.
    """

    def __init__(self, executor: PythonExecutor, *, owned: bool, lock: threading.Lock | None = None) -> None:
        self.executor = executor
        self.owned = owned
        self._lock = lock

    def acquire(self, run: Run) -> None:
        """Wait until no other run uses a given executor.

        Raises:
            ConfigurationError: A run above this one uses it: it would wait for itself (the caller's fault).
        """
        above = run.parent
        while above is not None:
            if above.session is not None and above.session.executor is self.executor:
                raise ConfigurationError(
                    f"{run.label} and {above.label} were given the same executor; a managed agent needs one of its own"
                )
            above = above.parent
        if self._lock is not None:
            self._lock.acquire()

    def release(self) -> None:
        """Let the next run have a given executor."""
        self.executor.on_output = None
        if self._lock is not None:
            self._lock.release()

    def close(self) -> None:
        """End the session if it was made for the agent."""
        if not self.owned:
            return
        try:
            self.executor.close()
        except PinjraError as error:  # the run's result must not be lost for it
            warnings.warn(f"a session did not close: {error}", ResourceWarning, stacklevel=2)


class ExecutorSource:
    """Makes sessions: by the given function, or around the executor that the caller gave."""

    def __init__(self, given: PythonExecutor | None, make: Callable[[], PythonExecutor]) -> None:
        self.given = given
        self._make = make
        self._lock = threading.Lock()

    def open(self) -> Session:
        """Return a fresh session, or the one around the given executor."""
        if self.given is not None:
            return Session(self.given, owned=False, lock=self._lock)
        return Session(self._make(), owned=True)


@dataclass(frozen=True, slots=True)
class LastRun:
    """What is left of a run: enough to go on with it."""

    memory: AgentMemory
    session: Session | None


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

        Args:
            reset: Only the session is wanted, emptied of variables.

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
        if last is None or not reset:
            return last
        return self._emptied(last)

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
                self._last = LastRun(last.memory, None)
        if last is not None and last.session is not None:
            last.session.close()

    @staticmethod
    def _emptied(last: LastRun) -> LastRun | None:
        """Return the remains with a session without variables; a given executor stays as its owner left it."""
        session = last.session
        if session is None or not session.owned:
            return last
        try:
            session.executor.reset()
        except PinjraError:  # it died meanwhile; a fresh one is as good
            session.close()
            return LastRun(last.memory, None)
        return last
