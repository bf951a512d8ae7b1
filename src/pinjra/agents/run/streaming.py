"""A run of an agent -> its events, as an iterator or on an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace

from pinjra.agents.errors import AgentInterrupted
from pinjra.agents.run.driver import execute, outcome
from pinjra.agents.run.options import RunOptions
from pinjra.agents.run.state import AgentSpec
from pinjra.agents.run.waiting import Stop
from pinjra.core.coroutines import at_once
from pinjra.core.events import Event


def stream(agent: AgentSpec, options: RunOptions) -> Iterator[Event]:
    """Yield a run's events as they happen, from a thread of its own; leaving the iteration interrupts the run.

    Raises:
        The error that ended the run, after its last event.
    """
    inbox: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()
    stop = Stop()
    options = replace(options, streams=True, stop=stop)
    context = contextvars.copy_context()

    def work() -> None:
        try:
            _, error = at_once(execute(agent, options, inbox.put))
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
            stop.set(AgentInterrupted("the caller stopped listening"))
            thread.join(timeout=10)  # until it has put its session away


async def aexecute(agent: AgentSpec, options: RunOptions, *, full: bool) -> object:
    """Return what `run` returns, without blocking the event loop."""
    return outcome(*await execute(agent, replace(options, loop=asyncio.get_running_loop())), full=full)


async def astream(agent: AgentSpec, options: RunOptions) -> AsyncIterator[Event]:
    """Yield a run's events as they happen; as `stream`."""
    loop = asyncio.get_running_loop()
    inbox: asyncio.Queue[Event | None] = asyncio.Queue()

    def hand_over(event: Event | None) -> None:
        with suppress(RuntimeError):  # the loop was closed while a call went on: nobody listens any more
            loop.call_soon_threadsafe(inbox.put_nowait, event)  # tools may tell theirs from other threads

    options = replace(options, loop=loop, streams=True)
    running = asyncio.ensure_future(execute(agent, options, hand_over))
    running.add_done_callback(lambda _: hand_over(None))
    try:
        while (event := await inbox.get()) is not None:
            yield event
        _, error = await running
        if error is not None:
            raise error
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait({running})  # until it has put its session away
