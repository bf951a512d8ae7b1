"""Runs in this process -> stops, when wall, cpu or memory is used up. One daemon thread for all local executors.

The thread polls only while runs are active (and for a second after, so that a series of short runs never wakes it), because
waking a thread costs more than a trivial run. It cannot act while C code holds the interpreter lock: on the main thread the
kernel's timer does (see `alarm`); elsewhere SECURITY.md lists what cannot be stopped.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pinjra.core.execution import Cause
from pinjra.core.limits import Limits
from pinjra.executors.ceiling import Ceiling

__all__ = ["WATCHDOG", "Watch", "Watchdog"]

POLL_SECONDS = 0.02  # how late a stop may come; 20 ms costs 0.1 % of a core while a run is active
IDLE_SECONDS = 1.0
STOP_SIGNAL = (
    getattr(signal, "SIGRTMIN", 0) and int(signal.SIGRTMIN) + 7
)  # a real-time signal nobody else is likely to use


class Watch:
    """One run being watched: deadlines, and the time spent in tools, which is not charged.

    While an inline tool runs on the guest's thread nothing may be raised there (`_inline`); while only asynchronous tools are
    open the guest's thread may be stopped, and the wall clock stands still.
    """

    __slots__ = (
        "_ceiling", "_clock", "_cpu_end", "_inline", "_limits", "_lock", "_memory_end", "_open", "_opened", "_wall_end",
        "cause", "stop", "thread", "tool_seconds",
    )  # fmt: skip

    def __init__(self, limits: Limits, wall_seconds: float | None, stop: Callable[[Cause], None]) -> None:
        self.stop = stop
        self.cause: Cause | None = None
        self.thread = threading.current_thread()
        self.tool_seconds = 0.0
        self._limits = limits
        self._lock = threading.RLock()  # a signal handler asks, too
        self._inline = 0
        self._open = 0
        self._opened = 0.0
        self._wall_end = None if wall_seconds is None else time.monotonic() + wall_seconds
        self._clock = _thread_clock()
        self._cpu_end: float | None = None
        if limits.cpu_seconds is not None and self._clock is not None:
            self._cpu_end = time.clock_gettime(self._clock) + limits.cpu_seconds
        self._memory_end: int | None = None
        self._ceiling = Ceiling(limits.memory_bytes)

    @contextmanager
    def tool(self, *, inline: bool) -> Iterator[None]:
        """Do not charge the time inside; with `inline`, do not stop the thread either."""
        with self._lock:
            self._inline += inline
            self._open += 1
            if inline:
                self._ceiling.lift()
            if self._open == 1:
                self._opened = time.monotonic()
        cpu_before = time.clock_gettime(self._clock) if inline and self._clock is not None else 0.0
        try:
            yield
        finally:
            with self._lock:
                self._inline -= inline
                self._open -= 1
                if self._open == 0:
                    took = time.monotonic() - self._opened
                    self.tool_seconds += took
                    if self._wall_end is not None:
                        self._wall_end += took
                if inline and self._cpu_end is not None and self._clock is not None:
                    self._cpu_end += time.clock_gettime(self._clock) - cpu_before

    @property
    def is_inline(self) -> bool:
        """A host tool runs on the guest's thread: nothing may be raised there."""
        return self._inline > 0

    def set_memory_base(self, resident_bytes: int) -> None:
        """Take what the process had before the run as the base of the memory limit."""
        if self._limits.memory_bytes is not None and self._memory_end is None:
            self._memory_end = resident_bytes + self._limits.memory_bytes

    def wall_left(self) -> float | None:
        """Return the seconds until the wall limit, as far as is known; None without a limit."""
        return None if self._wall_end is None else self._wall_end - time.monotonic()

    def lower_ceiling(self) -> None:
        """Let the kernel hold the memory limit too, while the guest's code runs."""
        with self._lock:
            if not self._inline:
                self._ceiling.lower()

    def lift_ceiling(self) -> None:
        """Undo `lower_ceiling`."""
        with self._lock:
            self._ceiling.lift()

    def find_cause(self, now: float, resident_bytes: int | None) -> Cause | None:
        """Return the limit that is reached and may be acted on now, or None."""
        with self._lock:
            if self._inline:
                return None
            if self.cause is not None:
                return self.cause
            if self._wall_end is not None and not self._open and now >= self._wall_end:
                return Cause.WALL
            if (
                self._memory_end is not None
                and resident_bytes is not None
                and resident_bytes > self._memory_end
            ):
                return Cause.MEMORY
            if self._cpu_end is not None and self._clock is not None and self._cpu_is_over():
                return Cause.CPU
        return None

    def _cpu_is_over(self) -> bool:
        """Return whether the guest's thread used all its processor time."""
        try:
            return time.clock_gettime(self._clock or 0) > (self._cpu_end or 0)
        except OSError:  # the run ended since it was listed, and its thread with it: the clock is gone
            return False


