"""Calls of the guest -> host functions -> answers. The guest's part of a call is data; the function never leaves the host.

The function alone decides where and when its calls run; nothing that the worker says does. A plain function runs here and now,
on the thread that runs the guest's code, in the caller's own context, so one after the other. Concurrent functions, async ones
and those with a time limit run on threads of their own in copies of that context (where an event loop follows the run: async
ones as its tasks, all others on its threads); where such a function is not concurrent, its calls wait for their turn, also for
one that was given up and still runs.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from types import MethodType
from typing import cast

from pinjra.core.calls import HostFunction
from pinjra.core.errors import ProtocolViolation, ToolRefused
from pinjra.core.limits import Limits
from pinjra.core.redaction import redact
from pinjra.core.safe_text import printable
from pinjra.core.thread_time import thread_seconds
from pinjra.core.tool_errors import words_of
from pinjra.core.values import Opaque, drained
from pinjra.executors.session.standard_input import StandardInput
from pinjra.wire.messages import INPUT, Answer, Call, Value
from pinjra.wire.values.codec import Decoder, EncodeError, Encoder, type_name

MOST_HANDLES = 1000  # host objects that a guest may hold an Opaque of; the oldest is forgotten
MOST_THREADS = 64  # calls that run at one time; further ones wait their turn
# So many times `Limits.value_bytes` may the arguments of all calls have that wait or run apart.
MOST_VALUES = 4
MESSAGE_CHARS = 10_000  # of an exception's message


Turn = tuple[int, ...]  # what of the host a tool is


class TooManyCalls(Exception):
    """The guest used up `Limits.tool_calls`."""


class ToolClock:
    """Counts the time in which at least one tool was running: it is not the guest's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._since = 0.0
        self._total = 0.0

    def enter(self) -> None:
        """Note that a call began."""
        with self._lock:
            if self._open == 0:
                self._since = time.monotonic()
            self._open += 1

    def leave(self) -> None:
        """Note that a call ended."""
        with self._lock:
            self._open -= 1
            if self._open == 0:
                self._total += time.monotonic() - self._since

    @property
    def is_running(self) -> bool:
        """Return whether a call is open."""
        return self._open > 0

    @property
    def seconds(self) -> float:
        """Return the time so far."""
        with self._lock:
            return self._total + (time.monotonic() - self._since if self._open else 0.0)


class HostTime:
    """Counts the processor time that the host spends on a run's messages: reading, decoding, checking. The guest pays for it.

    Args:
        limit_seconds: `Limits.cpu_seconds`; None for no limit.
    """

    def __init__(self, limit_seconds: float | None) -> None:
        self._limit = limit_seconds
        self._thread = threading.get_ident()
        self._since = thread_seconds()

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Leave out what this thread does in a block: a function of the host's own."""
        began = thread_seconds()
        try:
            yield
        finally:
            if threading.get_ident() == self._thread:
                self._since += thread_seconds() - began

    @property
    def is_over(self) -> bool:
        """Return whether the limit is used up."""
        return self._limit is not None and thread_seconds() - self._since > self._limit


