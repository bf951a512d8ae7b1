"""Calls that begin something -> its results, for `for` and for `async for`; never more begun than there is room for."""

from __future__ import annotations

import asyncio
import functools
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

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
        self._held: dict[int, T] = {}  # results that wait for one before them
        self._next = 0

    def _begin(self, tell: Callable[[int, Future[T]], None]) -> bool:
        """Begin as many pieces as there is room for, whose ends are told with their indexes; False when none is under way."""
        while len(self._begun) + len(self._held) < self._room:
            found = next(self._calls, None)
            if found is None:
                break
            index, call = found
            future = call()
            self._begun.add(future)
            future.add_done_callback(functools.partial(tell, index))
        return bool(self._begun)

    def _taken(self, index: int, future: Future[T]) -> Iterator[T]:
        """Yield what can be given out now that this one is there."""
        self._begun.discard(future)
        result = self._finish(index, future.result())
        if not self._ordered:
            yield result
            return
        self._held[index] = result
        while self._next in self._held:
            yield self._held.pop(self._next)
            self._next += 1

    @contextmanager
    def _shown(self) -> Iterator[Callable[[], None]]:
        """Show a bar while results are taken, and give a call that counts one; then cancel what nobody waits for."""
        try:
            if not self._progress:
                yield lambda: None
                return
            from rich import progress

            shown = (progress.SpinnerColumn(), progress.BarColumn(), progress.MofNCompleteColumn())
            with progress.Progress(*shown, progress.TimeElapsedColumn(), transient=True) as bar:
                task = bar.add_task("", total=None)
                yield lambda: bar.advance(task)
        finally:
            for future in list(self._begun):
                future.cancel()

    def __iter__(self) -> Iterator[T]:
        """Yield the results."""
        done: queue.SimpleQueue[tuple[int, Future[T]]] = queue.SimpleQueue()
        with self._shown() as advance:
            while self._begin(lambda *end: done.put(end)):
                end = done.get()
                advance()
                yield from self._taken(*end)

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield the results; the event loop is free meanwhile."""
        loop = asyncio.get_running_loop()
        done: asyncio.Queue[tuple[int, Future[T]]] = asyncio.Queue()

        def tell(*end: Any) -> None:
            with suppress(RuntimeError):  # the loop has ended before what was given up
                loop.call_soon_threadsafe(done.put_nowait, end)

        with self._shown() as advance:
            while self._begin(tell):
                end = await done.get()
                advance()
                for result in self._taken(*end):
                    yield result
