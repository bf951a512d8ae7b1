"""Checks: a sandbox side that lies. Every lie is a typed error, at once, without an effect on the host."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources

from pinjra.core.errors import ProtocolViolation, SessionLost
from pinjra.executors.base import PythonExecutor
from pinjra.executors.bootstrap.first_bytes import substituted
from pinjra.executors.bootstrap.worker_zip import worker_zip
from pinjra.executors.conformance.liar import LIES
from pinjra.executors.conformance.suite import CheckFailed, NotHere, check, expect, value_of
from pinjra.executors.session.executor import SessionExecutor

_LIAR = "pinjra.executors.conformance.liar"

# Guest code without the guard, in plain CPython: it finds the worker's stream and writes on it what it likes.
_FORGE = """
import gc
gc.unfreeze()
for found in gc.get_objects():
    if type(found).__name__ in ('Channel', 'Line') and type(found).__module__.startswith('pinjra.worker'):
        found._stream.sendall(DATA)
"""
_FORGED = {
    "no frame": b"\x00\xff no frame\n",
    "control message": b'["g","Lost",{"cause":"wall","detail":"","kill":0,"rolled_back":true,"usage":{}}]\n',
    "unknown kind": b'["g","Obey",{}]\n',
    "too long": b"x" * ((1 << 20) + 2),
}


@check()
def lies_of_a_worker_end_the_session_by_name_and_touch_nothing(executor: PythonExecutor) -> None:
    session, touched = _session(executor), _touched(executor)
    with _lying(session):
        for lie in LIES:
            _replace_worker(session)
            before = len(touched)
            _expect_violation(session, lie)
            expect(len(touched) - before, int(lie == "same call twice"), f"calls after {lie!r}")
    session.reset()
    expect(value_of(session, "touch(5)"), 5, "after reset()")


@check()
def frames_that_are_replayed_and_calls_that_are_not_granted_have_no_effect(executor: PythonExecutor) -> None:
    session, touched = _session(executor), _touched(executor)
    with _lying(session):
        _replace_worker(session)
        expect(value_of(session, "same frame twice"), "done")
        expect(touched, [1])
        expect(value_of(session, "tool that was not granted"), "NameError")
        expect(value_of(session, "tool with wrong arguments"), "TypeError")
        expect(touched, [1])
    _lose(session)
    session.reset()
    expect(value_of(session, "1 + 1"), 2)


@check()
def guest_code_that_writes_on_the_workers_own_stream_forges_nothing(executor: PythonExecutor) -> None:
    session, touched = _stream(executor), _touched(executor)
    session.guard, session.spares = False, 0
    for name, data in _FORGED.items():
        _replace_worker(session)
        try:
            done = session.run(f"DATA = {data!r}" + _FORGE if len(data) < 1000 else _long(data) + _FORGE)
        except (ProtocolViolation, SessionLost):
            continue
        if done.error is None:
            raise CheckFailed(f"{name!r} was taken for {done.value!r}")
    session.guard = True
    _replace_worker(session)
    expect(value_of(session, "1 + 1"), 2)
    expect(touched, [])


def _long(data: bytes) -> str:
    return f"DATA = {data[:1]!r} * {len(data)}"


def _session(executor: PythonExecutor) -> SessionExecutor:
    session = _stream(executor)
    if any(base.__name__ == "WasmExecutor" for base in type(session).__mro__):
        raise NotHere("the supervisor of WebAssembly is a part of the host")
    return session


def _stream(executor: PythonExecutor) -> SessionExecutor:
    if not isinstance(executor, SessionExecutor):
        raise NotHere("there is no stream")
    executor.spares = 0  # a worker that is replaced by another kind is not one that was ready
    return executor


def _touched(executor: PythonExecutor) -> list[object]:
    """Grant `touch`, which notes its calls, and `plain`, which takes nothing; return the notes."""
    touched: list[object] = []

    def touch(value: int) -> int:
        touched.append(value)
        return value

    def plain() -> None:
        touched.append("plain")

    executor.send_tools({"touch": touch, "plain": plain})
    return touched


@contextmanager
def _lying(session: SessionExecutor) -> Iterator[None]:
    """Sessions that are started in here get the liar for a worker."""
    source = resources.files("pinjra").joinpath("executors", "conformance", "liar.py").read_bytes()
    honest, spares = None, session.spares
    session.spares = 0  # a ready session would be an honest one
    if sys.platform == "linux":
        from pinjra.executors.jail import JailExecutor
        from pinjra.executors.local import LocalPythonExecutor

        if isinstance(session, (JailExecutor, LocalPythonExecutor)):
            honest = session._config
            session._config = replace(honest, serve=f"{_LIAR}:serve", preload=())
    try:
        with substituted(worker_zip(source)):
            yield
    finally:
        session.spares = spares
        if honest is not None:
            session._config = honest  # type: ignore[attr-defined]


def _replace_worker(session: SessionExecutor) -> None:
    _lose(session)
    session.reset()


def _lose(session: SessionExecutor) -> None:
    session._connection.note_loss(SessionLost("replaced by the conformance suite"))


def _expect_violation(session: SessionExecutor, lie: str) -> None:
    try:
        done = session.run(lie)
    except ProtocolViolation:
        pass
    else:
        raise CheckFailed(f"{lie!r} was taken for {done.value!r}, {done.error}")
    try:
        session.run("1")
    except SessionLost:
        return
    raise CheckFailed(f"the session went on after {lie!r}")
