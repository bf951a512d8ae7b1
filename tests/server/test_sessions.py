"""The sessions of an MCP server: bounded, shared by name, closed when idle and at the end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pinjra.executors.local import LocalPythonExecutor
from pinjra.server.http.hub import Hub
from pinjra.server.http.metrics import Metrics
from pinjra.server.http.settings import ServeSettings
from pinjra.server.mcp import serve
from pinjra.server.sessions import SessionRefused, Sessions


class Told(LocalPythonExecutor):
    """Says when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = threading.Event()

    def close(self) -> None:
        super().close()
        self.closed.set()


@asynccontextmanager
async def pool(
    create: Callable[[], Told] = Told, **options: Any
) -> AsyncIterator[tuple[Sessions, list[Told]]]:
    made: list[Told] = []

    def keep() -> Told:
        made.append(create())
        return made[-1]

    hub = Hub(ServeSettings(executor="local", drain_seconds=0, **options), Metrics())
    hub.start()
    try:
        yield Sessions(hub, keep), made
    finally:
        await hub.stop()
    assert all(executor.closed.is_set() for executor in made)


async def use(
    sessions: Sessions, owner: str, name: str, code: str = "None", *, may_create: bool = True
) -> Any:
    async with sessions.use(owner, name, may_create=may_create) as held:
        return await sessions.hub.call(held.executor.run, code)


def test_a_session_keeps_its_state_for_its_owner_only() -> None:
    async def main() -> None:
        async with pool() as (sessions, made):
            await use(sessions, "anna", "main", "x = 5")
            assert (await use(sessions, "anna", "main", "x")).value == 5
            assert (await use(sessions, "bert", "main", "x")).error is not None
            assert (sessions.names("anna"), sessions.names("bert"), len(made)) == (["main"], ["main"], 2)

    asyncio.run(main())


def test_an_idle_session_is_closed_and_one_in_use_is_not() -> None:
    async def main() -> None:
        async with pool(idle_seconds=0.02) as (sessions, made):
            async with sessions.use("anna", "busy", may_create=True):
                await use(sessions, "anna", "idle")
                assert await asyncio.to_thread(made[1].closed.wait, 20)
                assert not made[0].closed.is_set()
            with pytest.raises(SessionRefused, match="there is no session 'idle'"):
                await use(sessions, "anna", "idle", may_create=False)

    asyncio.run(main())


def test_a_session_used_long_ago_makes_room_and_a_fresh_one_does_not() -> None:
    async def main() -> None:
        async with pool(sessions=2) as (sessions, made):
            for name in ("a", "b"):
                await use(sessions, "anna", name)
            with pytest.raises(SessionRefused, match="2 sessions are open"):
                await use(sessions, "anna", "c")
            oldest = sessions.hub.all()[0]
            oldest.idle_seconds, oldest.ends = 86400, time.monotonic() + 86400 - 3600
            await use(sessions, "anna", "c")
            assert sessions.names("anna") == ["b", "c"]
            assert made[0].closed.is_set()

    asyncio.run(main())


def test_two_first_calls_at_once_share_one_session() -> None:
    async def main() -> None:
        async with pool() as (sessions, made):
            await asyncio.gather(*(use(sessions, "anna", "main") for _ in range(2)))
            assert len(made) == 1

    asyncio.run(main())


def test_closing_one_ends_it_and_closing_all_refuses_new_ones() -> None:
    async def main() -> None:
        async with pool() as (sessions, made):
            await use(sessions, "anna", "main")
            assert await sessions.close_one("anna", "main")
            assert made[0].closed.is_set()
            assert not await sessions.close_one("anna", "main")
            await sessions.hub.stop()
            with pytest.raises(Exception, match="the service is ending"):
                await use(sessions, "anna", "main")

    asyncio.run(main())


def test_a_machine_that_cannot_start_the_executor_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(*args: object, **options: object) -> Told:
        raise RuntimeError("no sandbox here")

    monkeypatch.setattr("pinjra.executors.registry.create_executor", create)
    with pytest.raises(RuntimeError, match="no sandbox here"):
        serve(executor="local")

    async def main() -> None:
        async with pool(create) as (sessions, _):
            with pytest.raises(RuntimeError, match="no sandbox here"):
                await use(sessions, "anna", "main")
            assert sessions.hub.all() == []

    asyncio.run(main())
