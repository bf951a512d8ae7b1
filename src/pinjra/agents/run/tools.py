"""A tool or managed agent -> what one run grants of it: hooks, budget, events and audit around every call."""

from __future__ import annotations

import inspect
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from pinjra.agents.approval import Refuse, Replace, decided
from pinjra.agents.errors import AgentBudgetError, AgentError
from pinjra.agents.memory.observation import glimpse
from pinjra.agents.memory.steps import ToolRecord
from pinjra.agents.run.state import Run
from pinjra.agents.run.waiting import abandonable, await_or_stop
from pinjra.core.calls import describe
from pinjra.core.errors import ToolRefused
from pinjra.core.events import ToolCalled, ToolReturned

__all__ = ["GrantedTool", "grant_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call in progress."""

    id: str
    args: tuple[object, ...]
    kwargs: dict[str, object]
    named: dict[str, object]
    started: float


class GrantedTool:
    """A tool as one run may call it. Any thread may call it, several at once.

    Calling it raises what the tool raises, or:
        ToolRefused: A hook refused the call; the message is for the model.
        AgentError: The run was stopped meanwhile; the call is abandoned.
        TimeoutError: The tool took longer than its own `seconds`.
    """

    def __init__(self, name: str, tool: Callable[..., object], run: Run) -> None:
        host = describe(name, tool)
        self.name = name
        self.description = host.doc
        self.is_async = host.is_async
        self.concurrent = host.is_concurrent
        self.seconds = host.seconds
        self._check = host.check
        self._tool = tool
        self._run = run

    def check_arguments(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Raise `ToolRefused` where the arguments do not fit the tool."""
        if self._check is not None:
            self._check(args, kwargs)

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Return the tool's result; an awaitable where the tool is async."""
        if self.is_async:
            return self._call_async(args, kwargs)
        call = self._begin(args, kwargs)
        try:
            value = abandonable(lambda: self._invoke(call), self._run.stop, self.seconds)
            value = self._after(call, value)
        except BaseException as error:
            self._failed(call, error)
            raise
        self._succeeded(call, value)
        return value

    def call_blocking(self, arguments: dict[str, object]) -> object:
        """Return the result in this thread, also of an async tool."""
        if not self.is_async:
            return self(**arguments)
        return self._run.resolve(self(**arguments))

    async def _call_async(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        call = self._begin(args, kwargs)
        try:
            with self._run.current():
                value = self._tool(*call.args, **call.kwargs)
                if inspect.isawaitable(value):
                    value = await await_or_stop(value, self._run.stop, self.seconds)
            value = self._after(call, value)
        except BaseException as error:
            self._failed(call, error)
            raise
        self._succeeded(call, value)
        return value

    def _invoke(self, call: _Call) -> object:
        with self._run.current():
            return self._run.resolve(self._tool(*call.args, **call.kwargs))

    def _begin(self, args: tuple[object, ...], kwargs: dict[str, object]) -> _Call:
        run = self._run
        run.stop.check()
        try:
            run.meter.add_tool_call()
        except AgentBudgetError as error:
            run.stop.set(error)
            run.note("limit", limit=error.kind, message=str(error))
            raise
        call = _Call(
            id=uuid.uuid4().hex[:8],
            args=args,
            kwargs=kwargs,
            named=_named(self._tool, args, kwargs),
            started=time.monotonic(),
        )
        call = self._approved(call)
        run.emit(ToolCalled, call=call.id, name=self.name, arguments=call.named)
        run.note("tool_call", call=call.id, tool=self.name, arguments=call.named)
        return call

    def _approved(self, call: _Call) -> _Call:
        """Return the call as the `before_tool` hook allows it."""
        hook = self._run.hook("before_tool")
        answer = hook(self.name, call.named, self._run.agent) if hook else None
        decision = decided(self._run.resolve(answer))
        if isinstance(decision, Refuse):
            self._refused(call, decision)
        if not isinstance(decision, Replace):
            return call
        if not isinstance(decision.value, dict):
            raise TypeError(
                f"before_tool must replace arguments by a dict, not {type(decision.value).__name__}"
            )
        self.check_arguments((), decision.value)
        return replace(call, args=(), kwargs=decision.value, named=decision.value)

    def _after(self, call: _Call, value: object) -> object:
        """Return the result as the `after_tool` hook leaves it."""
        hook = self._run.hook("after_tool")
        answer = hook(self.name, call.named, value, self._run.agent) if hook else None
        decision = decided(self._run.resolve(answer))
        if isinstance(decision, Refuse):
            self._refused(call, decision)
        return decision.value if isinstance(decision, Replace) else value

    def _refused(self, call: _Call, decision: Refuse) -> None:
        self._run.note("refusal", call=call.id, tool=self.name, arguments=call.named, reason=decision.reason)
        raise ToolRefused(f"the call of {self.name} was refused: {decision.reason}")

    def _failed(self, call: _Call, error: BaseException) -> None:
        message = (
            str(error) if isinstance(error, AgentError | ToolRefused) else f"{type(error).__name__}: {error}"
        )
        self._record(call, "", message)

    def _succeeded(self, call: _Call, value: object) -> None:
        self._record(call, glimpse(value), "", value)

    def _record(self, call: _Call, shown: str, error: str, value: object = None) -> None:
        seconds = time.monotonic() - call.started
        run = self._run
        shown_arguments = {name: _kept(argument) for name, argument in call.named.items()}
        run.add_record(
            ToolRecord(
                call=call.id,
                name=self.name,
                arguments=shown_arguments,
                result=shown,
                error=error,
                seconds=seconds,
            )
        )
        run.emit(ToolReturned, call=call.id, name=self.name, value=value, error=error, seconds=seconds)
        run.note(
            "tool_return", call=call.id, tool=self.name, result=shown, error=error, seconds=round(seconds, 4)
        )


def grant_all(tools: dict[str, Callable[..., object]], run: Run) -> dict[str, GrantedTool]:
    """Return every tool as `run` may call it."""
    return {name: GrantedTool(name, tool, run) for name, tool in tools.items()}


def _kept(argument: object) -> object:
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
