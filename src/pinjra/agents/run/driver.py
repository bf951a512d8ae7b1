"""An order -> a run: opens its session, drives it, keeps what is left; in this thread, as a stream, or on an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinjra.agents.errors import AgentBudgetError, AgentInterrupted
from pinjra.agents.memory.memory import AgentMemory
from pinjra.agents.memory.observation import cut_middle, describe_value
from pinjra.agents.memory.steps import NestedRun, TaskStep
from pinjra.agents.printing import printer
from pinjra.agents.run.budget import Budget
from pinjra.agents.run.loop import drive
from pinjra.agents.run.sessions import LastRun
from pinjra.agents.run.state import CURRENT_RUN, Options, Run, RunResult, Sink
from pinjra.core.errors import ConfigurationError
from pinjra.core.events import Event, RunFinished

if TYPE_CHECKING:
    from pinjra.agents.agent import Agent

__all__ = [
    "Order",
    "aexecute",
    "astream",
    "encode_images",
    "execute",
    "execute_once",
    "outcome",
    "prepare",
    "stream",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller wants of one run.

    Args:
        memory: Go on with this memory, at its next step, instead of the last run's.
        keep: Keep memory and session for `reset=False`; a managed agent's call does not.
    """

    task: str
    max_steps: int
    reset: bool = True
    images: tuple[bytes, ...] = ()
    variables: dict[str, object] = field(default_factory=dict)
    streams: bool = False
    keep: bool = True
    loop: asyncio.AbstractEventLoop | None = None
    memory: AgentMemory | None = None
    budget: Budget | None = None
    temperature: float | None = None


def execute(agent: Agent, order: Order, sink: Sink | None = None) -> tuple[RunResult, BaseException | None]:
    """Return the result of a run in this thread, and the error that ended it, if one did.

    Args:
        sink: Takes the events; without one they go to the run above, or are printed as `verbosity_level` says.
    """
    if not isinstance(order.task, str):
        raise ConfigurationError(f"the task must be a text, not {type(order.task).__name__}")
    if agent.vote > 1 and order.memory is None:
        from pinjra.agents.run.vote import execute_vote  # it uses this module

        return execute_vote(agent, order, sink)
    return execute_once(agent, order, sink)


def execute_once(
    agent: Agent, order: Order, sink: Sink | None = None
) -> tuple[RunResult, BaseException | None]:
    """Return the result of one attempt; as `execute`."""
    left = agent.last_runs.take(reset=order.reset) if order.keep else None
    run: Run | None = None
    try:
        run = prepare(agent, order, left, sink)
        return _driven(run, order)
    finally:
        if run is None:
            _abandon(agent, order, left)
        else:
            _put_away(run, order)


def prepare(agent: Agent, order: Order, left: LastRun | None, sink: Sink | None) -> Run:
    """Return a run with its memory, without a session yet."""
    parent = CURRENT_RUN.get()
    memory = order.memory or (
        left.memory.copy() if left and not order.reset else AgentMemory(agent.system_prompt)
    )
    first = max((getattr(s, "step_number", 0) for s in order.memory.steps), default=0) if order.memory else 0
    options = Options(
        max_steps=order.max_steps,
        budget=order.budget or agent.budget,
        streams=order.streams or agent.stream_outputs or (parent is not None and parent.options.streams),
        loop=order.loop or (parent.options.loop if parent else None),
        temperature=order.temperature,
        first_step=first,
    )
    listener = sink or (parent.forward if parent else printer(agent.verbosity_level))
    run = Run(agent, order.task, memory, options, listener, parent)
    run.session = left.session if left else None
    return run


def _driven(run: Run, order: Order) -> tuple[RunResult, BaseException | None]:
    agent = run.agent
    agent.track(run, active=True)  # first, so that an interrupt while the session opens is not lost
    try:
        if run.session is None:
            run.session = agent.open_session()
        if run.session is not None:
            run.session.acquire(run)
        try:
            run.variables = order.variables
            agent.bind_session(run, order.variables)
            if order.memory is None:
                task = order.task + _described(order.variables)
                run.memory.append(
                    TaskStep(task=task, task_images=order.images, variables=tuple(order.variables))
                )
            before = len(run.memory.steps) - 1
            result, error = drive(run)
            _tell_parent(run, result, before)
            return result, error
        finally:
            if run.session is not None:
                run.session.release()
    finally:
        agent.track(run, active=False)


