"""A tool or managed agent -> what one run grants of it: hooks, budget, events, audit and the one deadline around every call."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import uuid
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from pinjra.agents.approval import Decision, Refuse, Replace, decided
from pinjra.agents.errors import AgentError
from pinjra.agents.memory.observation import glimpse
from pinjra.agents.memory.steps import ToolRecord
from pinjra.agents.run.state import Run
from pinjra.agents.run.waiting import OnLoop, Waits
from pinjra.core.calls import HostFunction, describe
from pinjra.core.coroutines import at_once
from pinjra.core.errors import ToolRefused
from pinjra.core.events import ToolCalled, ToolReturned
from pinjra.core.spans import span
from pinjra.tools.library.python import PythonTool


@dataclass(slots=True, kw_only=True)
class _Call:
    """One call in progress."""

    id: str
    args: tuple[object, ...]
    kwargs: dict[str, object]
    named: dict[str, object]
    started: float
    is_given_up: bool = False


class RunTool:
    """A tool as one run may call it, from any thread. A call raises what the tool raises, or:

    ToolRefused: The run is over, or a hook refused the call; the message is for the model.
    AgentError: The run was stopped meanwhile; the call is abandoned.
    TimeoutError: The tool took longer than its own `seconds`, the wait for its turn included.
    """

    def __init__(self, name: str, tool: Callable[..., object], run: Run, turn: threading.Lock) -> None:
        self._host = describe(name, tool)
        self.name = name
        self._run = run
        self._is_on_loop = run.options.loop is not None
        self._turn = turn  # calls of a tool that is not concurrent wait for each other

    def host_function(self) -> HostFunction:
        """Return what an executor needs to know of it; the deadline is held here."""
        on_loop = self._called if self._is_on_loop else None
        return replace(self._host, function=self, on_loop=on_loop, seconds=None, bind=self._bind)

    def _bind(self, result: object, method: str) -> HostFunction:
        """Return a method of one of its results, called as the tool is: with hooks, budget, events and audit."""
        made = RunTool(method, getattr(result, method), self._run, self._turn).host_function()
        return replace(made, methods=self._host.methods)

    def __call__(self, /, *args: object, **kwargs: object) -> object:
        """Return the tool's result, from a thread of the executor; an awaitable where the tool is async."""
        called: Coroutine[Any, Any, object] = self._called(*args, **kwargs)
        if self._is_on_loop and self._run.loop is not None:
            there = asyncio.run_coroutine_threadsafe(called, self._run.loop)
            return asyncio.wrap_future(there) if self._host.is_async else there.result()
        if self._host.is_async:
            return called
        return at_once(called)

    async def checked_call(self, arguments: dict[str, object]) -> object:
        """Return the result, however the tool is written; arguments are checked."""
        self._check((), arguments)
        return await self._run.waits.result(
            self._called(**arguments) if self._is_on_loop else self(**arguments)
        )

    def _check(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        if self._host.check is not None:
            self._host.check(args, kwargs)

    async def _called(self, /, *args: object, **kwargs: object) -> object:
        run, host = self._run, self._host
        # Executors run async tools on an event loop also where the run itself holds a thread.
        waits = OnLoop(run.stop, run.loop) if host.is_async else run.waits
        call = await self._begin(waits, args, kwargs)

        def facts() -> dict[str, object]:
            return {"tool": self.name, "tool_description": host.doc, "tool_type": "function", "call": call.id}

        try:
            with span("execute_tool", self.name, facts) as trace, run.current():
                trace.tell("arguments", lambda: call.named)
                value = await self._after(waits, call, await self._invoked(waits, call))
                trace.tell("result", lambda: value)
        except BaseException as error:
            call.is_given_up = True
            is_told = isinstance(error, AgentError | ToolRefused)
            self._record(call, "", str(error) if is_told else f"{type(error).__name__}: {error}")
            raise
        self._record(call, glimpse(value), "", value)
        return value

    async def _invoked(self, waits: Waits, call: _Call) -> object:
        host = self._host
        awaitable = host.function if host.is_async else getattr(host.function, "acall", None)
        if awaitable is not None and isinstance(waits, OnLoop):
            return await waits.unless_stopped(self._awaited(waits, call, awaitable), host.seconds)
        return await waits.result(await waits.call(lambda: self._in_turn(call), host.seconds))

    async def _awaited(self, waits: Waits, call: _Call, tool: Callable[..., Any]) -> object:
        if self._host.is_concurrent:
            return await waits.result(tool(*call.args, **call.kwargs))
        await waits.turn(self._turn)
        try:
            return await waits.result(tool(*call.args, **call.kwargs))
        finally:
            self._turn.release()

    def _in_turn(self, call: _Call) -> object:
        with nullcontext() if self._host.is_concurrent else self._turn:
            return None if call.is_given_up else self._host.function(*call.args, **call.kwargs)

    async def _begin(self, waits: Waits, args: tuple[object, ...], kwargs: dict[str, object]) -> _Call:
        run = self._run
        if run.is_over:  # SECURITY: a session outlives its run, and so does the guest's stub
            raise ToolRefused(f"{self.name} was granted to an earlier run; it is no tool of this one")
        run.stop.check()
        if self.name != "final_answer":
            run.meter.add("tool_calls")
        named = _named(self._host.function, args, kwargs)
        call = _Call(id=uuid.uuid4().hex[:8], args=args, kwargs=kwargs, named=named, started=time.monotonic())
        await self._approve(waits, call)
        run.emit(ToolCalled, call=call.id, name=self.name, arguments=call.named)
        run.note("tool_call", call=call.id, tool=self.name, arguments=call.named)
        return call

    async def _approve(self, waits: Waits, call: _Call) -> None:
        """Have the call allowed, refused or changed by the `before_tool` hook."""
        run = self._run
        decision = await self._decided(waits, call, run.hook("before_tool"), self.name, call.named)
        if isinstance(decision, Replace):
            if not isinstance(decision.value, dict):
                kind = type(decision.value).__name__
                raise TypeError(f"before_tool must replace arguments by a dict, not {kind}")
            self._check((), decision.value)
            call.args, call.kwargs, call.named = (), decision.value, decision.value
        if isinstance(self._host.function, PythonTool):
            decision = await self._decided(waits, call, run.hook("before_run"), call.named.get("code"))
            if isinstance(decision, Replace):
                call.args, call.kwargs = (), {"code": str(decision.value)}
                call.named = call.kwargs

    async def _decided(
        self, waits: Waits, call: _Call, hook: Callable[..., object] | None, *about: object
    ) -> Decision:
        """Return what a hook says, where there is one and it does not refuse."""
        with self._run.current():  # a hook that waits for a person can see that the run was stopped
            decision = decided(await waits.result(hook(*about, self._run.agent) if hook else None))
        if isinstance(decision, Refuse):
            self._refused(call, decision)
        return decision

    async def _after(self, waits: Waits, call: _Call, value: object) -> object:
        """Return the result as the `after_tool` hook leaves it."""
        hook = self._run.hook("after_tool")
        decision = await self._decided(waits, call, hook, self.name, call.named, value)
        return decision.value if isinstance(decision, Replace) else value

    def _refused(self, call: _Call, decision: Refuse) -> None:
        self._run.note("refusal", call=call.id, tool=self.name, arguments=call.named, reason=decision.reason)
        raise ToolRefused(f"the call of {self.name} was refused: {decision.reason}")

    def _record(self, call: _Call, shown: str, error: str, value: object = None) -> None:
        seconds = time.monotonic() - call.started
        run, name = self._run, self.name
        arguments = {key: _small(argument) for key, argument in call.named.items()}
        run.add_record(
            ToolRecord(
                call=call.id, name=name, arguments=arguments, result=shown, error=error, seconds=seconds
            )
        )
        run.emit(ToolReturned, call=call.id, name=name, value=value, error=error, seconds=seconds)
        run.note("tool_return", call=call.id, tool=name, result=shown, error=error, seconds=round(seconds, 4))


def granted(run: Run) -> dict[str, RunTool]:
    """Return everything that `run` may call."""
    return {name: RunTool(name, tool, run, run.turns[name]) for name, tool in run.callables.items()}


def _small(argument: object) -> object:
    """Return a small argument itself and a glimpse of any other: memory must not hold on to a tool's data."""
    return argument if argument is None or isinstance(argument, bool | int | float) else glimpse(argument)


def _named(
    tool: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
) -> dict[str, object]:
    """Return all arguments by name; positional ones that have no name as "args"."""
    if not args:
        return dict(kwargs)
    inputs = getattr(tool, "inputs", None)
    names = list(inputs) if isinstance(inputs, dict) else _parameters(tool)
    named: dict[str, object] = dict(zip(names, args, strict=False))
    if len(args) > len(names):
        named["args"] = args[len(names) :]
    return named | kwargs


def _parameters(tool: Callable[..., object]) -> list[str]:
    try:
        parameters = inspect.signature(tool).parameters.values()
    except (TypeError, ValueError):  # builtins without a text signature
        return []
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in plain]
