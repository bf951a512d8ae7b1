"""The process of one instance: bytes to it, bytes from it, its end. Works where there are pipes and threads, Windows included."""

from __future__ import annotations

import json
import mmap
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pinjra.core.errors import StartupFailed
from pinjra.executors.wasm_host import STATUS, Settings

__all__ = ["Instance"]

COMMAND = (sys.executable, "-I", "-u", "-m", "pinjra.executors.wasm_host")
_READ_BYTES = 64 << 10
_END_SECONDS = 5.0  # for a killed process to be gone
_TAIL_BYTES = 4096


class Instance:
    """One process with one instance in it.

    Args:
        settings: Of the instance; the status file is made here.
        hear: Called on a thread of its own with (this object, bytes), b"" at the end; may block to slow the guest down.

    Raises:
        StartupFailed: The process cannot be started.
    """

    def __init__(self, settings: Settings, hear: Callable[[Instance, bytes], None]) -> None:
        self._hear = hear
        Path(settings.status).write_bytes(bytes(STATUS.size))
        with open(settings.status, "rb") as file:
            self._status = mmap.mmap(file.fileno(), STATUS.size, access=mmap.ACCESS_READ)
        environment = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
        try:
            self._process = subprocess.Popen(  # noqa: S603  (our own module, by a fixed command)
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise StartupFailed(f"{COMMAND[0]!r} cannot be started: {error}") from error
        self._unsent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.unsent_bytes = 0
        self.write(json.dumps(asdict(settings)).encode() + b"\n")
        for work in (self._write_all, self._read_all):
            threading.Thread(target=work, name="pinjra-wasm", daemon=True).start()

    # ------------------------------------------------------------ the stream

    def write(self, data: bytes) -> None:
        """Send `data`, in order, without waiting."""
        self.unsent_bytes += len(data)
        self._unsent.put(data)

    def _write_all(self) -> None:
        pipe = self._process.stdin
        while (data := self._unsent.get()) is not None and pipe is not None:
            view = memoryview(data)
            try:
                while view:
                    view = view[pipe.write(view) or 0 :]
            except (OSError, ValueError):
                return  # it died; who reads hears of it
            self.unsent_bytes -= len(data)

    def _read_all(self) -> None:
        pipe = self._process.stdout
        while pipe is not None:
            try:
                data = pipe.read(_READ_BYTES)
            except (OSError, ValueError):
                data = b""
            self._hear(self, data or b"")
            if not data:
                pipe.close()
                return

    # ------------------------------------------------------------ how it is

    def used(self) -> tuple[float, int]:
        """Return processor seconds and most resident bytes, as of the last look (every 50 ms)."""
        seconds, peak = STATUS.unpack(self._status[:])
        return float(seconds), int(peak)

    def kill(self) -> None:
        """Kill the process, at once, and reap it."""
        self._unsent.put(None)
        self._process.kill()
        self.exit_status()

    def exit_status(self) -> int | None:
        """Return the exit status of the process whose stream has ended; None where it hangs."""
        try:
            return self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:  # in the kernel's hands
            return None

    def last_words(self) -> str:
        """Return what it wrote to stderr, once it has ended."""
        if self._process.stderr is None or self._process.returncode is None:
            return ""
        said = self._process.stderr.read(_TAIL_BYTES) or b""
        return said.decode("utf-8", "replace").strip()[-1000:]

    def close(self) -> None:
        """Kill the process and close the pipes, once nobody reads them any more."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._status.close()
