"""Stand-ins for asyncio, queue and time: waits that a stop can end, and event loops without a way out of the process."""

from __future__ import annotations

import asyncio
import queue
import selectors
import threading
import time
from asyncio import events
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, cast

from pinjra.guard.audit import host_section
from pinjra.guard.replacements import named, refuse

if TYPE_CHECKING:
    from pinjra.guard.replacements import Factory, Session, StandIns

__all__ = ["FACTORIES", "end_loop", "guest_loop"]

# A stop takes effect after at most this long a wait.
_SLICE_SECONDS = 0.02


class _SlicedSelector(selectors.DefaultSelector):
    """Waits in slices, so that a stop of the run ends the wait."""

    check: Callable[[], None]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.check()
        return super().select(_SLICE_SECONDS if timeout is None else min(timeout, _SLICE_SECONDS))


class GuestLoop(asyncio.SelectorEventLoop):
    """An event loop for guest code: tasks, timers and futures; no descriptors, sockets, processes, signals or threads."""

    def __init__(self, session: Session) -> None:
        selector = _SlicedSelector()
        selector.check = session.services.check_stop
        with host_section():
            super().__init__(selector)

    def close(self) -> None:
        with host_section():
            super().close()

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., object], *args: object
    ) -> asyncio.Future[object]:
        """Call `func` here and now: threads would go on after the run."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, object]) -> None:
        """Say nothing: the default handler writes to the host's log."""


_NOT_ON_LOOPS = """
add_reader add_writer remove_reader remove_writer add_signal_handler remove_signal_handler connect_accepted_socket
connect_read_pipe connect_write_pipe create_connection create_datagram_endpoint create_server create_unix_connection
create_unix_server getaddrinfo getnameinfo sendfile sock_accept sock_connect sock_recv sock_recv_into sock_recvfrom
sock_recvfrom_into sock_sendall sock_sendfile sock_sendto set_default_executor start_tls subprocess_exec subprocess_shell
"""
for _name in _NOT_ON_LOOPS.split():
    setattr(GuestLoop, _name, refuse(f"loop.{_name}", "event loops here carry tasks and timers only"))


def guest_loop(session: Session) -> GuestLoop:
    """Return a new event loop for guest code; whoever runs it closes it."""
    return GuestLoop(session)


def end_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left on a loop, and close it."""
    try:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _asyncio(session: Session) -> StandIns:
    own: list[GuestLoop] = []

    def guest_running_loop() -> GuestLoop | None:
        current = events._get_running_loop()
        return current if isinstance(current, GuestLoop) else None

    def new_event_loop() -> GuestLoop:
        return GuestLoop(session)

    def set_event_loop(loop: object) -> None:
        own[:] = [loop] if isinstance(loop, GuestLoop) else []

    def get_event_loop() -> GuestLoop:
        running = guest_running_loop()
        if running is None and (not own or own[0].is_closed()):
            own[:] = [GuestLoop(session)]
        return running or own[0]

    def get_running_loop() -> GuestLoop:
        running = guest_running_loop()
        if running is None:
            raise RuntimeError("no running event loop")
        return running

    def run(
        main: Coroutine[object, object, object], *, debug: bool | None = None, loop_factory: object = None
    ) -> object:
        if guest_running_loop() is not None:
            raise RuntimeError("asyncio.run() cannot be called from a running event loop")
        if not asyncio.iscoroutine(main):
            raise ValueError(f"a coroutine was expected, got {main!r:.200}")
        loop = GuestLoop(session)
        try:
            return loop.run_until_complete(main)
        finally:
            end_loop(loop)

    class Runner:
        """Runs several coroutines on one loop."""

        def __init__(self, *, debug: bool | None = None, loop_factory: object = None) -> None:
            self._loop: GuestLoop | None = None

        def get_loop(self) -> GuestLoop:
            if self._loop is None:
                self._loop = GuestLoop(session)
            return self._loop

        def run(self, coro: Coroutine[object, object, object], *, context: object = None) -> object:
            if guest_running_loop() is not None:
                raise RuntimeError("Runner.run() cannot be called from a running event loop")
            return self.get_loop().run_until_complete(coro)

        def close(self) -> None:
            if self._loop is not None:
                self._loop.close()

        def __enter__(self) -> Runner:
            return self

        def __exit__(self, *error: object) -> None:
            self.close()

    async def to_thread(func: Callable[..., object], /, *args: object, **kwargs: object) -> object:
        await asyncio.sleep(0)
        return func(*args, **kwargs)

    def needs_loop(real: Callable[..., object]) -> Callable[..., object]:
        """Return `real`, refused while no loop of the guest runs: it would reach for the host's."""

        def on_guest_loop(*args: object, **kwargs: object) -> object:
            if guest_running_loop() is None:
                for arg in args:
                    if asyncio.iscoroutine(arg):
                        arg.close()
                raise RuntimeError("no running event loop")
            return real(*args, **kwargs)

        return named(on_guest_loop, real)

    scheduling = "create_task ensure_future gather shield all_tasks current_task as_completed timeout "
    scheduling += "timeout_at"
    functions = (new_event_loop, set_event_loop, get_event_loop, get_running_loop, run, to_thread)
    return {
        **{name: needs_loop(getattr(asyncio, name)) for name in scheduling.split() if hasattr(asyncio, name)},
        **{f.__name__: named(f, getattr(asyncio, f.__name__)) for f in functions},
        "Runner": Runner,
    }


