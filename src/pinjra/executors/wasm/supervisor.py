"""A session's instances -> a transport. The supervisor of a worker that cannot have one in its box.

Theory: WASI has no processes, so what a supervisor does in other boxes is done here, on the host, by the same relay: the
guest's lane is passed on unread, the control lane is answered by this file. A run is first asked to stop (the guard looks about
every thousand operations), which keeps the session's variables; when it does not, its process is killed, the host hears
`Lost` without rollback, and a fresh instance with the same tools and files takes its place.

No thread of ours decides anything: deadlines are held by whoever reads.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pinjra.core.errors import BackendError, ProtocolViolation, StartupFailed
from pinjra.core.limits import Limits
from pinjra.core.removal import remove
from pinjra.core.temporary_folders import discard_folder, own_folder
from pinjra.executors.session.transport import Transport
from pinjra.executors.wasm.instance import Instance, Lane, Launch, plain, stop_message
from pinjra.wire import messages as wire

ASK_SECONDS = 0.3  # for a run to stop by itself: six times as long as it needs where it looks at all
LOOK_SECONDS = 0.1  # at the processor time of a run
UNREAD_BYTES = 16 << 20  # besides one value, what an instance may leave unread before it is killed
_LONGEST_SECONDS = 3600.0  # of one wait
_WAITING = 64  # chunks of 64 KiB that the guest may be ahead of the host


@dataclass(slots=True)
class _Stop:
    """A run that was asked to stop, and is killed at `deadline`."""

    cause: str
    deadline: float


class WasmTransport(Transport):
    """A session's instances, one at a time, and its folder, behind one stream.

    Args:
        launcher: Says how the instance of a number is started in the session's folder.

    Raises:
        StartupFailed: The first instance does not come up.
    """

    eight_bit_clean = True

    def __init__(self, launcher: Callable[[Path, int], Launch], limits: Limits) -> None:
        self._limits = limits
        self._launcher = launcher
        most = None if limits.value_bytes is None else limits.value_bytes + UNREAD_BYTES
        self._lane = Lane(most or 1 << 30)
        self._most_unread = most
        self._folder, self._folder_lock = own_folder("pinjra-wasm-")
        (self._folder / "scratch").mkdir()
        self._lock = threading.RLock()
        self._events: queue.Queue[tuple[Instance | None, bytes]] = queue.Queue(_WAITING)
        self._out: list[bytes] = []
        self._is_closed = False
        self._started = 0
        self._init: wire.Init | None = None
        self._is_up = False
        self._is_started = False
        self._death = ""
        self._is_used = False  # there are variables that a death would lose
        self._loss: wire.Lost | None = None  # said in answer to the next run
        self._stop: _Stop | None = None
        self._kills: list[wire.Kill] = []
        self._files: set[int] = set()  # requests that the instance answers
        self._held: list[wire.Message] = []  # until the fresh instance is up: the next run's time is its own
        self._report = b""
        self._cpu_before = 0.0
        self._instance = self._start()

    # ------------------------------------------------------------ instances

    def _start(self) -> Instance:
        self._started += 1
        self._report = b""
        self._is_up = False
        instance = Instance(self._launcher(self._folder, self._started), self._receive)
        if self._init is not None:
            instance.write(plain(self._init))
            if self._lane.grants.tools:
                instance.write(plain(self._lane.grants))
        return instance

    def _receive(self, instance: Instance, data: bytes) -> None:
        """Hand on what an instance says, also one that was replaced: who reads knows which one is meant."""
        while not self._is_closed:
            try:
                self._events.put((instance, data), timeout=1.0)
                return
            except queue.Full:
                continue

    def _replace(self) -> None:
        """Put a fresh instance in the place of the dead one."""
        old = self._instance
        self._lane.interpreter_died()
        for request in sorted(self._files):
            why = "the interpreter died"
            self._say(wire.Done(request=request, problem="error", message=why))
        self._files.clear()
        self._stop = None
        self._is_used = False
        self._instance = self._start()
        old.close()

    def _empty_scratch(self) -> None:
        remove(self._folder / "scratch")
        (self._folder / "scratch").mkdir(exist_ok=True)

    # ------------------------------------------------------------ from the instance

    def _on_bytes(self, data: bytes) -> None:
        if not data:
            self._on_death()
            return
        if not self._is_reported:
            data = self._take_report(data)
        try:
            for item in self._lane.sort(data):
                if isinstance(item, bytes):
                    self._out.append(item)
                else:
                    self._on_own(item)
        except ProtocolViolation:
            self._lose("protocol", "it sent what is no message")
            return
        self._end_of_run()

    @property
    def _is_reported(self) -> bool:
        return self._report.endswith(b"\n")

    def _take_report(self, data: bytes) -> bytes:
        """Take the line in which a new process says how it is confined; return what is behind it."""
        line, end, rest = data.partition(b"\n")
        self._report += line + end
        if end and self._started == 1:
            said: Mapping[str, Any] = json.loads(self._report)
            self._say(
                wire.Hello(
                    protocol=wire.PROTOCOL,
                    capabilities=("raw",),
                    applied=tuple(said["applied"]),
                    missing=tuple(said["missing"]),
                )
            )
        return rest

    def _on_own(self, message: wire.Message) -> None:
        request: int = getattr(message, "request", 0)
        if request == 0:
            if not self._is_started:
                self._is_started = True
                self._say(wire.Started())
            self._is_up = True
            self._instance.set_limits()
            for held in self._held:
                self._say(held)
            self._held.clear()
            return
        if request in self._files:  # SECURITY: the guest may answer what it was asked, once, and nothing else
            self._files.discard(request)
            self._say(message)

    def _end_of_run(self) -> None:
        """A run that ended by itself has nothing to stop any more; kills that came for it are answered."""
        if self._lane.run_open:
            return
        if self._stop is not None and not self._lane.unbound:
            self._stop = None
        for kill in self._kills if not self._lane.unbound else ():
            self._say(wire.Lost(cause=kill.cause, kill=kill.kill, rolled_back=True))
        if not self._lane.unbound:
            self._kills.clear()

    def _on_death(self) -> None:
        cause, detail = self._instance.explain_end()
        if self._is_up:
            self._lose(self._stop.cause if self._stop else cause, detail)
            return
        self._death = f"the instance does not start ({detail})"
        if self._init is None:
            raise StartupFailed(self._death)
        if self._is_started:  # it did once, and does not any more
            self._is_closed = True
        else:
            self._say(wire.Done(request=0, problem="error", message=self._death))

    # ------------------------------------------------------------ stops and losses

    def _hold_deadlines(self, now: float) -> None:
        if self._is_closed:
            return
        if self._stop is not None:
            if now >= self._stop.deadline:
                self._lose(self._stop.cause, "it did not stop by itself")
        elif self._is_out_of_cpu():
            self._ask_to_stop("cpu", ASK_SECONDS)
        if self._most_unread is not None and self._instance.unsent_bytes > self._most_unread:
            self._lose("protocol", "it does not read")

    def _is_out_of_cpu(self) -> bool:
        limit = self._limits.cpu_seconds
        if limit is None or not self._lane.run_open:
            return False
        return self._instance.used()[0] - self._cpu_before > limit

    def _ask_to_stop(self, cause: str, seconds: float) -> None:
        if self._stop is None:
            self._instance.write(stop_message(cause))
            self._stop = _Stop(cause, time.monotonic() + seconds)

    def _lose(self, cause: str, detail: str) -> None:
        """Kill the instance, tell the host what that cost, and start another."""
        seconds, peak = self._instance.used()
        was_due = self._lane.run_open or bool(self._lane.unbound) or bool(self._kills)
        was_used = self._is_used
        self._instance.kill()
        if cause == "disk":  # what is over the quota would end the next instance too
            self._empty_scratch()
            detail = "the scratch folder was emptied"
        kill = self._kills.pop(0) if self._kills else None
        lost = wire.Lost(
            cause=kill.cause if kill else cause,
            detail=detail,
            rolled_back=not was_used,
            kill=kill.kill if kill else 0,
            cpu_seconds=max(0.0, seconds - self._cpu_before),
            memory_peak_bytes=peak,
        )
        self._replace()
        if was_due:
            self._held.append(lost)
        elif was_used:
            self._loss = lost
        self._held += [wire.Lost(cause=late.cause, kill=late.kill, rolled_back=True) for late in self._kills]
        self._kills.clear()

    # ------------------------------------------------------------ from the host

    def _say(self, message: wire.Message) -> None:
        self._out.append(self._lane.send(message))

    def _say_when_up(self, message: wire.Message) -> None:
        if self._is_up:
            self._say(message)
        else:
            self._held.append(message)

    def _pass_on(self, data: bytes) -> None:
        if self._lane.note(data):
            if self._loss is not None:
                lost, self._loss = self._loss, None
                self._lane.run_open = False
                self._say_when_up(lost)
                return
            self._cpu_before = self._instance.used()[0]
        self._is_used = self._is_used or bool(self._lane.run_open)
        self._instance.write(data)

    def _on_init(self, message: wire.Init) -> None:
        self._init = replace(message, scratch="", raw=True, resume=False)
        self._instance.write(plain(self._init))

    def _on_interrupt(self, message: wire.Interrupt) -> None:
        if self._lane.run_open:
            self._ask_to_stop("interrupt", message.grace_seconds)

    def _on_kill(self, message: wire.Kill) -> None:
        if not self._lane.run_open and not self._lane.unbound:
            # Never before the word of a loss: the first of the two ends the run.
            self._say_when_up(wire.Lost(cause=message.cause, kill=message.kill, rolled_back=True))
            return
        self._kills.append(message)
        self._ask_to_stop(message.cause, ASK_SECONDS)

    def _on_file(self, message: wire.PutFile | wire.GetFile | wire.ListFiles) -> None:
        self._files.add(message.request)
        self._instance.write(plain(message))

    def _on_reset(self, message: wire.Reset) -> None:
        self._instance.kill()
        self._empty_scratch()
        self._loss = None
        self._replace()
        self._say_when_up(wire.Done(request=message.request))

    # ------------------------------------------------------------ the stream

    def read(self, timeout_seconds: float | None) -> bytes:
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            with self._lock:
                self._hold_deadlines(time.monotonic())
                if self._out:
                    data = b"".join(self._out)
                    self._out.clear()
                    return data
                if self._is_closed:
                    return b""
                wait = self._wait(deadline)
            try:
                instance, data = self._events.get(timeout=wait) if wait else self._events.get_nowait()
            except queue.Empty:
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError(f"nothing came within {timeout_seconds} s") from None
                continue
            with self._lock:
                if instance is self._instance and not self._is_closed:
                    self._on_bytes(data)

    def _wait(self, deadline: float | None) -> float:
        """Return for how long to wait for bytes; 0 to take what is there."""
        now = time.monotonic()
        times = [deadline, self._stop.deadline if self._stop else None, now + _LONGEST_SECONDS]
        if self._lane.run_open and self._limits.cpu_seconds is not None:
            times.append(now + LOOK_SECONDS)
        return max(0.0, min(at for at in times if at is not None) - now)

    def write(self, data: bytes) -> None:
        with self._lock:
            if self._is_closed:
                raise BackendError("the session was closed")
            for event in self._lane.receive_data(data):
                if isinstance(event, bytes):
                    self._pass_on(event)
                else:
                    handler = _HANDLERS.get(type(event))
                    if handler is not None:
                        handler(self, event)
            reply = self._lane.take_reply()
            if reply:
                self._out.append(reply)
        self._wake()

    def _wake(self) -> None:
        try:
            self._events.put_nowait((None, b""))
        except queue.Full:
            pass  # then the reader has something to do anyway

    def kill(self) -> None:
        with self._lock:
            self._is_closed = True
            self._instance.kill()
        self._wake()

    def close(self) -> None:
        self.kill()
        with self._lock:
            self._instance.close()
            discard_folder(self._folder, self._folder_lock)
            self._folder_lock = -1

    def describe_death(self) -> str:
        """Return why no instance could take the place of one that died; other deaths are told on the stream."""
        return self._death


_HANDLERS: dict[type[wire.Message], Callable[[WasmTransport, Any], None]] = {
    wire.Init: WasmTransport._on_init,
    wire.Interrupt: WasmTransport._on_interrupt,
    wire.Kill: WasmTransport._on_kill,
    wire.PutFile: WasmTransport._on_file,
    wire.GetFile: WasmTransport._on_file,
    wire.ListFiles: WasmTransport._on_file,
    wire.Reset: WasmTransport._on_reset,
}
