"""A process with an instance of CPython for WASI -> a transport: the supervisor, and whoever waits for it."""

from __future__ import annotations

import queue
import shutil
import time

from pinjra.core.errors import BackendError
from pinjra.executors.wasm.supervisor import LOOK_SECONDS, Supervisor
from pinjra.wire.relay import Relay

__all__ = ["WasmTransport"]

_LONGEST_SECONDS = 3600.0  # of one wait


class WasmTransport(Supervisor):
    """A session's instances behind one stream; what it takes is `Supervisor`'s."""

    eight_bit_clean = True

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return the next bytes for the host; see `Transport.read`."""
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
        """Take what the host says; see `Transport.write`."""
        with self._lock:
            if self._is_closed:
                raise BackendError("the session was closed")
            for event in self._lane.receive_data(data):
                if isinstance(event, Relay):
                    self._pass_on(event)
                else:
                    self._handle(event)
            reply = self._lane.take_reply()
            if reply:
                self._out.append(reply)
        self._wake()

    def _wake(self) -> None:
        try:
            self._events.put_nowait((None, b""))
        except queue.Full:
            pass  # then the reader has something to do anyway

    def reopen(self) -> bool:
        """A process cannot be attached to again."""
        return False

    def kill(self) -> None:
        """Kill the instance; the stream ends."""
        with self._lock:
            self._is_closed = True
            self._instance.kill()
        self._wake()

    def close(self) -> None:
        """Kill the instance; remove the session's folder."""
        self.kill()
        with self._lock:
            self._instance.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def describe_death(self) -> str:
        """Return why no instance could take the place of one that died; other deaths are told on the stream."""
        return self._death