def _tell_parent(run: Run, result: RunResult, before: int) -> None:
    """Nest this run's own steps under the step of the run above that called it."""
    if run.parent is None:
        return
    run.parent.add_nested(
        NestedRun(
            run_id=run.id,
            agent=run.label,
            task=run.task,
            state=result.state,
            steps=run.memory.steps[max(before, 0) :],
            token_usage=result.token_usage,
            timing=result.timing,
        )
    )


def _put_away(run: Run, order: Order) -> None:
    """Keep what is left of the run, or end its session."""
    if order.keep:
        run.agent.last_runs.keep(LastRun(run.memory, run.session), continued=not order.reset)
    elif run.session is not None:
        run.session.close()


def _abandon(agent: Agent, order: Order, left: LastRun | None) -> None:
    if order.keep:
        agent.last_runs.abandon(continued=not order.reset)
    if left is not None and left.session is not None:
        left.session.close()


def _described(variables: dict[str, object]) -> str:
    """Return the words for additional arguments: their names and what they are, cut."""
    if not variables:
        return ""
    lines = [
        f"- {name} ({type(value).__name__}): {cut_middle(describe_value(value), 1000)}"
        for name, value in variables.items()
    ]
    return "\nThese variables are given to you, by these names:\n" + "\n".join(lines)


def outcome(result: RunResult, error: BaseException | None, *, full: bool) -> object:
    """Return what `run` returns, or raise what ended the run."""
    stopped = isinstance(error, AgentInterrupted | AgentBudgetError)
    if error is not None and not (full and stopped):
        raise error
    return result if full else result.output


def stream(agent: Agent, order: Order) -> Iterator[Event]:
    """Yield a run's events as they happen; leaving the iteration interrupts the run.

    Raises:
        The error that ended the run, after its last event.
    """
    inbox: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()
    order = replace(order, streams=True)
    context = contextvars.copy_context()

    def work() -> None:
        try:
            _, error = execute(agent, order, inbox.put)
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


def _interrupt_thread(agent: Agent, thread: threading.Thread) -> None:
    """Stop the run that `thread` drives, and wait until it has put its session away."""
    agent.interrupt_thread(thread)
    thread.join(timeout=10)


async def aexecute(agent: Agent, order: Order, *, full: bool) -> object:
    """Return what `run` returns, without blocking the event loop."""
    order = replace(order, loop=asyncio.get_running_loop())
    worker = _Worker(agent, order, None)
    try:
        last, error = await worker.result
    except asyncio.CancelledError:
        worker.interrupt()
        raise
    return outcome(last, error, full=full)


async def astream(agent: Agent, order: Order) -> AsyncIterator[Event]:
    """Yield a run's events as they happen; as `stream`."""
    loop = asyncio.get_running_loop()
    inbox: asyncio.Queue[Event] = asyncio.Queue()
    order = replace(order, loop=loop, streams=True)
    worker = _Worker(agent, order, lambda event: _hand_over(loop, inbox, event))
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

    def __init__(self, agent: Agent, order: Order, sink: Sink | None) -> None:
        self._agent = agent
        self._loop = asyncio.get_running_loop()
        self.result: asyncio.Future[tuple[RunResult, BaseException | None]] = self._loop.create_future()
        above = CURRENT_RUN.get()
        self.depth = above.depth + 1 if above else 0
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._work, order, sink), name="pinjra-run", daemon=True
        )
        self._thread.start()

    def interrupt(self) -> None:
        """Stop the run."""
        self._agent.interrupt_thread(self._thread)

    def _work(self, order: Order, sink: Sink | None) -> None:
        try:
            done = execute(self._agent, order, sink)
        except BaseException as error:  # handed to the event loop
            self._tell(None, error)
        else:
            self._tell(done, None)

    def _tell(self, done: tuple[RunResult, BaseException | None] | None, error: BaseException | None) -> None:
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


def encode_images(images: Sequence[object]) -> tuple[bytes, ...]:
    """Return images as files' bytes.

    Raises:
        ConfigurationError: Something is neither bytes, a path nor a PIL image (the caller's fault).
    """
    return tuple(_encode_image(image) for image in images)


def _encode_image(image: object) -> bytes:
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | Path):
        return Path(image).read_bytes()
    save = getattr(image, "save", None)
    if not callable(save):
        raise ConfigurationError(f"an image must be a PIL image, bytes or a path, not {type(image).__name__}")
    buffer = BytesIO()
    save(buffer, format="PNG")
    return buffer.getvalue()