def _sliced(session: Session, wait: Callable[[float], bool], timeout: float | None) -> bool:
    """Return what `wait` says within `timeout`, asking for a stop between slices."""
    deadline = None if timeout is None or timeout < 0 else time.monotonic() + timeout
    while True:
        session.services.check_stop()
        left = _SLICE_SECONDS if deadline is None else min(deadline - time.monotonic(), _SLICE_SECONDS)
        if wait(max(left, 0)):
            return True
        if deadline is not None and time.monotonic() >= deadline:
            return False


def _queue(session: Session) -> StandIns:
    class Lock:
        """A lock whose waiters can be stopped."""

        def __init__(self) -> None:
            self._lock = threading.Lock()

        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
            if not blocking:
                return self._lock.acquire(blocking=False)
            return _sliced(session, lambda seconds: self._lock.acquire(timeout=seconds), timeout)

        def release(self) -> None:
            self._lock.release()

        def locked(self) -> bool:
            return self._lock.locked()

        def __enter__(self) -> bool:
            return self.acquire()

        def __exit__(self, *error: object) -> None:
            self.release()

    class Condition(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            return _sliced(session, lambda seconds: threading.Condition.wait(self, seconds), timeout)

    def stoppable(kind: type) -> type:
        def init(self: queue.Queue[object], maxsize: int = 0) -> None:
            cast(Callable[..., None], vars(queue.Queue)["__init__"])(self, maxsize)
            self.mutex = cast(threading.Lock, Lock())
            for name in ("not_empty", "not_full", "all_tasks_done"):
                setattr(self, name, Condition(self.mutex))

        body = {"__init__": init, "__module__": "queue", "__doc__": kind.__doc__}
        return type(kind.__name__, (kind,), body)

    class SimpleQueue(queue.SimpleQueue):  # type: ignore[type-arg]
        def get(self, block: bool = True, timeout: float | None = None) -> object:
            if not block:
                return super().get(False)
            found: list[object] = []

            def attempt(seconds: float) -> bool:
                try:
                    found.append(queue.SimpleQueue.get(self, timeout=seconds))
                except queue.Empty:
                    return False
                return True

            if not _sliced(session, attempt, timeout):
                raise queue.Empty
            return found[0]

    SimpleQueue.__module__, SimpleQueue.__qualname__ = "_queue", "SimpleQueue"
    kinds = (queue.Queue, queue.LifoQueue, queue.PriorityQueue)
    return {**{kind.__name__: stoppable(kind) for kind in kinds}, "SimpleQueue": SimpleQueue}


def _time(session: Session) -> StandIns:
    def sleep(seconds: float, /) -> None:
        if seconds != seconds:
            raise ValueError("Invalid value NaN (not a number)")
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        time.sleep(0 if seconds > 0 else seconds)  # its own errors for what is no number
        deadline = time.monotonic() + seconds
        while True:
            session.services.check_stop()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _SLICE_SECONDS))

    def get_clock_info(name: str) -> object:
        info = cast(Callable[[str], object], time.get_clock_info)(name)
        namespace = cast(Callable[..., object], session.stand_ins("types")["SimpleNamespace"])
        return namespace(**vars(info))

    return {"get_clock_info": get_clock_info, "sleep": named(sleep, time.sleep)}


FACTORIES: dict[str, Factory] = {"asyncio": _asyncio, "queue": _queue, "time": _time}
