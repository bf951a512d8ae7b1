"""One live worker as the host sees it: runs, calls, requests, deadlines.

Theory: there is no thread of ours while a session is idle, nor while a run goes on. `_steps` itself waits for nothing, so that
a run can be followed by a thread or on an event loop. Whoever waits reads the stream, under the connection's lock, and
dispatches what comes: to the run, to the tools, or to the thread that asked for a file. Sends have a lock of their own, so that
interrupts and answers of tools get through while another thread reads.

What does not work: telling an interrupted run from another by what the worker says (it may be hostile; the host's own note
decides), and waiting for a run's end only (a kill that crosses it would hit the next run: every kill is waited for).
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from pinjra.core.errors import BackendError, ConfigurationError, ProtocolViolation, SessionLost, StartupFailed
from pinjra.core.execution import Cause
from pinjra.core.limits import Limits
from pinjra.executors.session.messages import MessageStream
from pinjra.executors.session.run import RunRecord
from pinjra.executors.session.standard_input import StandardInput
from pinjra.executors.session.tool_calls import ToolCalls, TooManyCalls
from pinjra.executors.session.transport import Transport
from pinjra.wire import messages as wire

LOOK_SECONDS = 0.25  # a run looks so often for interrupts and for the ends of tools on other threads
REQUEST_SECONDS = 60.0  # for what the supervisor does itself: files, reset, binding
LOCK_SECONDS = 0.02  # a thread that waits for an answer tries so often whether it may read itself

WIRE_BYTES = 16 << 20  # what a message may have besides one value of `Limits.value_bytes`
MESSAGE_BYTES = 1 << 30  # a message when `value_bytes` is not limited

Expected = TypeVar("Expected", bound=wire.Message)
# Whose run this is part of.
_WITHIN: ContextVar[tuple[WorkerConnection, ...]] = ContextVar("pinjra_sessions_above", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the host waits for a worker.

    Args:
        start_seconds: For its hello and its first interpreter.
        interrupt_seconds: For guest code to end by itself after an interrupt.
        kill_seconds: For a kill to be confirmed, before the caller has its answer without; more where the stream is slow.
        recovery_seconds: For a late confirmation, which the session's next use waits for, before everything is killed.
        close_seconds: For the worker to end its processes by itself.
    """

    start_seconds: float = 60.0
    interrupt_seconds: float = 0.2
    kill_seconds: float = 0.4
    recovery_seconds: float = 10.0
    close_seconds: float = 1.0


