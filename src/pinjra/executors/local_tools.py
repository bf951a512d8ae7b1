"""Tool calls inside one process: guest values -> plain copies -> the host's function -> plain copies."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

from pinjra.core.calls import HostFunction
from pinjra.core.errors import ToolRefused
from pinjra.core.execution import Cause
from pinjra.core.tool_errors import guest_exception
from pinjra.core.values import Opaque
from pinjra.executors.session.safe_text import printable
from pinjra.guard.audit import guest_running, host_section
from pinjra.guard.errors import GuestStop
from pinjra.wire.values.codec import EncodeError, ValueLimits, decode, encode, type_name

if TYPE_CHECKING:
    from pinjra.executors.local import LocalPythonExecutor

__all__ = ["LocalBridge", "ToolStub"]

_REPR_CHARACTERS = 10_000
MOST_HANDLES = 1000  # host objects that a guest may hold an Opaque of; the oldest is forgotten


class ToolStub:
    """What guest code holds instead of a tool. Private names of host objects are refused, so `_invoke` is out of reach."""

    __slots__ = ("_doc", "_invoke", "_name")

    def __init__(self, name: str, doc: str, invoke: Callable[..., object]) -> None:
        self._name = name
        self._doc = doc
        self._invoke = invoke

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Ask the host."""
        return self._invoke(args, kwargs)

    @property
    def __name__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"<tool {self._name}>"

    def __copy__(self) -> ToolStub:
        return self

    def __deepcopy__(self, memo: object) -> ToolStub:
        return self

    def __reduce__(self) -> str:
        raise TypeError("a tool cannot be pickled")


def _describe(value: object) -> Opaque:
    """Return what stands for `value`. Its `__repr__` is guest code: only called while the run, with its limits, is open."""
    name = type_name(type(value))
    try:
        shown = str.__str__(repr(value))[:_REPR_CHARACTERS]
    except (GuestStop, MemoryError):
        raise
    except BaseException as error:  # guest code raises what it likes
        shown = f"<{name} object; its repr raised {type_name(type(error))}>"
    return Opaque(name, printable(shown))


class LocalBridge:
    """Runs the calls of one local executor."""

    def __init__(self, executor: LocalPythonExecutor) -> None:
        self._executor = executor
        self._limits = ValueLimits(value_bytes=executor.limits.value_bytes)
        self._handles: dict[int, object] = {}
        self._next_handle = 0
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self.calls = 0

    def begin_run(self) -> None:
        """Count the calls of a new run from 0."""
        self.calls = 0

    def stub(self, function: HostFunction) -> ToolStub:
        """Return what the guest gets for `function`."""

        def invoke(args: tuple[object, ...], kwargs: dict[str, object]) -> object:
            arguments = self._prepare(function, args, kwargs)
            if function.is_async:
                return self._call_async(function, *arguments)
            return self._call(function, *arguments)

        return ToolStub(function.name, function.doc, invoke)

    def to_host(self, value: object) -> object:
        """Return a copy of a guest's value for the host; what cannot cross becomes `Opaque`, a handle its object.

        Raises:
            EncodeError: It is beyond the limits (the guest's fault).
        """
        if type(value) in (int, str, float, bool, type(None)) and (
            type(value) is not str or len(value) < 1000
        ):
            return value
        return decode(*encode(value, self._limits, _describe), resolve=self._resolve)

    def _to_guest(self, value: object) -> object:
        return decode(*encode(value, self._limits, self._keep))

    def _keep(self, value: object) -> Opaque:
        with self._lock:
            self._next_handle += 1
            self._handles[self._next_handle] = value
            if len(self._handles) > MOST_HANDLES:
                del self._handles[next(iter(self._handles))]
            return Opaque(
                type_name(type(value)), f"<{type_name(type(value))} object of the host>", self._next_handle
            )

    def _resolve(self, opaque: Opaque) -> object:
        return self._handles.get(opaque.handle, opaque) if opaque.handle else opaque

    def _prepare(
        self, function: HostFunction, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """Count, copy and check the arguments of a call, or raise what the guest shall see."""
        limit = self._executor.limits.tool_calls
        if limit is not None and self.calls >= limit:
            raise GuestStop(Cause.TOOL_CALLS, f"more than {limit} tool calls in one run")
        self.calls += 1
        try:
            with guest_running():  # SECURITY: a `__repr__` is guest code, also on its way into a tool
                plain_args = tuple(self.to_host(a) for a in args)
                plain_kwargs = {str.__str__(k): self.to_host(v) for k, v in kwargs.items()}
        except EncodeError as error:
            raise guest_exception("ValueError", f"{function.name}: {error}") from None
        if function.check is not None:
            try:
                function.check(plain_args, plain_kwargs)
            except ToolRefused as error:
                raise guest_exception("TypeError", str(error)) from None
        return plain_args, plain_kwargs

    def _call(self, function: HostFunction, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        watch = self._executor._watch
        if watch is None:
            raise GuestStop(Cause.HOST, "a tool was called outside a run")
        with watch.tool(inline=True), host_section(), self._executor._interpreter.outside():
            result = self._guarded(function, lambda: self._within_time(function, args, kwargs))
        if watch.cause is not None:  # interrupted while the tool ran
            self._executor._interpreter.stop(watch.cause)
        return result

    def _within_time(
        self, function: HostFunction, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        """Call on this thread; with a time limit of its own, on another, which is given up when the time is over."""
        if function.seconds is None:
            return function.function(*args, **kwargs)
        context = contextvars.copy_context()
        future = self._threads().submit(context.run, lambda: function.function(*args, **kwargs))
        try:
            return future.result(function.seconds)
        except TimeoutError:
            if future.done():
                raise  # the tool's own
            raise TimeoutError(f"{function.name} took longer than {function.seconds} s") from None

    def _guarded(self, function: HostFunction, call: Callable[[], object]) -> object:
        """Return a copy of the call's result, or raise its failure as type and message only."""
        try:
            result = call()
        except Exception as error:
            failure = guest_exception(type(error).__name__, printable(str(error))[:10_000])
        else:
            try:
                return self._to_guest(result)
            except EncodeError as error:
                failure = guest_exception(
                    "ValueError", f"the answer of {function.name} is too large: {error}"
                )
        raise failure

    def _call_async(
        self, function: HostFunction, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> Awaitable[object]:
        """Start the call at once on a thread of its own; return what the guest awaits."""
        watch = self._executor._watch
        with self._executor._interpreter.outside():
            context = contextvars.copy_context()

        async def awaited() -> object:
            result = cast("Coroutine[object, object, object]", function.function(*args, **kwargs))
            return await asyncio.wait_for(result, function.seconds)

        def work() -> object:
            if watch is None:
                raise RuntimeError("a tool was called outside a run")
            with watch.tool(inline=False):
                return self._guarded(function, lambda: asyncio.run(awaited()))

        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()

        def settle(done: Future[object]) -> None:
            if not future.done():
                error = done.exception()
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(done.result())

        def finished(done: Future[object]) -> None:
            with contextlib.suppress(RuntimeError):  # the guest's loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, done)

        with host_section():
            self._threads().submit(context.run, work).add_done_callback(finished)
        return future

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(64, thread_name_prefix="pinjra-tool")
        return self._pool

    def close(self) -> None:
        """Let idle threads end and forget the handles."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._handles.clear()
