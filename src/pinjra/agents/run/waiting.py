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
from typing import TypeVar

from pinjra.agents.run.stop import Stop

__all__ = ["abandonable", "abandonable_items", "await_or_stop", "interrupting"]

_INSIST_SECONDS = 0.5  # longer than the grace an executor gives before it kills

T = TypeVar("T")


class _Failed:
    """An exception on its way between two threads."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Done:
    """The end of an iteration."""


class _Stopped:
    """The flag was set."""


def abandonable(function: Callable[[], T], stop: Stop, seconds: float | None = None) -> T:
    """Return `function()`, run on a helper thread in a copy of this context.

    Raises:
        AgentError: The stop flag was set meanwhile; the call is abandoned.
        TimeoutError: It took longer than `seconds`; the call is abandoned.
    """
    for item in abandonable_items(lambda: iter((function(),)), stop, seconds):
        return item
    raise RuntimeError("unreachable: the iterator has one item")


def abandonable_items(
    items: Callable[[], Iterator[T]], stop: Stop, seconds: float | None = None
) -> Iterator[T]:
    """Yield what `items()` yields; it is iterated on a helper thread and closed there.

    Raises:
        AgentError: The stop flag was set meanwhile; the iteration is abandoned.
        TimeoutError: One item took longer than `seconds`.
    """
    inbox: queue.SimpleQueue[T | _Failed | type[_Done] | type[_Stopped]] = queue.SimpleQueue()
    left = threading.Event()

    def work() -> None:
        try:
            source = items()
            for item in source:
                inbox.put(item)
                if left.is_set():
                    break
            close = getattr(source, "close", None)
            if callable(close):
                close()
            inbox.put(_Done)
        except BaseException as error:  # handed to the waiting thread, whatever it is
            inbox.put(_Failed(error))

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="pinjra-call", daemon=True).start()
    try:
        with stop.calling(lambda: inbox.put(_Stopped)):
            yield from _received(inbox, stop, seconds)
    finally:
        left.set()


def _received(
    inbox: queue.SimpleQueue[T | _Failed | type[_Done] | type[_Stopped]], stop: Stop, seconds: float | None
) -> Iterator[T]:
    while True:
        try:
            item = inbox.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"no answer after {seconds:g} s") from None
        if item is _Done:
            return
        if item is _Stopped:
            stop.check()
        elif isinstance(item, _Failed):
            raise item.error
        else:
            yield item  # type: ignore[misc]  # neither marker, so it is an item


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