class WorkerConnection:
    """A worker at the other end of a transport, which it owns.

    A worker that is gone is `SessionLost` from every method that speaks with it, one that lies `ProtocolViolation`.
    """

    def __init__(self, transport: Transport, limits: Limits, patience: Patience) -> None:
        most = MESSAGE_BYTES if limits.value_bytes is None else limits.value_bytes + WIRE_BYTES
        self.messages = MessageStream(transport, most)
        self.tool_calls = ToolCalls(limits, self.messages.send)
        self.lock = threading.RLock()
        self.lost: SessionLost | None = None
        self.record: RunRecord | None = None
        self._patience = patience
        self._requests = itertools.count(1)
        self._kills = itertools.count(1)
        # Of a run that was given back before its kill was confirmed: why, and when that must have come.
        self._recovery: tuple[Cause, float] | None = None
        self._answers: dict[int, wire.Done | None] = {}  # None: waited for
        self._binding: set[int] = set()  # requests that the interpreter answers, so that its death ends them

    # ------------------------------------------------------------ start and end

    def start(self, make_init: Callable[[wire.Hello], wire.Init]) -> wire.Hello:
        """Return the worker's hello once its interpreter is up, or raise `StartupFailed`."""
        deadline = time.monotonic() + self._patience.start_seconds
        try:
            hello = self._await_start(deadline, wire.Hello)
            self.messages.send(make_init(hello))
            self._await_start(deadline, wire.Started)
        except (SessionLost, ProtocolViolation) as error:
            raise StartupFailed(f"the worker did not come up: {error}") from error
        return hello

    def _await_start(self, deadline: float, kind: type[Expected]) -> Expected:
        while (message := self.messages.receive(deadline)) is not None:
            if isinstance(message, kind):
                return message
            if isinstance(message, wire.Done):
                raise StartupFailed(f"the worker refused its configuration: {message.message:.2000}")
            if isinstance(message, wire.Lost):
                said = f"{message.cause} {message.detail:.500}"
                raise StartupFailed(f"the interpreter died at its start: {said}")
        seconds = self._patience.start_seconds
        raise StartupFailed(f"no {kind.__name__} came from the worker within {seconds:g} s")

    def close(self) -> None:
        """End the worker and its process tree; a run in progress is interrupted first."""
        self.interrupt()
        if self.lock.acquire(timeout=self._patience.kill_seconds + self._patience.interrupt_seconds):
            self.lock.release()
        self.tool_calls.close()
        self.messages.close(self._patience.close_seconds if self.lost is None else 0.0)

    def check(self) -> None:
        """Raise `SessionLost` when the worker is gone."""
        if self.lost is not None:
            raise SessionLost(f"{self.lost}; reset() starts an empty session", self.lost.cause)

    def is_silent(self) -> bool:
        """Return whether the worker lives and has nothing to say; asked of an idle session only."""
        try:
            return self.messages.receive(time.monotonic()) is None
        except (SessionLost, ProtocolViolation):
            return False

    def note_loss(self, error: SessionLost | ProtocolViolation) -> None:
        """Kill what is left after a loss or a violation; every later use fails with its cause."""
        if self.lost is None:
            cause = error.cause if isinstance(error, SessionLost) else Cause.PROTOCOL
            self.lost = SessionLost(str(error), cause)
            self.messages.transport.kill()

    # ------------------------------------------------------------ a run

    def run(self, record: RunRecord, code: str | None, argv: tuple[str, ...], stdin: StandardInput) -> None:
        """Run `code`, or without it the program `argv`, to its end; what came of it is in `record`. The caller holds the lock."""
        with self._running(record, None, stdin):
            self._begin(code, argv, stdin)
            self._follow(record)

    async def arun(self, record: RunRecord, code: str, argv: tuple[str, ...], stdin: StandardInput) -> None:
        """Do the same on an event loop, which goes on meanwhile; cancelled, the run is interrupted first."""
        with self._running(record, asyncio.get_running_loop(), stdin):
            self._begin(code, argv, stdin)
            try:
                await self._afollow(record)
            except asyncio.CancelledError:
                record.forget_listener()
                self.interrupt()
                await self._afollow(record)
                raise

    @contextmanager
    def _running(
        self, record: RunRecord, loop: asyncio.AbstractEventLoop | None, stdin: StandardInput
    ) -> Iterator[None]:
        self.record = record
        self.tool_calls.begin_run(record.clock, record.host_time, loop, stdin)
        token = _WITHIN.set((*_WITHIN.get(), self))
        try:
            yield
        except (SessionLost, ProtocolViolation):
            raise
        except BaseException:
            self._abandon(record)  # Ctrl-C on the host, or a callback of the caller failed
            raise
        finally:
            _WITHIN.reset(token)
            self.record = None
            self.tool_calls.end_run()

    def _begin(self, code: str | None, argv: tuple[str, ...], stdin: StandardInput) -> None:
        number = self.messages.connection.run + 1
        blobs = (stdin.first,) if stdin.first else ()
        self.messages.send(wire.Execute(run=number, code=code, argv=argv, more=stdin.has_more, blobs=blobs))

    def _follow(self, record: RunRecord) -> None:
        """Read and dispatch until the run is over and every kill is confirmed."""
        steps = self._steps(record)
        try:
            deadline = next(steps)
            while True:
                deadline = steps.send(self.messages.receive(deadline))
        except StopIteration:
            return

    async def _afollow(self, record: RunRecord) -> None:
        """Do the same, waiting on the event loop."""
        steps = self._steps(record)
        try:
            deadline = next(steps)
            while True:
                message = self.messages.receive(time.monotonic())  # what is there already
                await self._others_turn(record, 0.0 if message else deadline - time.monotonic())
                deadline = steps.send(message or self.messages.receive(time.monotonic()))
        except StopIteration:
            return

    async def _others_turn(self, record: RunRecord, seconds: float) -> None:
        """Let the event loop go on until the stream is readable, so many seconds at the longest; that time is not the run's."""
        loop, descriptor = asyncio.get_running_loop(), self.descriptor
        with record.host_time.left_out():
            if seconds <= 0 or descriptor < 0:
                await asyncio.sleep(0)
                return
            ready = loop.create_future()
            timer = loop.call_later(seconds, _wake, ready)
            loop.add_reader(descriptor, _wake, ready)
            try:
                await ready
            finally:
                timer.cancel()
                loop.remove_reader(descriptor)

    @property
    def descriptor(self) -> int:
        """Return what is readable when the worker has said something; -1 where the transport has no such thing."""
        fileno = getattr(self.messages.transport, "fileno", None)
        return int(fileno()) if fileno is not None else -1

    def _steps(self, record: RunRecord) -> Generator[float, wire.Message | None, None]:
        """Yield until when to wait for a message, and take it or None, until the run is over and every kill is confirmed."""
        connection = self.messages.connection
        # What came in one piece with the end is this run's too: a kill's answer must not be taken for the next one's.
        while not record.is_over or connection.open_kills or self.messages.has_waiting:
            if record.is_given_back:
                return
            now = time.monotonic()
            self._hold_deadlines(record, now)
            # A deadline that has passed and was acted on would make the wait for the kill's answer a busy one.
            own = record.kill_deadline or record.wall_deadline()
            deadlines = (own, self.tool_calls.next_deadline())
            nearest = min([at for at in deadlines if at is not None], default=now + LOOK_SECONDS)
            message = yield min(nearest, now + LOOK_SECONDS)
            if message is not None:
                self._dispatch(message)

    def _hold_deadlines(self, record: RunRecord, now: float) -> None:
        self.tool_calls.expire(now)
        if record.kill_deadline is not None:
            if now >= record.kill_deadline:
                self._give_back(record, now)
            return
        wall, interrupt = record.wall_deadline(), record.interrupt_deadline
        if interrupt is not None and now >= interrupt:
            self._kill(record, Cause.INTERRUPT)
        elif wall is not None and now >= wall:
            self._kill(record, Cause.WALL)
        elif not record.is_over and record.host_time.is_over:
            self._kill(record, Cause.CPU)

    def _kill(self, record: RunRecord, cause: Cause) -> None:
        record.kill_cause = cause
        record.kill_deadline = time.monotonic() + self._patience.kill_seconds
        self.messages.send(wire.Kill(cause=cause.value, kill=next(self._kills)))

    def _give_back(self, record: RunRecord, now: float) -> None:
        """End the run for the caller, who was promised an answer in time; a busy machine confirms the kill later."""
        record.is_given_back = True
        self._recovery = record.kill_cause or Cause.HOST, now + self._patience.recovery_seconds

    def recover(self) -> None:
        """Wait for the end of a run that was given back, or lose the session. The caller holds the lock."""
        if self._recovery is None:
            return
        cause, deadline = self._recovery
        while self.messages.connection.open_kills:
            if time.monotonic() >= deadline:
                self.messages.transport.kill()
                why = "and its worker did not confirm it; all of it was killed"
                raise SessionLost(f"the run was to be ended ({cause.value}) {why}", cause)
            self._read_once(deadline)
        self._recovery = None

    def _abandon(self, record: RunRecord) -> None:
        record.forget_listener()  # it would fail again, and the kill below be never confirmed
        try:
            if not record.is_over and record.kill_deadline is None:
                self._kill(record, Cause.INTERRUPT)
            self._follow(record)
        except (SessionLost, ProtocolViolation) as error:
            self.note_loss(error)

    def interrupt(self) -> None:
        """Stop the run in progress, from any thread."""
        record = self.record
        if record is None or record.is_over or record.is_interrupted:
            return
        record.is_interrupted = True
        record.interrupt_deadline = time.monotonic() + 2 * self._patience.interrupt_seconds
        with suppress(BackendError):  # the thread that runs finds the same, with its cause
            self.messages.send(wire.Interrupt(grace_seconds=self._patience.interrupt_seconds))

    # ------------------------------------------------------------ messages

    def _dispatch(self, message: wire.Message) -> None:
        record, for_run = self.record, _FOR_RUN.get(type(message))
        if for_run is not None:
            if record is not None:
                for_run(record, message)
        elif isinstance(message, wire.Call):
            if record is not None and record.kill_deadline is None:
                try:
                    self.tool_calls.call(message)
                except TooManyCalls:
                    self._kill(record, Cause.TOOL_CALLS)
        elif isinstance(message, wire.Lost):
            self._on_lost(message)
        elif isinstance(message, wire.Done) and message.request in self._answers:
            self._answers[message.request] = message

    def _on_lost(self, message: wire.Lost) -> None:
        died = f"the interpreter died ({message.cause})"
        for request in self._binding:
            self._answers[request] = wire.Done(request=request, problem="error", message=died)
        if self.record is not None and not self.record.is_over:
            self.record.on_end(message)
        elif not message.rolled_back:
            raise SessionLost(f"{died} between runs with the session's variables")

    # ------------------------------------------------------------ requests

    def ask(self, make: Callable[..., wire.Message], *, of_interpreter: bool = False) -> wire.Done:
        """Return the answer to the request that `make(request=number)` makes; from any thread, also during a run."""
        self.check()
        request = next(self._requests)
        self._answers[request] = None
        if of_interpreter:
            self._binding.add(request)
        try:
            self.messages.send(make(request=request))
            return self._await_answer(request, time.monotonic() + REQUEST_SECONDS)
        except (SessionLost, ProtocolViolation) as error:
            self.note_loss(error)
            raise
        finally:
            del self._answers[request]
            self._binding.discard(request)

    def _await_answer(self, request: int, deadline: float) -> wire.Done:
        while (answer := self._answers[request]) is None:
            if time.monotonic() >= deadline:
                raise SessionLost(f"the worker did not answer within {REQUEST_SECONDS:g} s", Cause.HOST)
            # Another thread that runs code reads for us; as soon as it has finished, we read ourselves.
            if not self.lock.acquire(timeout=LOCK_SECONDS):
                continue
            try:
                self.check()
                if self._answers[request] is None:
                    self._read_once(min(deadline, time.monotonic() + LOOK_SECONDS))
            finally:
                self.lock.release()
        return answer

    def _read_once(self, deadline: float) -> None:
        message = self.messages.receive(deadline)
        if message is not None:
            self._dispatch(message)

    def require_outside(self) -> None:
        """Raise `ConfigurationError` when the caller is a tool of this session, which would wait for itself."""
        if self in _WITHIN.get():
            self.require_idle()

    def require_idle(self) -> None:
        """Raise `ConfigurationError` when the caller is a tool of the run in progress."""
        if self.record is not None:
            raise ConfigurationError("a tool may not run code in, or change, the session that called it")


_FOR_RUN: Mapping[type[wire.Message], Callable[..., None]] = {
    wire.Output: RunRecord.on_output,
    wire.Display: RunRecord.on_display,
    wire.Finished: RunRecord.on_end,
}


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
