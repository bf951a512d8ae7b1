"""How a run waits and is stopped: `run` holds its thread, `arun` none. The loop of an agent is written once, over these two.

A thread cannot be killed in Python, so an abandoned call may go on until it returns by itself; nobody listens to it then.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, cast

from pinjra.agents.errors import AgentError
from pinjra.core.coroutines import at_once

_INSIST_SECONDS = 0.5  # longer than the grace an executor gives before it kills
_TURN_SECONDS = 0.02  # what waits for a lock of threads looks so often whether it is free, or the run stopped
_LEAVE_SECONDS = 10.0  # until runs below a stopped one have put their sessions away

T = TypeVar("T")
Action = Callable[[], Coroutine[Any, Any, T]]


class Stop:
    """Why a run must end, or None yet.

    What waits registers a callback that ends the waiting (`executor.interrupt`, waking a queue); so nothing polls.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: AgentError | None = None
        self._callbacks: dict[int, Callable[[], object]] = {}
        self._next = 0

    @property
    def reason(self) -> AgentError | None:
        """Return the first reason that was set."""
        return self._reason

    def set(self, reason: AgentError) -> None:
        """Stop for `reason`; later reasons are ignored."""
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback()

    def check(self) -> None:
        """Raise the reason when there is one.

        Raises:
            AgentInterrupted: `interrupt()` was called.
            AgentBudgetError: A budget is used up.
        """
        if self._reason is not None:
            raise self._reason

    @contextmanager
    def calling(self, callback: Callable[[], object]) -> Iterator[None]:
        """Call `callback` when the flag is set inside the block; at once when it is set already."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._callbacks[number] = callback
            late = self._reason is not None
        try:
            if late:
                callback()
            yield
        finally:
            with self._lock:
                del self._callbacks[number]


class Waits:
    """What takes time in a run, and how `run` waits for it: it holds its thread. Calls that may have to be abandoned are made on
    helper threads: one, where the run makes one call at a time.

    Args:
        loop: Of an `arun` above, where awaitables of its hooks and tools belong.
    """

    def __init__(self, stop: Stop, loop: asyncio.AbstractEventLoop | None) -> None:
        self._stop = stop
        self._loop = loop
        self._lock = threading.Lock()
        self._idle: list[queue.SimpleQueue[Callable[[], None] | None]] = []
        self._is_closed = False

    async def call(self, function: Callable[[], T], seconds: float | None = None) -> T:
        """Return `function()`, called in a copy of this context, unless it has to be abandoned.

        Raises:
            AgentError: The stop flag was set meanwhile.
            TimeoutError: It took longer than `seconds`.
        """
        return self._called(function, seconds, self._stop)

    def _called(self, function: Callable[[], T], seconds: float | None, stop: Stop) -> T:
        # What gives the result or raises; None: stopped.
        done: queue.SimpleQueue[Callable[[], T] | None] = queue.SimpleQueue()
        jobs = self._free()
        context = contextvars.copy_context()

        def work() -> None:
            outcome: Callable[[], T]
            try:
                value = context.run(function)
            except BaseException as error:  # handed to the waiting thread, whatever it is
                outcome = partial(_raise, error)
            else:
                outcome = lambda: value  # noqa: E731
            self._put_back(jobs)  # before the caller goes on, who may have the next call for it
            done.put(outcome)

        jobs.put(work)
        with stop.calling(lambda: done.put(None)):
            try:
                outcome = done.get(timeout=seconds)
            except queue.Empty:
                raise TimeoutError(f"no answer after {seconds:g} s") from None
        if outcome is None:
            stop.check()
            raise RuntimeError("unreachable: a stop has a reason")
        return outcome()

    async def do(self, function: Callable[[], T]) -> T:
        """Return `function()`, which is never abandoned: what it opens must be found and closed."""
        return function()

    async def result(self, value: T | Awaitable[T]) -> T:
        """Return `value`; where it is awaitable, what it gives: on the loop of `arun`, else on a loop of its own."""
        if not inspect.isawaitable(value):
            return value
        waiting = _awaited(cast("Awaitable[T]", value))
        if self._loop is not None and self._loop.is_running():
            return asyncio.run_coroutine_threadsafe(waiting, self._loop).result()
        # On a thread: this one may have a loop that runs, and where it has none, asyncio.run() makes a wish to cancel of Ctrl-C,
        # of which a callback that blocks hears nothing. No stop abandons it: what a run ends with is called back too.
        return self._called(lambda: asyncio.run(waiting), None, Stop())

    async def all(self, actions: Sequence[Action[T]], most: int) -> list[T]:
        """Return what each gives, in their order; `most` of them at the same time."""
        if len(actions) == 1:
            return [await actions[0]()]
        with ThreadPoolExecutor(min(most, len(actions)), thread_name_prefix="pinjra-calls") as pool:
            contexts = [contextvars.copy_context() for _ in actions]
            return list(pool.map(lambda own, action: own.run(lambda: at_once(action())), contexts, actions))

    async def turn(self, lock: threading.Lock) -> None:
        """Have the lock.

        Raises:
            AgentError: The stop flag was set meanwhile.
        """
        while not lock.acquire(timeout=_TURN_SECONDS):
            self._stop.check()

    async def until(self, event: threading.Event) -> None:
        """Wait for an event of threads, ten seconds at most."""
        event.wait(_LEAVE_SECONDS)

    def later(self, seconds: float, function: Callable[[], object]) -> Callable[[], None]:
        """Call `function` when the time is over; return what prevents it."""
        timer = threading.Timer(seconds, function)
        timer.daemon = True
        timer.start()
        return timer.cancel

    def close(self) -> None:
        """End what waits for calls; those that were abandoned end when they return."""
        with self._lock:
            self._is_closed = True
            for jobs in self._idle:
                jobs.put(None)

    def _free(self) -> queue.SimpleQueue[Callable[[], None] | None]:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=_work, args=(jobs,), name="pinjra-call", daemon=True).start()
        return jobs

    def _put_back(self, jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
        with self._lock:
            if self._is_closed:
                jobs.put(None)
            else:
                self._idle.append(jobs)


class OnLoop(Waits):
    """How `arun` waits, and an async tool: on the event loop; what blocks is done by one of the loop's threads.

    Args:
        loop: Where awaitables of hooks and tools belong; None: wherever this waits.
    """

    async def call(self, function: Callable[[], T], seconds: float | None = None) -> T:
        return await self.unless_stopped(asyncio.to_thread(function), seconds)

    async def unless_stopped(self, awaitable: Awaitable[T], seconds: float | None = None) -> T:
        """Return the awaitable's result; cancel it when the stop flag is set or the time is over. Raises as `call`."""
        loop = asyncio.get_running_loop()
        task: asyncio.Future[T] = asyncio.ensure_future(awaitable)
        stopped: asyncio.Future[T] = loop.create_future()
        try:
            with self._stop.calling(lambda: loop.call_soon_threadsafe(stopped.cancel)):
                await asyncio.wait({task, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            self._stop.check()
            raise TimeoutError(f"no answer after {seconds:g} s")
        finally:
            task.cancel()
            stopped.cancel()

    async def do(self, function: Callable[[], T]) -> T:
        working = asyncio.ensure_future(asyncio.to_thread(function))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait({working})
            raise

    async def result(self, value: T | Awaitable[T]) -> T:
        if not inspect.isawaitable(value):
            return value
        awaitable = cast("Awaitable[T]", value)
        if self._loop is None or self._loop is asyncio.get_running_loop():
            return await awaitable
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop))

    async def all(self, actions: Sequence[Action[T]], most: int) -> list[T]:
        places = asyncio.Semaphore(most)

        async def one(action: Action[T]) -> T:
            async with places:
                return await action()

        return await asyncio.gather(*map(one, actions))

    async def turn(self, lock: threading.Lock) -> None:
        while not lock.acquire(blocking=False):
            self._stop.check()
            await asyncio.sleep(_TURN_SECONDS)

    async def until(self, event: threading.Event) -> None:
        for _ in range(int(_LEAVE_SECONDS / _TURN_SECONDS)):
            if event.is_set():
                return
            await asyncio.sleep(_TURN_SECONDS)

    def later(self, seconds: float, function: Callable[[], object]) -> Callable[[], None]:
        return asyncio.get_running_loop().call_later(seconds, function).cancel