class Watchdog:
    """Looks at all active runs every `POLL_SECONDS`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._watches: set[Watch] = set()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._last = 0.0

    def add(self, watch: Watch) -> None:
        """Begin to watch a run; starts the thread when there is none (in this process)."""
        with self._lock:
            if self._pid != os.getpid():  # first use, or after a fork: threads do not survive one
                self._pid, self._thread = os.getpid(), None
                self._watches = set()
            self._watches.add(watch)
            asleep = self._thread is None or time.monotonic() - self._last > IDLE_SECONDS / 2
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="pinjra-watchdog", daemon=True)
                self._thread.start()
        if asleep:
            self._wake.set()

    def remove(self, watch: Watch) -> None:
        """End to watch a run."""
        watch.lift_ceiling()
        with self._lock:
            self._watches.discard(watch)
            self._last = time.monotonic()

    def stop_now(self, watch: Watch) -> None:
        """Stop a watched run for its `cause` without waiting for the next look."""
        with self._lock:
            if watch in self._watches and watch.cause is not None:
                watch.stop(watch.cause)
                nudge(watch.thread)

    def _loop(self) -> None:
        while True:
            with self._lock:
                watches = list(self._watches)
                idle = not watches and time.monotonic() - self._last > IDLE_SECONDS
                if idle:
                    self._wake.clear()
            if idle:
                self._wake.wait()
                continue
            self._look(watches)
            time.sleep(POLL_SECONDS)

    def _look(self, watches: list[Watch]) -> None:
        now = time.monotonic()
        resident = resident_bytes() if watches else None
        for watch in watches:
            if resident is not None:
                watch.set_memory_base(resident)
            cause = watch.find_cause(now, resident)
            if cause is None:
                self._lower_ceiling(watch)
                continue
            with self._lock:
                if watch not in self._watches:
                    continue
                watch.cause = cause
                watch.stop(cause)  # again at every look: a stop may be lost in a destructor
                nudge(watch.thread)

    def _lower_ceiling(self, watch: Watch) -> None:
        with self._lock:
            if watch in self._watches:
                watch.lower_ceiling()


WATCHDOG = Watchdog()


def nudge(thread: threading.Thread) -> None:
    """Make C code on the main thread look up: a signal whose handler does nothing but let pending stops be raised."""
    if STOP_SIGNAL and thread is threading.main_thread() and signal.getsignal(STOP_SIGNAL) is _on_signal:
        signal.pthread_kill(thread.ident or 0, STOP_SIGNAL)


_on_stop: list[Callable[[], None]] = []  # of the runs on the main thread, innermost last


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _on_stop:
        _on_stop[-1]()


def listen_on_main_thread(raise_if_stopped: Callable[[], None]) -> bool:
    """Let a stop interrupt C code of a run on the main thread; False elsewhere. Undone by `unlisten`.

    The handler stays installed for good: a signal that comes after the run must not meet the default action, which is
    to end the process.
    """
    if not STOP_SIGNAL or threading.current_thread() is not threading.main_thread():
        return False
    if signal.getsignal(STOP_SIGNAL) is not _on_signal:
        if signal.getsignal(STOP_SIGNAL) is not signal.SIG_DFL:
            return False  # somebody else uses it
        signal.signal(STOP_SIGNAL, _on_signal)
    _on_stop.append(raise_if_stopped)
    return True


def unlisten() -> None:
    """Undo the last `listen_on_main_thread` that returned True."""
    _on_stop.pop()


def resident_bytes() -> int | None:
    """Return this process's resident memory; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:  # no /proc in some containers
        return None


_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def _thread_clock() -> int | None:
    if not hasattr(time, "pthread_getcpuclockid"):
        return None
    return time.pthread_getcpuclockid(threading.get_ident())
