"""A run of an agent -> its events, as an iterator or on an event loop; the run itself works in a thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

from pinjra.agents.run.driver import outcome
from pinjra.agents.run.options import RunOptions
from pinjra.agents.run.state import CURRENT_RUN, AgentSpec, Outcome, Sink
from pinjra.core.events import Event, RunFinished

__all__ = ["aexecute", "astream", "stream"]


def stream(agent: AgentSpec, options: RunOptions) -> Iterator[Event]:
    """Yield a run's events as they happen; leaving the iteration interrupts the run.

    Raises:
        The error that ended the run, after its last event.
    """
    inbox: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()
    options = replace(options, streams=True)
    context = contextvars.copy_context()

    def work() -> None:
        try:
            _, error = agent.execute(options, inbox.put)
            inbox.put(error)
        except BaseException as error:  # handed to the thread that iterates
            inbox.put(error)

    thread = threading.Thread(target=context.run, args=(work,), name="pinjra-run", daemon=True)
    thread.start()
    try:
        while isinstance(item := inbox.get(), Event):
            yield item
        thread.join()
        if item is not None:
            raise item
    finally:
        if thread.is_alive():
            _interrupt_thread(agent, thread)


def _interrupt_thread(agent: AgentSpec, thread: threading.Thread) -> None:
    """Stop the run that `thread` drives, and wait until it has put its session away."""
    agent.interrupt_thread(thread)
    thread.join(timeout=10)


async def aexecute(agent: AgentSpec, options: RunOptions, *, full: bool) -> object:
    """Return what `run` returns, without blocking the event loop."""
    options = replace(options, loop=asyncio.get_running_loop())
    worker = _Worker(agent, options, None)
    try:
        last, error = await worker.result
    except asyncio.CancelledError:
        worker.interrupt()
        raise
    return outcome(last, error, full=full)


async def astream(agent: AgentSpec, options: RunOptions) -> AsyncIterator[Event]:
    """Yield a run's events as they happen; as `stream`."""
    loop = asyncio.get_running_loop()
    inbox: asyncio.Queue[Event] = asyncio.Queue()
    options = replace(options, loop=loop, streams=True)
    worker = _Worker(agent, options, lambda event: _hand_over(loop, inbox, event))
    try:
        while True:
            event = await _next_event(inbox, worker)
            if event is None:
                break
            yield event
            if isinstance(event, RunFinished) and event.depth == worker.depth:
                break
        _, error = await worker.result
        if error is not None:
            raise error
    finally:
        if not worker.result.done():
            worker.interrupt()


def _hand_over(loop: asyncio.AbstractEventLoop, inbox: asyncio.Queue[Event], event: Event) -> None:
    try:
        loop.call_soon_threadsafe(inbox.put_nowait, event)
    except RuntimeError:  # the loop was closed while the run went on: nobody listens any more
        pass


async def _next_event(inbox: asyncio.Queue[Event], worker: _Worker) -> Event | None:
    """Return the next event; None when the run ended and all were taken."""
    if not inbox.empty():
        return inbox.get_nowait()
    getting: asyncio.Future[Event] = asyncio.ensure_future(inbox.get())
    both: set[asyncio.Future[Any]] = {getting, worker.result}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if getting.done():
        return getting.result()
    getting.cancel()
    return None if inbox.empty() else inbox.get_nowait()


class _Worker:
    """A thread that drives a run for an event loop. `result` is a future of that loop."""

    def __init__(self, agent: AgentSpec, options: RunOptions, sink: Sink | None) -> None:
        self._agent = agent
        self._loop = asyncio.get_running_loop()
        self.result: asyncio.Future[Outcome] = self._loop.create_future()
        above = CURRENT_RUN.get()
        self.depth = above.depth + 1 if above else 0
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._work, options, sink), name="pinjra-run", daemon=True
        )
        self._thread.start()

    def interrupt(self) -> None:
        """Stop the run."""
        self._agent.interrupt_thread(self._thread)

    def _work(self, options: RunOptions, sink: Sink | None) -> None:
        try:
            done = self._agent.execute(options, sink)
        except BaseException as error:  # handed to the event loop
            self._tell(None, error)
        else:
            self._tell(done, None)

    def _tell(self, done: Outcome | None, error: BaseException | None) -> None:
        def set_result() -> None:
            if self.result.done():
                return
            if error is not None:
                self.result.set_exception(error)
            elif done is not None:
                self.result.set_result(done)

        try:
            self._loop.call_soon_threadsafe(set_result)
        except RuntimeError:  # the loop was closed while the run went on: nobody listens any more
            pass
