"""The sessions of a server: bounded, shared by name, closed when idle and at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pinjra.executors.local import LocalPythonExecutor
from pinjra.server.sessions import SessionRefused, Sessions


class Told(LocalPythonExecutor):
    """Says when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = threading.Event()

    def close(self) -> None:
        super().close()
        self.closed.set()


@contextmanager
def pool(**options: Any) -> Iterator[tuple[Sessions, list[Told]]]:
    made: list[Told] = []

    def create() -> Told:
        made.append(Told())
        return made[-1]

    sessions = Sessions(create, **options)
    try:
        yield sessions, made
    finally:
        sessions.close()
    assert all(executor.closed.is_set() for executor in made)


def test_a_session_keeps_its_state_for_its_owner_only() -> None:
    with pool() as (sessions, made):
        with sessions.use("anna", "main") as session:
            assert session.is_new
            session.executor.run("x = 5")
        with sessions.use("anna", "main") as session:
            assert not session.is_new
            assert session.executor.run("x").value == 5
        with sessions.use("bert", "main") as session:
            assert session.is_new
            assert session.executor.run("x").error is not None
        assert (sessions.names("anna"), sessions.names("bert"), len(made)) == (["main"], ["main"], 2)


def test_an_idle_session_is_closed() -> None:
    with pool(idle_seconds=0.02) as (sessions, made):
        with sessions.use("anna", "main"):
            pass
        assert made[0].closed.wait(20)
        with (
            pytest.raises(SessionRefused, match="there is no session 'main'"),
            sessions.use_open("anna", "main"),
        ):
            pass


def test_a_session_in_use_is_never_idle() -> None:
    with pool(idle_seconds=0.02) as (sessions, made):
        with sessions.use("anna", "busy"), sessions.use("anna", "other"):
            pass
        with sessions.use("anna", "busy") as session:
            first = made[0]
            if session.executor is first:  # not closed before we came back
                assert made[1].closed.wait(20)
                assert not first.closed.is_set()


def test_a_session_used_long_ago_makes_room_and_a_fresh_one_does_not() -> None:
    with pool(most=2) as (sessions, made):
        for name in ("a", "b"):
            with sessions.use("anna", name):
                pass
        with pytest.raises(SessionRefused, match="2 sessions are open"), sessions.use("anna", "c"):
            pass
        with sessions.use("anna", "a") as session:
            pass
        session.used_seconds = time.monotonic() - 3600
        with sessions.use("anna", "c"):
            pass
        assert sessions.names("anna") == ["b", "c"]
        assert made[0].closed.is_set()


def test_two_first_calls_at_once_share_one_session() -> None:
    both = threading.Barrier(2)
    made: list[Told] = []

    def create() -> Told:
        both.wait(20)
        made.append(Told())
        return made[-1]

    sessions = Sessions(create)
    used: list[Any] = []

    def call() -> None:
        with sessions.use("anna", "main") as session:
            used.append(session)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert used[0] is used[1]
    assert sorted(executor.closed.is_set() for executor in made) == [False, True]
    sessions.close()
    assert all(executor.closed.is_set() for executor in made)


def test_closing_one_ends_it_and_closing_all_refuses_new_ones() -> None:
    with pool() as (sessions, made):
        with sessions.use("anna", "main"):
            pass
        assert sessions.close_one("anna", "main")
        assert made[0].closed.is_set()
        assert not sessions.close_one("anna", "main")
        sessions.close()
        with pytest.raises(SessionRefused, match="the server is closing"), sessions.use("anna", "main"):
            pass


def test_the_executor_started_at_the_beginning_is_the_first_sessions() -> None:
    with pool() as (sessions, made):
        sessions.warm_up()
        with sessions.use("anna", "main") as session:
            assert session.executor is made[0]
        assert len(made) == 1


def test_a_machine_that_cannot_start_the_executor_is_told_at_once() -> None:
    def create() -> LocalPythonExecutor:
        raise RuntimeError("no sandbox here")

    sessions = Sessions(create)
    with pytest.raises(RuntimeError, match="no sandbox here"):
        sessions.warm_up()
    with pytest.raises(RuntimeError, match="no sandbox here"), sessions.use("anna", "main"):
        pass
    sessions.close()