@dataclass(eq=False, slots=True)
class _Open:
    """A call that has begun."""

    number: int
    # that is granted: the function, or what has returned the object that it is a method of
    tool: HostFunction
    function: HostFunction
    args: tuple[object, ...]
    kwargs: dict[str, object]
    clock: ToolClock
    loop: asyncio.AbstractEventLoop | None
    turn: Turn | None  # which queue it waits in; None where the function is concurrent
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    size: int = 0  # of the arguments, about, where it waits or runs apart
    deadline: float | None = None
    cancel: Callable[[], object] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_answered: bool = False

    @property
    def is_task(self) -> bool:
        """Whether it runs on the event loop itself."""
        return self.loop is not None and (self.function.is_async or self.function.on_loop is not None)

    async def awaited(self) -> object:
        """Return what the function gives in the end, on the event loop that this is awaited on; `cancel` ends it."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            self.cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        call = (self.function.on_loop if self.loop is not None else None) or self.function.function
        return await cast("Awaitable[object]", call(*self.args, **self.kwargs))


class ToolCalls:
    """Runs the calls of one session.

    Args:
        limits: `tool_calls` of a run and `value_bytes` of an answer are held.
        answer: Sends an answer, from any thread, and drops it when its call is no longer open.
    """

    def __init__(self, limits: Limits, answer: Callable[[Answer], None]) -> None:
        self._limits = limits
        self._answer = answer
        self.functions: dict[str, HostFunction] = {}
        self.clock = ToolClock()
        self.host_time = HostTime(None)
        self.loop: asyncio.AbstractEventLoop | None = None
        self._stdin = StandardInput(b"")
        self.calls = 0
        self._handles: dict[int, object] = {}
        self._givers: dict[int, str] = {}  # of handles and records: the tool that gave them
        self._methods: dict[int, tuple[HostFunction, dict[str, HostFunction]]] = {}  # of some of these
        # Apart from these, so that a table of a thousand rows does not push a connection out.
        self._records: dict[int, object] = {}
        self._next_handle = 0
        self._lock = threading.Lock()
        self._open: set[_Open] = set()
        self._backlog: deque[_Open] = deque()
        self._turns: dict[Turn, deque[_Open]] = {}  # tool that runs now -> calls that wait for it
        self._threads = 0
        self._held_bytes = 0  # of arguments of calls that wait or run apart

    # ------------------------------------------------------------ runs

    def begin_run(
        self,
        clock: ToolClock,
        host_time: HostTime,
        loop: asyncio.AbstractEventLoop | None,
        stdin: StandardInput,
    ) -> None:
        """Count calls of a new run from 0, and their time on its clocks.

        Args:
            loop: That follows the run: async functions run there, and no others, which would hold it up.
        """
        self.calls = 0
        self.clock, self.host_time, self.loop, self._stdin = clock, host_time, loop, stdin

    def end_run(self) -> None:
        """Give up every call that is still open: its run is over and nobody waits for it."""
        with self._lock:
            given_up = list(self._open)
        for each in given_up:
            self._give_up(each, None)

    def call(self, message: Call) -> None:
        """Carry out one call; its answer is sent when it is there.

        Raises:
            TooManyCalls: The run has had all its calls (the guest's fault).
            ProtocolViolation: The arguments are no arguments (a hostile worker's).
        """
        if message.name == INPUT:
            self._give_input(message.call, self._stdin)
            return
        self.calls += 1
        if self._limits.tool_calls is not None and self.calls > self._limits.tool_calls:
            raise TooManyCalls
        decoder = Decoder(message.blobs, self.resolve)
        args, kwargs = _arguments(decoder.take(message.args), decoder.take(message.kwargs))
        granted = self.functions.get(message.name)
        tool, function = (granted, granted) if granted else self._method(message.name)
        if tool is None or function is None:
            self._answer(_no_tool(message.call, message.name))
            return
        if function.check is not None:
            try:
                function.check(args, kwargs)
            except ToolRefused as error:
                self._answer(_failure(message.call, "TypeError", str(error)))
                return
        # SECURITY: methods of what a tool has returned wait for that tool's turn: one object has many handles.
        own_turn = _turn(tool)
        turn = None if function.is_concurrent else own_turn
        each = _Open(message.call, tool, function, args, kwargs, self.clock, self.loop, turn)
        # SECURITY: the guest has no say in this: a plain tool is written for one call at a time.
        is_apart = function.is_concurrent or function.is_async or function.seconds is not None
        if is_apart or self.loop is not None or each.turn in self._turns:
            each.size = _size_of(message)
            self._start(each)
            return
        # A tool that asks for the session's files reads what the guest says meanwhile: its next calls wait for this one.
        self._turns[own_turn] = deque()
        each.clock.enter()
        try:
            answer = self._outcome(each, partial(function.function, *args, **kwargs))
        finally:
            each.clock.leave()
            self._pass_on(own_turn)
        self._answer(answer)

    def _give_input(self, call: int, stdin: StandardInput) -> None:
        """Answer with the next piece; where that may wait, on a thread, so that the run's limits hold meanwhile."""
        if not stdin.begin():
            self._answer(_failure(call, "RuntimeError", "another thread reads standard input"))
        elif stdin.may_wait:
            threading.Thread(
                target=self._answer_input, args=(call, stdin), name="pinjra-stdin", daemon=True
            ).start()
        else:
            self._answer_input(call, stdin)

    def _answer_input(self, call: int, stdin: StandardInput) -> None:
        try:
            encoder = Encoder(None, self.keep, self.number)
            answer = Answer(call=call, value=encoder.add(stdin.next_piece()), blobs=encoder.blobs)
        except Exception as error:  # whatever the caller's file raises is told to who reads it
            answer = _failure(call, type(error).__name__, _message(error))
        with suppress(Exception):  # the session ended meanwhile; its own thread says so
            self._answer(answer)

    def _method(self, name: str) -> tuple[HostFunction | None, HostFunction | None]:
        """Return the tool whose result "handle.name" is a method of, and the method, where the tool is granted and allows it."""
        handle, _, method = name.partition(".")
        is_handle = handle.isascii() and handle.isdigit() and len(handle) < 20
        found = self._methods.get(int(handle)) if is_handle else None
        # SECURITY: a tool that was taken back takes what it has returned with it.
        if found is None or found[0] not in self.functions.values():
            return None, None
        return found[0], found[1].get(method)

    def _outcome(self, each: _Open, action: Callable[[], object]) -> Answer:
        """Return the answer that says what came of `action`."""
        try:
            with self.host_time.left_out():
                result = drained(action())
        except (Exception, asyncio.CancelledError) as error:
            return _raised(each, error)
        try:
            tree, blobs = self.encoded(self._with_methods(each, result), each.tool.name)
            return Answer(call=each.number, value=tree, blobs=blobs)
        except Exception as error:  # also of a result of somebody's library that cannot be read
            why = "is too large" if isinstance(error, EncodeError) else "cannot cross"
            said = f"the answer of {each.function.name} {why}: {_message(error)}"
            return _failure(each.number, "ValueError", said)

    # ------------------------------------------------------------ on threads

    def _start(self, each: _Open) -> None:
        value_bytes = self._limits.value_bytes
        with self._lock:
            # SECURITY: a guest sends one array as often as it has calls; here each is memory until its call is over
            has_room = value_bytes is None or self._held_bytes + each.size <= MOST_VALUES * value_bytes
            self._held_bytes += each.size if has_room else 0
        if not has_room:
            why = f"arguments of calls in progress are more than {MOST_VALUES} values may be: wait for some of them"
            self._answer(_failure(each.number, "ValueError", why))
            return
        each.clock.enter()
        if each.function.seconds is not None:
            each.deadline = time.monotonic() + each.function.seconds
        with self._lock:
            self._open.add(each)
            if each.turn is not None:
                if each.turn in self._turns:
                    self._turns[each.turn].append(each)
                    return
                self._turns[each.turn] = deque()
            has_thread = self._has_thread(each)
        if has_thread:
            self._launch(each)

    def _has_thread(self, each: _Open) -> bool:
        """Count one thread more for a call; where there are too many it waits for one."""
        if self._threads >= MOST_THREADS:
            self._backlog.append(each)
            return False
        self._threads += 1
        return True

    def _launch(self, first: _Open) -> None:
        """Carry out a call where it belongs; where that is no more, the next one."""
        each: _Open | None = first
        while each is not None and not self._is_launched(each):
            self._finish(each, None)
            each = self._next(each)

    def _is_launched(self, each: _Open) -> bool:
        """Carry out a call on the event loop, on one of the loop's threads, or on a thread of its own, if that is there."""
        loop = each.loop
        try:
            if loop is None:
                threading.Thread(target=self._work, args=(each,), name="pinjra-tool", daemon=True).start()
            elif each.is_task:
                loop.call_soon_threadsafe(lambda: loop.create_task(self._await(each), context=each.context))
            else:
                loop.call_soon_threadsafe(loop.run_in_executor, None, self._work, each)
        except RuntimeError:  # the loop was closed: its runs are over, and nobody waits for an answer
            return False
        return True

    async def _await(self, each: _Open) -> None:
        if not each.is_answered:
            try:
                if (answer := self._refusal(each)) is None:
                    result = await each.awaited()
                    answer = self._outcome(each, lambda: result)
            except BaseException as error:  # told as the function's
                answer = _raised(each, error)
            self._finish(each, answer)
        following = self._next(each)
        if following is not None:
            self._launch(following)

    def _work(self, first: _Open) -> None:
        each: _Open | None = first
        while each is not None and not each.is_task:
            if not each.is_answered:
                self._finish(each, self._refusal(each) or self._carried_out(each))
            each = self._next(each)
        if each is not None:
            self._launch(each)

    def _refusal(self, each: _Open) -> Answer | None:
        """Return the answer to a call whose tool was taken back while it waited for its turn."""
        # SECURITY: a guest can have many calls wait, each of which would be carried out after the grant is gone.
        is_granted = each.tool in list(self.functions.values())
        return None if is_granted else _no_tool(each.number, each.tool.name)

    def _carried_out(self, each: _Open) -> Answer:
        action: Callable[[], object] = partial(each.function.function, *each.args, **each.kwargs)
        if each.function.is_async:
            action = lambda: asyncio.run(each.awaited())  # noqa: E731
        try:
            return each.context.run(self._outcome, each, action)
        except BaseException as error:  # a tool's SystemExit ends neither this thread nor other calls
            return _raised(each, error)

    def _next(self, done: _Open) -> _Open | None:
        """Return the call that this thread carries out after `done`: one that waits for the same function, or any."""
        with self._lock:
            self._held_bytes -= done.size
            if done.turn is not None and (waiting := self._end_turn(done.turn)) is not None:
                return waiting
            if self._backlog:
                return self._backlog.popleft()
            self._threads -= 1
            return None

    def _end_turn(self, turn: Turn) -> _Open | None:
        """Return the call that waits for a turn, which is its own now; the turn is over where there is none."""
        if self._turns[turn]:
            return self._turns[turn].popleft()
        del self._turns[turn]
        return None

    def _pass_on(self, turn: Turn) -> None:
        """Give the turn of a call without a thread to the one that waits for it."""
        with self._lock:
            following = self._end_turn(turn)
            has_thread = following is not None and self._has_thread(following)
        if following is not None and has_thread:
            self._launch(following)

    def _finish(self, each: _Open, answer: Answer | None) -> None:
        with each.lock:
            if each.is_answered:
                return
            each.is_answered = True
        with self._lock:
            self._open.discard(each)
        each.clock.leave()
        if answer is not None:
            with suppress(Exception):  # the session ended meanwhile; its own thread says so
                self._answer(answer)

    def _give_up(self, each: _Open, answer: Answer | None) -> None:
        self._finish(each, answer)
        with self._lock:
            for queue in (self._backlog, *self._turns.values()):
                if each in queue:  # it has not begun, and holds its arguments
                    queue.remove(each)
                    self._held_bytes -= each.size
                    if (
                        queue is self._backlog and each.turn is not None
                    ):  # it had its turn, and waited for a thread
                        following = self._end_turn(each.turn)
                        self._backlog += [following] if following is not None else []
                    break
        if each.cancel is not None:
            with suppress(RuntimeError):  # its loop is closed already
                each.cancel()

    def next_deadline(self) -> float | None:
        """Return when the next open call runs out of its own time."""
        if not self._open:
            return None
        with self._lock:
            return min((e.deadline for e in self._open if e.deadline is not None), default=None)

    def expire(self, now: float) -> None:
        """Answer every call whose own time is over with a `TimeoutError`."""
        if not self._open:
            return
        with self._lock:
            late = [each for each in self._open if each.deadline is not None and each.deadline <= now]
        for each in late:
            why = f"{each.function.name} took longer than {each.function.seconds} s"
            self._give_up(each, _failure(each.number, "TimeoutError", why))

    # ------------------------------------------------------------ values, and objects that stay here

    def encoded(self, value: object, giver: str = "") -> tuple[Value, tuple[bytes, ...]]:
        """Return a value as a message carries it; raise `EncodeError` when that is more than `Limits.value_bytes`.

        Args:
            giver: The tool that gave it.
        """
        keep, number = partial(self.keep, giver=giver), partial(self.number, giver=giver)
        encoder = Encoder(self._limits.value_bytes, keep, number)
        return encoder.add(value), encoder.blobs

    def keep(self, value: object, giver: str = "") -> Opaque:
        """Keep an object that cannot cross, and return what stands for it."""
        name = type_name(type(value))
        return Opaque(name, f"<{name} object of the host>", self._kept(self._handles, value, giver))

    def _with_methods(self, call: _Open, result: object) -> object:
        """Return a result with objects whose methods may be called kept here; one alone, or in a list."""
        function = call.function
        if not function.methods:
            return result
        if type(result) is list:
            return [self._with_methods(call, each) for each in result]
        methods = function.methods_of(result)
        if not methods:
            return result
        kept = self.keep(result, call.tool.name)
        with self._lock:
            # Of a method's result: that method's tool.
            roots = (root for root, own in self._methods.values() if _has(own.values(), function))
            self._methods[kept.handle] = (next(roots, function), methods)
        return replace(kept, methods=tuple(methods))

    def number(self, value: object, giver: str = "") -> int:
        """Keep an object that crosses as a record, so that it is the same object when it comes back; return its handle."""
        return self._kept(self._records, value, giver)

    def _kept(self, table: dict[int, object], value: object, giver: str) -> int:
        with self._lock:
            self._next_handle += 2  # the host's handles are even, the interpreter's odd
            table[self._next_handle] = value
            if giver:
                self._givers[self._next_handle] = giver
            if len(table) > MOST_HANDLES:
                oldest = next(iter(table))
                del table[oldest]
                self._methods.pop(oldest, None)
                self._givers.pop(oldest, None)
            return self._next_handle

    def resolve(self, opaque: Opaque) -> object:
        """Return the object that `opaque` stands for when it is ours, else `opaque`."""
        # SECURITY: a tool that was taken back takes its objects along: others would show the guest what it may not ask for.
        if not opaque.handle or self._givers.get(opaque.handle) not in (None, *self.functions):
            return opaque
        return self._handles.get(opaque.handle, self._records.get(opaque.handle, opaque))

    def inherit(self, parent: ToolCalls) -> None:
        """Run what `parent` runs, and know the objects that the guest of a forked session holds."""
        self.functions.update(parent.functions)
        with parent._lock:
            self._handles.update(parent._handles)
            self._givers.update(parent._givers)
            self._methods.update(parent._methods)
            self._records.update(parent._records)
            self._next_handle = parent._next_handle

    def forget_objects(self) -> None:
        """Keep no object of the host any longer: their numbers are easily guessed by a guest that was never given them."""
        with self._lock:
            for table in (self._handles, self._givers, self._methods, self._records):
                table.clear()

    def close(self) -> None:
        """Give up everything."""
        self.forget_objects()
        self.end_run()


def _arguments(args: object, kwargs: object) -> tuple[tuple[object, ...], dict[str, object]]:
    if type(args) not in (list, tuple) or type(kwargs) is not dict:
        raise ProtocolViolation(f"a call has arguments of {type(args)} and {type(kwargs)}")
    if not all(type(name) is str for name in kwargs):
        raise ProtocolViolation("a call has an argument whose name is no text")
    return tuple(cast("list[object]", args)), kwargs


def _size_of(call: Call) -> int:
    """Return about how many bytes the arguments of a call have."""
    size, parts = sum(map(len, call.blobs)), [call.args, call.kwargs]
    while parts:
        part = parts.pop()
        size += len(part) if isinstance(part, str) else 16
        if isinstance(part, list):
            parts += part
        elif isinstance(part, dict):
            parts += [*part, *part.values()]
    return size


def _turn(tool: HostFunction) -> Turn:
    """Return what says whether two tools are one function; a bound method is made anew whenever it is asked for."""
    function = tool.function
    if isinstance(function, MethodType):
        return id(function.__self__), id(function.__func__)
    return (id(function),)


def _has(functions: Iterable[HostFunction], wanted: HostFunction) -> bool:
    return any(each is wanted for each in functions)


def _raised(each: _Open, error: BaseException) -> Answer:
    # SECURITY: type and message only; the traceback, its frames and chained errors stay on the host.
    return _failure(each.number, type(error).__name__, _message(error))


def _failure(call: int, kind: str, message: str) -> Answer:
    error_type = printable(kind[:200])[:200] or "Exception"
    return Answer(call=call, error_type=error_type, error_message=message[:MESSAGE_CHARS])


def _no_tool(call: int, name: str) -> Answer:
    return _failure(call, "NameError", f"there is no tool {name[:100]!r}")


def _message(error: BaseException) -> str:
    try:
        # SECURITY: a database's or a service's own words hold its address, with the password. Masked before it is cut.
        return printable(redact(words_of(error)[: 2 * MESSAGE_CHARS])[:MESSAGE_CHARS])
    except Exception:  # an exception class with a broken __str__
        return ""
