"""Names that MCP's clients give -> sessions of a hub: each owner's own, and no more than there may be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pinjra.core.errors import PinjraError
from pinjra.server.http.hub import Held, Hub
from pinjra.server.http.settings import TenantSettings
from pinjra.server.http.tenants import Tenant

if TYPE_CHECKING:
    from pinjra.executors.base import PythonExecutor

# In progress in one session; each occupies a thread, and one client must not occupy all of them.
MOST_CALLS = 4
_FRESH_SECONDS = 60.0  # a session used within this time is never closed to make room for another
_NOBODY = TenantSettings(token="-" * 16, sessions=1 << 30)  # owners are told apart, and have no quotas


class SessionRefused(PinjraError):
    """The client's fault or the server's limit: there is no such session, or no room for one more."""


class Sessions:
    """The sessions of an MCP server. Used on its event loop only.

    Args:
        create: Makes a started executor; blocking.
    """

    def __init__(self, hub: Hub, create: Callable[[], PythonExecutor]) -> None:
        self.hub = hub
        self._create = create
        self._tenant = Tenant("mcp", _NOBODY)
        self._opening = asyncio.Lock()  # of two first calls at once the second finds the first one's session

    @asynccontextmanager
    async def use(self, owner: str, name: str, *, may_create: bool) -> AsyncIterator[Held]:
        """Yield the owner's session of that name, where allowed a new one, when it is the caller's turn in it.

        Raises:
            SessionRefused: There is none, no room for one more, or too much goes on in it.
        """
        async with self._opening:
            held = self.hub.get(_key(owner, name)) or await self._opened(owner, name, may_create=may_create)
        if held.users >= MOST_CALLS:
            raise SessionRefused(f"{MOST_CALLS} calls are in progress in session {name!r}; wait for them")
        async with self.hub.using(held):
            try:
                yield held
            finally:
                held.details["used"] = True

    def names(self, owner: str) -> list[str]:
        """Return the names of the owner's open sessions."""
        every = [held.id.partition("\n") for held in self.hub.all()]
        return [name for whose, _, name in every if whose == owner]

    async def close_one(self, owner: str, name: str) -> bool:
        """Close a session and stop what runs in it; False when there is none of that name."""
        held = self.hub.get(_key(owner, name))
        if held is not None:
            await self.hub.close(held)
        return held is not None

    async def _opened(self, owner: str, name: str, *, may_create: bool) -> Held:
        settings = self.hub.settings
        if not may_create:
            raise SessionRefused(
                f"there is no session {name!r}; a session is closed after {settings.idle_seconds:g} seconds without "
                f"use. Leave the session out to get a new one"
            )
        every = self.hub.all()
        if len(every) >= settings.sessions:
            stale = time.monotonic() - _FRESH_SECONDS
            idle = [held for held in every if not held.users and held.used < stale]
            if not idle:
                raise SessionRefused(
                    f"{settings.sessions} sessions are open, the most that this server allows; close one with close_session"
                )
            await self.hub.close(min(idle, key=lambda held: held.used))
        return await self.hub.open(
            self._tenant, self._create, executor_name=settings.executor, name=_key(owner, name)
        )


def _key(owner: str, name: str) -> str:
    return f"{owner}\n{name}"  # SECURITY: an owner comes from a header, in which there is no end of a line
