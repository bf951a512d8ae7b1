"""Configurations -> sessions that were opened in advance, by the ordinary protocol. Filled in idle time, closed at exit.

A ready session is an ordinary session. One thread opens what is missing when nothing was opened for a moment, and ends. What does
not work: opening them on the caller's thread (it waits), or at once (the session that was just opened has work to do).
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol

# Without an opening, before one is made in advance: a session that was just opened goes first
_QUIET_SECONDS = 0.025
# Configurations for which sessions are kept; the one that was asked for longest ago is given up
_MOST_KINDS = 4
_END_SECONDS = 5.0  # for an opening in progress at the process's end


class ReadySession(Protocol):
    """What is kept."""

    def discard(self) -> None:
        """End it."""

    def is_unused(self) -> bool:
        """Return whether it lives, and has said and heard nothing since it was opened."""


@dataclass
class _Kind:
    """Sessions of one configuration."""

    count: int
    open_one: Callable[[], ReadySession]
    ready: deque[ReadySession] = field(default_factory=deque)


class ReadySessions:
    """The sessions that are ready. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._forget()
        self._has_hooks = False

    def _forget(self) -> None:
        self._kinds: dict[Hashable, _Kind] = {}
        self._surplus: list[ReadySession] = []
        self._thread: threading.Thread | None = None
        self._last_asked = 0.0
        self._is_closed = False

    def take(self, kind: Hashable) -> ReadySession | None:
        """Return a ready session of this configuration; None where there is none."""
        while True:
            with self._changed:
                self._last_asked = time.monotonic()
                found = self._kinds.get(kind)
                if found is None or not found.ready:
                    return None
                session = found.ready.popleft()
            if session.is_unused():
                return session
            session.discard()

    def want(self, kind: Hashable, count: int, open_one: Callable[[], ReadySession]) -> None:
        """Keep `count` sessions of this configuration ready from now on.

        Args:
            open_one: Opens one. Where it fails, none is wanted until the next call.
        """
        with self._changed:
            if self._is_closed:
                return
            self._add_hooks()
            self._last_asked = time.monotonic()
            old = self._kinds.pop(kind, None)
            self._kinds[kind] = _Kind(count, open_one, deque() if old is None else old.ready)
            for name in list(self._kinds)[:-_MOST_KINDS]:
                self._surplus += self._kinds.pop(name).ready
            if self._thread is None and (self._surplus or self._missing() is not None):
                self._thread = threading.Thread(target=self._fill, name="pinjra-ready-sessions", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Close all of them, and keep none any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(_END_SECONDS)
        with self._changed:
            sessions = [*self._surplus, *(session for kind in self._kinds.values() for session in kind.ready)]
            self._kinds.clear()
            self._surplus.clear()
        for session in sessions:
            session.discard()

    # ------------------------------------------------------------ the thread

    def _fill(self) -> None:
        """Open what is missing, one after the other; return when nothing is."""
        while (kind := self._next()) is not None:
            try:
                session = kind.open_one()
            except Exception:  # the next opening on a caller's thread meets it too, and raises it there
                kind.count = 0
                continue
            with self._changed:
                is_wanted = kind in self._kinds.values() and len(kind.ready) < kind.count
                if is_wanted and not self._is_closed:
                    kind.ready.append(session)
                    continue
            session.discard()

    def _next(self) -> _Kind | None:
        """Return the next configuration to open a session of, when it is quiet; None when there is none (the thread ends)."""
        with self._changed:
            while not self._is_closed:
                surplus, self._surplus = self._surplus, []
                for session in surplus:
                    session.discard()
                quiet = self._last_asked + _QUIET_SECONDS - time.monotonic()
                if quiet <= 0:
                    break
                self._changed.wait(quiet)
            kind = None if self._is_closed else self._missing()
            if kind is None:
                self._thread = None
            return kind

    def _missing(self) -> _Kind | None:
        return next((kind for kind in self._kinds.values() if len(kind.ready) < kind.count), None)

    # ------------------------------------------------------------ this process's end, and its forks

    def _add_hooks(self) -> None:
        """Be closed at the process's end, and empty in forked children: the sessions are the parent's."""
        if not self._has_hooks:
            self._has_hooks = True
            atexit.register(self.close)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(
                    before=self._changed.acquire,
                    after_in_parent=self._changed.release,
                    after_in_child=self._begin_anew,
                )

    def _begin_anew(self) -> None:
        self._forget()
        self._changed.release()


POOL = ReadySessions()
