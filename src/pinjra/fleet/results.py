"""Calls that begin something -> its results, for `for` and for `async for`; never more begun than there is room for."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, TypeVar

__all__ = ["Results"]

T = TypeVar("T")


class Results(Generic[T]):
    """Results as they come, or in order. Iterated once.

    Args:
        calls: Each begins one piece of work and returns its future.
        room: How many are under way at one time.
        finish: Gives a result its index.
    """

    def __init__(
        self,
        calls: Iterator[Callable[[], Future[T]]],
        room: int,
        finish: Callable[[int, T], T],
        *,
        ordered: bool,
        progress: bool,
    ) -> None:
        self._calls = enumerate(calls)
        self._room = room
        self._finish = finish
        self._ordered = ordered
        self._progress = progress
        self._begun: set[Future[T]] = set()  # and not taken yet

    def _begin(self, tell: Callable[[int, Future[T]], None]) -> bool:
        """Begin the next piece, whose end is told with its index; False when there is none."""
        found = next(self._calls, None)
        if found is None:
            return False
        index, call = found
        future = call()
        self._begun.add(future)
        future.add_done_callback(lambda done: tell(index, done))
        return True

    def _taken(self, future: Future[T]) -> T:
        self._begun.discard(future)
        return future.result()

    def _give_up(self) -> None:
        """Cancel what nobody waits for any more: whoever takes results has left."""
        for future in list(self._begun):
            future.cancel()

    def __iter__(self) -> Iterator[T]:
        """Yield the results."""
        done: queue.SimpleQueue[tuple[int, Future[T]]] = queue.SimpleQueue()

        def pieces() -> Iterator[T]:
            put: _InOrder[T] = _InOrder(self._ordered)
            is_more = True
            try:
                while is_more or self._begun:
                    while is_more and len(self._begun) + put.held < self._room:
                        is_more = self._begin(lambda index, future: done.put((index, future)))
                    if self._begun:
                        index, future = done.get()
                        yield from put.take(index, self._finish(index, self._taken(future)))
            finally:
                self._give_up()

        return self._shown(pieces())

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield the results; the event loop is free meanwhile."""
        loop = asyncio.get_running_loop()
        done: asyncio.Queue[tuple[int, Future[T]]] = asyncio.Queue()
        put: _InOrder[T] = _InOrder(self._ordered)
        bar = _Bar(self._progress)
        is_more = True

        def tell(index: int, future: Future[T]) -> None:
            with suppress(RuntimeError):  # the loop has ended before what was given up
                loop.call_soon_threadsafe(done.put_nowait, (index, future))

        try:
            while is_more or self._begun:
                while is_more and len(self._begun) + put.held < self._room:
                    is_more = self._begin(tell)
                if self._begun:
                    index, future = await done.get()
                    bar.advance()
                    for result in put.take(index, self._finish(index, self._taken(future))):
                        yield result
        finally:
            self._give_up()
            bar.close()

    def _shown(self, results: Iterator[T]) -> Iterator[T]:
        bar = _Bar(self._progress)
        try:
            for result in results:
                bar.advance()
                yield result
        finally:
            bar.close()


class _InOrder(Generic[T]):
    """Results in the order of their indexes, where that was asked for."""

    def __init__(self, is_ordered: bool) -> None:
        self._is_ordered = is_ordered
        self._next = 0
        self._held: dict[int, T] = {}

    @property
    def held(self) -> int:
        """Return how many wait for one before them."""
        return len(self._held)

    def take(self, index: int, result: T) -> Iterator[T]:
        """Yield what can be given out now that this one is there."""
        if not self._is_ordered:
            yield result
            return
        self._held[index] = result
        while self._next in self._held:
            yield self._held.pop(self._next)
            self._next += 1


class _Bar:
    """A progress bar on a terminal, or nothing."""

    def __init__(self, is_shown: bool) -> None:
        self._bar = None
        if is_shown:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                SpinnerColumn,
                TimeElapsedColumn,
            )

            self._bar = Progress(
                SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), transient=True
            )
            self._task = self._bar.add_task("", total=None)
            self._bar.start()

    def advance(self) -> None:
        """Count one more."""
        if self._bar is not None:
            self._bar.advance(self._task)

    def close(self) -> None:
        """Take it off the screen."""
        if self._bar is not None:
            self._bar.stop()
