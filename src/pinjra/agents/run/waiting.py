"""Blocking calls that can be abandoned: a helper thread works, the caller waits for it, the stop flag or a deadline.

A thread cannot be killed in Python, so an abandoned call may go on until it returns by itself; nobody listens to it then.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from pinjra.agents.run.stop import Stop

__all__ = ["Helpers", "await_or_stop", "interrupting"]

_INSIST_SECONDS = 0.5  # longer than the grace an executor gives before it kills

T = TypeVar("T")


class Helpers:
    """Threads that make the blocking calls of one run: one, where it makes one call at a time. They end with the run."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._lock = threading.Lock()
        self._idle: list[queue.SimpleQueue[Callable[[], None] | None]] = []
        self._is_closed = False

    def call(self, function: Callable[[], T], seconds: float | None = None) -> T:
        """Return `function()`, run on a helper thread in a copy of this context.

        Raises:
            AgentError: The stop flag was set meanwhile; the call is abandoned.
            TimeoutError: It took longer than `seconds`; the call is abandoned.
        """
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
        with self._stop.calling(lambda: done.put(None)):
            try:
                outcome = done.get(timeout=seconds)
            except queue.Empty:
                raise TimeoutError(f"no answer after {seconds:g} s") from None
        if outcome is None:
            self._stop.check()
            raise RuntimeError("unreachable: a stop has a reason")
        return outcome()

    def close(self) -> None:
        """End the threads; those of abandoned calls when these return."""
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


async def await_or_stop(awaitable: Awaitable[T], stop: Stop, seconds: float | None = None) -> T:
    """Return the awaitable's result; cancel it when the stop flag is set or the time is over.

    Raises:
        AgentError: The stop flag was set meanwhile.
        TimeoutError: It took longer than `seconds`.
    """
    loop = asyncio.get_running_loop()
    task: asyncio.Future[T] = asyncio.ensure_future(awaitable)
    stopped: asyncio.Future[T] = loop.create_future()

    def wake() -> None:
        loop.call_soon_threadsafe(stopped.cancel)

    try:
        with stop.calling(wake):
            await asyncio.wait({task, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        stop.check()
        raise TimeoutError(f"no answer after {seconds:g} s")
    finally:
        task.cancel()
        stopped.cancel()
