"""Session names -> executors: bounded in number and idle time, all closed at the end."""

from __future__ import annotations

import atexit
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pinjra.core.errors import PinjraError

if TYPE_CHECKING:
    from pinjra.executors.base import PythonExecutor

__all__ = ["MOST_CALLS", "Session", "SessionRefused", "Sessions"]

MOST_CALLS = (
    4  # in progress in one session; each occupies a thread, and one client must not occupy all of them
)

_FRESH_SECONDS = 60.0  # a session used within this time is never closed to make room for another


class SessionRefused(PinjraError):
    """The client's fault or the server's limit: there is no such session, or no room for one more."""


@dataclass(slots=True, kw_only=True)
class Session:
    """One executor and who is using it.

    Args:
        owner: Only the same owner finds this session again.
        is_new: Nothing was run in it yet.
        turn: Held by the call that is working in the session; the others wait.
        users: Calls in progress, the waiting ones included.
        used_seconds: When it was used last, on the monotonic clock.
    """

    name: str
    owner: str
    executor: PythonExecutor
    is_new: bool = True
    turn: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    used_seconds: float = field(default_factory=time.monotonic)


class Sessions:
    """The sessions of a server. Every method may be called from any thread.

    Args:
        create: Makes a started executor.
        most: Sessions open at one time.
        idle_seconds: A session that nobody used for so long is closed.
    """

    def __init__(
        self, create: Callable[[], PythonExecutor], *, most: int = 16, idle_seconds: float = 1800.0
    ) -> None:
        self._create = create
        self._most = most
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], Session] = {}
        self._starting = 0
        self._ended = threading.Event()
        self._spare: PythonExecutor | None = None
        self._reaper = threading.Thread(target=self._reap, name="pinjra-idle-sessions", daemon=True)
        self._reaper.start()
        atexit.register(self.close)

    def warm_up(self) -> None:
        """Start the executor of the first session now, so that a machine that cannot says so at once.

        Raises:
            ExecutorUnavailable, StartupFailed, MissingDependency, ConfigurationError: As from the executor.
        """
        executor = self._create()
        try:
            executor.run("None")
        except BaseException:
            executor.close()
            raise
        self._spare = executor

    @contextmanager
    def use(self, owner: str, name: str) -> Iterator[Session]:
        """Yield the owner's session of that name, a new one if there is none; it is not closed meanwhile.

        Raises:
            SessionRefused: There is no room for one more.
        """
        session = self._entered(owner, name, may_create=True)
        try:
            yield session
        finally:
            self._left(session)

    @contextmanager
    def use_open(self, owner: str, name: str) -> Iterator[Session]:
        """Yield the owner's session of that name.

        Raises:
            SessionRefused: There is none.
        """
        session = self._entered(owner, name, may_create=False)
        try:
            yield session
        finally:
            self._left(session)

    def names(self, owner: str) -> list[str]:
        """Return the names of the owner's open sessions."""
        with self._lock:
            return [session.name for session in self._open.values() if session.owner == owner]

    def close_one(self, owner: str, name: str) -> bool:
        """Close a session and stop what runs in it; False when there is none of that name."""
        with self._lock:
            session = self._open.pop((owner, name), None)
        if session is None:
            return False
        session.executor.close()
        return True

    def close(self) -> None:
        """Close all sessions and take no new ones. Idempotent."""
        atexit.unregister(self.close)
        self._ended.set()
        with self._lock:
            closing = [session.executor for session in self._open.values()]
            self._open.clear()
            if self._spare is not None:
                closing.append(self._spare)
                self._spare = None
        for executor in closing:
            executor.close()

    @staticmethod
    def new_name() -> str:
        """Return a name that nobody guesses: on a transport without owners it is the only proof of one."""
        return secrets.token_urlsafe(16)

    def _entered(self, owner: str, name: str, *, may_create: bool) -> Session:
        with self._lock:
            if self._ended.is_set():
                raise SessionRefused("the server is closing")
            session = self._open.get((owner, name))
            if session is not None:
                if session.users >= MOST_CALLS:
                    raise SessionRefused(
                        f"{MOST_CALLS} calls are in progress in session {name!r}; wait for them"
                    )
                session.users += 1
                return session
            if not may_create:
                raise SessionRefused(
                    f"there is no session {name!r}; a session is closed after {self._idle_seconds:g} seconds without "
                    f"use. Leave the session out to get a new one"
                )
            crowded = self._make_room()
            self._starting += 1
        if crowded is not None:
            crowded.executor.close()
        return self._started(owner, name)

    def _started(self, owner: str, name: str) -> Session:
        """Start an executor outside the lock: it may take seconds."""
        executor: PythonExecutor | None = None
        try:
            with self._lock:
                executor, self._spare = self._spare, None
            executor = executor or self._create()
        finally:
            with self._lock:
                self._starting -= 1
        session = self._kept(owner, name, executor)
        if session is None or session.executor is not executor:
            executor.close()
        if session is None:
            raise SessionRefused("the server is closing")
        return session

    def _kept(self, owner: str, name: str, executor: PythonExecutor) -> Session | None:
        """Return the session of that name: of two first calls at once, the faster one's. None at the end."""
        with self._lock:
            if self._ended.is_set():
                return None
            session = self._open.setdefault((owner, name), Session(name=name, owner=owner, executor=executor))
            session.users += 1
            return session

    def _make_room(self) -> Session | None:
        """Return a session to close for a new one, when there are too many (the caller holds the lock)."""
        if len(self._open) + self._starting < self._most:
            return None
        stale = time.monotonic() - _FRESH_SECONDS
        idle = [item for item in self._open.values() if not item.users and item.used_seconds < stale]
        if not idle:
            raise SessionRefused(
                f"{self._most} sessions are open, the most that this server allows; close one with close_session"
            )
        longest = min(idle, key=lambda item: item.used_seconds)
        return self._open.pop((longest.owner, longest.name))

    def _left(self, session: Session) -> None:
        with self._lock:
            session.users -= 1
            session.is_new = False
            session.used_seconds = time.monotonic()

    def _reap(self) -> None:
        """Close idle sessions until the end; looks often enough to be late by a quarter at most."""
        while not self._ended.wait(min(30.0, self._idle_seconds / 4)):
            before = time.monotonic() - self._idle_seconds
            with self._lock:
                idle = [
                    key for key, item in self._open.items() if not item.users and item.used_seconds < before
                ]
                closing = [self._open.pop(key) for key in idle]
            for session in closing:
                session.executor.close()
