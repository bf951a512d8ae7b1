"""One live worker as the host sees it: runs, calls, requests, deadlines.

Theory: there is no thread of ours while a session is idle, nor while a run goes on. Whoever waits reads the stream, under the
link's lock, and dispatches what comes: to the run, to the bridge, or to the thread that asked for a file. Sends have a lock of
their own, so that interrupts and answers of tools get through while another thread reads.

What does not work: telling an interrupted run from another by what the worker says (it may be hostile; the host's own note
decides), and waiting for a run's end only (a kill that crosses it would hit the next run: every kill is waited for).
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pinjra.core.errors import (
    BackendError,
    ConfigurationError,
    PinjraError,
    ProtocolViolation,
    SessionLost,
    StartupFailed,
)
from pinjra.core.execution import Cause
from pinjra.executors.session.messages import Channel
from pinjra.executors.session.run import Step
from pinjra.executors.session.tool_calls import Bridge, TooManyCalls
from pinjra.executors.session.transport import Transport
from pinjra.wire.frames import WireLimits
from pinjra.wire.messages import (
    Bound,
    Call,
    Captured,
    Display,
    Execute,
    Failed,
    Finished,
    Hello,
    Init,
    Interrupt,
    Kill,
    Lost,
    Message,
    Output,
    Started,
)

__all__ = ["Link", "Patience"]

LOOK_SECONDS = 0.25  # a run looks so often for interrupts and for the ends of tools on other threads
REQUEST_SECONDS = 60.0  # for what the supervisor does itself: files, reset, binding
LOCK_SECONDS = 0.02  # a thread that waits for an answer tries so often whether it may read itself

Expected = TypeVar("Expected", bound=Message)


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


class Link:
    """A worker at the other end of a transport.

    Args:
        transport: Owned from here on.
        bridge: Its functions are what the guest may call.
    """

    def __init__(
        self, transport: Transport, wire_limits: WireLimits, bridge: Bridge, patience: Patience
    ) -> None:
        self.channel = Channel(transport, wire_limits)
        self.bridge = bridge
        self.lock = threading.RLock()
        self.lost: SessionLost | None = None
        self.step: Step | None = None
        self._patience = patience
        self._requests = itertools.count(1)
        self._kills = itertools.count(1)
        self._recovery: tuple[Cause, float] | None = (
            None  # of a run that was given back before its kill was confirmed
        )
        self._answers: dict[int, Message | None] = {}  # None: waited for
        self._binding: set[int] = set()  # requests that the interpreter answers, so that its death ends them

    # ------------------------------------------------------------ start and end

    def start(self, make_init: Callable[[Hello], Init]) -> Hello:
        """Return the worker's hello once its interpreter is up.

        Raises:
            StartupFailed: It did not come up.
        """
        deadline = time.monotonic() + self._patience.start_seconds
        try:
            hello = self._await_start(deadline, Hello)
            self.channel.send(make_init(hello))
            self._await_start(deadline, Started)
        except (SessionLost, ProtocolViolation) as error:
            raise StartupFailed(f"the worker did not come up: {error}") from error
        return hello

    def _await_start(self, deadline: float, kind: type[Expected]) -> Expected:
        while (message := self.channel.receive(deadline)) is not None:
            if isinstance(message, kind):
                return message
            if isinstance(message, Failed):
                raise StartupFailed(f"the worker refused its configuration: {message.message:.2000}")
            if isinstance(message, Lost):
                raise StartupFailed(
                    f"the interpreter died at its start: {message.cause} {message.detail:.500}"
                )
        seconds = self._patience.start_seconds
        raise StartupFailed(f"no {kind.__name__} came from the worker within {seconds:g} s")

    def close(self) -> None:
        """End the worker and its process tree; a run in progress is interrupted first."""
        self.interrupt()
        if self.lock.acquire(timeout=self._patience.kill_seconds + self._patience.interrupt_seconds):
            self.lock.release()
        self.bridge.close()
        self.channel.close(self._patience.close_seconds if self.lost is None else 0.0)

    def check(self) -> None:
        """Raise `SessionLost` when the worker is gone."""
        if self.lost is not None:
            raise SessionLost(f"{self.lost}; reset() starts an empty session", self.lost.cause)

    def is_silent(self) -> bool:
        """Return whether the worker lives and has nothing to say; asked of an idle session only."""
        try:
            return self.channel.receive(time.monotonic()) is None
        except (SessionLost, ProtocolViolation):
            return False

    def note_loss(self, error: PinjraError) -> None:
        """Kill what is left after a loss or a violation; every later use fails with its cause."""
        if self.lost is None:
            cause = error.cause if isinstance(error, SessionLost) else Cause.PROTOCOL
            self.lost = SessionLost(str(error), cause)
            self.channel.transport.kill()

    # ------------------------------------------------------------ a run

    def run(self, step: Step, code: str, argv: tuple[str, ...] = (), stdin: bytes = b"") -> None:
        """Run `code`, or the program `argv`, to its end; what came of it is in `step`. The caller holds the lock.

        Raises:
            SessionLost: The worker is gone.
            ProtocolViolation: A hostile worker.
        """
        self.step = step
        self.bridge.begin_run(step.clock, step.host_time)
        try:
            run, blobs = self.channel.connection.run + 1, (stdin,) if stdin else ()
            self.channel.send(Execute(run=run, code=code, argv=argv, blobs=blobs))
            self._follow(step)
        except (SessionLost, ProtocolViolation):
            raise
        except BaseException:
            self._abandon(step)  # Ctrl-C on the host, or a callback of the caller failed
            raise
        finally:
            self.step = None
            self.bridge.end_run()

    def _follow(self, step: Step) -> None:
        """Read and dispatch until the run is over and every kill is confirmed."""
        connection = self.channel.connection
        # What came in one piece with the end is this run's too: a kill's answer must not be taken for the next one's.
        while not step.is_over or connection.open_kills or self.channel.has_waiting:
            if step.is_given_back:
                return
            now = time.monotonic()
            self._hold_deadlines(step, now)
            # A deadline that has passed and was acted on would make the wait for the kill's answer a busy one.
            own = step.kill_deadline or step.wall_deadline()
            deadlines = (own, self.bridge.next_deadline())
            nearest = min([at for at in deadlines if at is not None], default=now + LOOK_SECONDS)
            message = self.channel.receive(min(nearest, now + LOOK_SECONDS))
            if message is not None:
                self._dispatch(message)

    def _hold_deadlines(self, step: Step, now: float) -> None:
        self.bridge.expire(now)
        if step.kill_deadline is not None:
            if now >= step.kill_deadline:
                self._give_back(step, now)
            return
        wall, interrupt = step.wall_deadline(), step.interrupt_deadline
        if interrupt is not None and now >= interrupt:
            self._kill(step, Cause.INTERRUPT)
        elif wall is not None and now >= wall:
            self._kill(step, Cause.WALL)
        elif not step.is_over and step.host_time.is_over:
            self._kill(step, Cause.CPU)

    def _kill(self, step: Step, cause: Cause) -> None:
        step.kill_cause = cause
        step.kill_deadline = time.monotonic() + self._patience.kill_seconds
        self.channel.send(Kill(cause=cause.value, kill=next(self._kills)))

    def _give_back(self, step: Step, now: float) -> None:
        """End the run for the caller, who was promised an answer in time; a busy machine confirms the kill later."""
        step.is_given_back = True
        self._recovery = step.kill_cause or Cause.HOST, now + self._patience.recovery_seconds

    def recover(self) -> None:
        """Wait for the end of a run that was given back. The caller holds the lock.

        Raises:
            SessionLost: Its kill is not confirmed, or its variables could not be restored.
            ProtocolViolation: A hostile worker.
        """
        if self._recovery is None:
            return
        cause, deadline = self._recovery
        while self.channel.connection.open_kills:
            if time.monotonic() >= deadline:
                self.channel.transport.kill()
                why = "and its worker did not confirm it; all of it was killed"
                raise SessionLost(f"the run was to be ended ({cause.value}) {why}", cause)
            message = self.channel.receive(deadline)
            if message is not None:
                self._dispatch(message)
        self._recovery = None

    def _abandon(self, step: Step) -> None:
        step.forget_listener()  # it would fail again, and the kill below be never confirmed
        try:
            if not step.is_over and step.kill_deadline is None:
                self._kill(step, Cause.INTERRUPT)
            self._follow(step)
        except (SessionLost, ProtocolViolation) as error:
            self.note_loss(error)

    def interrupt(self) -> None:
        """Stop the run in progress, from any thread."""
        step = self.step
        if step is None or step.is_over or step.is_interrupted:
            return
        step.is_interrupted = True
        step.interrupt_deadline = time.monotonic() + 2 * self._patience.interrupt_seconds
        try:
            self.channel.send(Interrupt(grace_seconds=self._patience.interrupt_seconds))
        except BackendError:
            pass  # the thread that runs finds the same, with its cause

    # ------------------------------------------------------------ messages

    def _dispatch(self, message: Message) -> None:
        handler = _HANDLERS.get(type(message))
        if handler is not None:
            handler(self, message)
            return
        request: object = getattr(message, "request", None)
        if type(request) is int and request in self._answers:
            self._answers[request] = message

    def _on_text(self, message: Message) -> None:
        if isinstance(message, (Output, Captured)) and self.step is not None:
            self.step.on_output(message)

    def _on_display(self, message: Message) -> None:
        if isinstance(message, Display) and self.step is not None:
            self.step.on_display(message)

    def _on_finished(self, message: Message) -> None:
        if isinstance(message, Finished) and self.step is not None:
            self.step.on_end(message)

    def _on_lost(self, message: Message) -> None:
        if not isinstance(message, Lost):
            return
        for request in self._binding:
            self._answers[request] = Bound(request=request, problem=f"the interpreter died ({message.cause})")
        if self.step is not None and not self.step.is_over:
            self.step.on_end(message)
        elif not message.rolled_back:
            raise SessionLost(
                f"the interpreter died between runs ({message.cause}) with the session's variables"
            )

    def _on_call(self, message: Message) -> None:
        step = self.step
        if not isinstance(message, Call) or step is None or step.kill_deadline is not None:
            return
        try:
            self.bridge.call(message)
        except TooManyCalls:
            self._kill(step, Cause.TOOL_CALLS)

    # ------------------------------------------------------------ requests

    def ask(self, make: Callable[[int], Message], *, of_interpreter: bool = False) -> Message:
        """Return the answer to the request that `make` makes of its number; from any thread, also during a run.

        Raises:
            SessionLost: The worker is gone, or did not answer.
        """
        self.check()
        request = next(self._requests)
        self._answers[request] = None
        if of_interpreter:
            self._binding.add(request)
        try:
            self.channel.send(make(request))
            return self._await_answer(request, time.monotonic() + REQUEST_SECONDS)
        except (SessionLost, ProtocolViolation) as error:
            self.note_loss(error)
            raise
        finally:
            del self._answers[request]
            self._binding.discard(request)

    def _await_answer(self, request: int, deadline: float) -> Message:
        while (answer := self._answers[request]) is None:
            if time.monotonic() >= deadline:
                raise SessionLost(f"the worker did not answer within {REQUEST_SECONDS:g} s", Cause.HOST)
            # Another thread that runs code reads for us; as soon as it has finished, we read ourselves.
            if self.lock.acquire(timeout=LOCK_SECONDS):
                try:
                    self._read_once(request, deadline)
                finally:
                    self.lock.release()
        return answer

    def _read_once(self, request: int, deadline: float) -> None:
        self.check()
        if self._answers[request] is None:
            message = self.channel.receive(min(deadline, time.monotonic() + LOOK_SECONDS))
            if message is not None:
                self._dispatch(message)

    def require_idle(self) -> None:
        """Raise `ConfigurationError` when the caller is a tool of the run in progress."""
        if self.step is not None:
            raise ConfigurationError("a tool may not run code in, or change, the session that called it")


_HANDLERS: Mapping[type[Message], Callable[[Link, Message], None]] = {
    Output: Link._on_text,
    Captured: Link._on_text,
    Display: Link._on_display,
    Call: Link._on_call,
    Finished: Link._on_finished,
    Lost: Link._on_lost,
}