def waits_of(
    stop: Stop, driver: asyncio.AbstractEventLoop | None, above: asyncio.AbstractEventLoop | None = None
) -> Waits:
    """Return how a run waits.

    Args:
        driver: The loop that drives it; None: it holds a thread.
        above: The loop of an `arun` above a run that holds a thread.
    """
    return OnLoop(stop, driver) if driver is not None else Waits(stop, above)


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _work(jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        job()


def _raise(error: BaseException) -> Any:
    raise error


@contextmanager
def interrupting(interrupt: Callable[[], object], stop: Stop) -> Iterator[None]:
    """Call `interrupt` when the stop flag is set inside the block, again and again until the block is left.

    Once is not enough: the flag may be set just before the code begins to run, when there is nothing to interrupt yet.
    """
    left = threading.Event()
    gate = threading.Lock()
    threads: list[threading.Thread] = []

    def insist() -> None:
        interrupt()
        while not left.wait(_INSIST_SECONDS):
            interrupt()

    def begin() -> None:
        with gate:
            if not left.is_set():
                threads.append(threading.Thread(target=insist, name="pinjra-interrupt", daemon=True))
                threads[-1].start()

    try:
        with stop.calling(begin):
            stop.check()
            yield
    finally:
        with gate:
            left.set()
        for thread in threads:
            thread.join()  # so that no late interrupt meets the next run
