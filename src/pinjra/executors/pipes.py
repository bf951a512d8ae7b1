"""A command that speaks the protocol on stdin and stdout -> a transport. The base for command lines of others (ssh, docker)."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from pinjra.core.errors import BackendError, StartupFailed
from pinjra.core.module_path import installed_folders
from pinjra.executors.session.transport import Transport
from pinjra.jail.paths import PACKAGE

TAIL_BYTES = 4096  # of stderr, kept to say why a worker died
END_SECONDS = 5.0  # for a killed process to be gone
_PIPE_BYTES = 1 << 20  # as large as an unprivileged user may ask for (pipe(7))


_BOOT = (
    "import sys; sys.path += sys.argv[1:]; del sys.argv[1:]; from pinjra.worker.__main__ import main; main()"
)


def worker_command(python_path: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the command of a worker with the modules of this process's installation and of some folders of the caller's."""
    own = os.path.dirname(PACKAGE)
    return (
        sys.executable,
        "-I",
        "-u",
        "-c",
        _BOOT,
        *dict.fromkeys((*installed_folders(), own, *python_path)),
    )


class DescriptorTransport(Transport):
    """A stream on descriptors of this process, one to read (by one thread at a time) and one to write; they may be the same."""

    READ_BYTES = 256 << 10  # the most of one read
    WRITE_SECONDS: float | None = None
    """Without one byte taken, after which the other side is stuck or hostile; None: `kill` is the deadline."""
    eight_bit_clean = True

    def __init__(self, reading: int, writing: int) -> None:
        self._out, self._in = reading, writing
        self._reading = threading.Lock()
        for fd in (reading, writing):
            os.set_blocking(fd, False)

    def fileno(self) -> int:
        """Return what is readable when the worker says something, or has ended; -1 when it is closed."""
        return self._out

    def read(self, timeout_seconds: float | None) -> bytes:
        with self._reading:
            if self._out < 0:
                return b""
            self._wait(timeout_seconds)
            try:
                return os.read(self._out, self.READ_BYTES)
            except BlockingIOError:
                raise TimeoutError("nothing came in time") from None
            except OSError:
                return b""

    def _wait(self, timeout_seconds: float | None) -> None:
        """Return when there is something to read; raise `TimeoutError` when there is nothing in time."""
        if not is_ready(self._out, select.POLLIN, timeout_seconds):
            raise TimeoutError(f"nothing came within {timeout_seconds} s")

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._in, rest) :]
            except BlockingIOError:
                if not is_ready(self._in, select.POLLOUT, self.WRITE_SECONDS):
                    raise BackendError(f"the worker did not read for {self.WRITE_SECONDS} s") from None
            except (OSError, ValueError) as error:
                raise BackendError(f"the worker takes nothing any more: {error}") from error


def is_ready(fd: int, event: int, timeout_seconds: float | None) -> bool:
    """Return whether a descriptor is ready, or has ended, in time."""
    poll = select.poll()
    poll.register(fd, event)
    return bool(poll.poll(None if timeout_seconds is None else max(timeout_seconds, 0.0) * 1000))


class SubprocessTransport(DescriptorTransport):
    """A process of this machine, on two pipes.

    Args:
        command: Started without a shell, in a session (process group) of its own.
        environment: All of it; nothing is inherited.
        eight_bit_clean: False where the command hands its stream on to something that is not.
        first: Written before anything else (a program that the command waits for).

    Raises:
        StartupFailed: The command cannot be started.
    """

    WRITE_SECONDS = 30.0

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        eight_bit_clean: bool = True,
        first: bytes = b"",
    ) -> None:
        self.eight_bit_clean = eight_bit_clean
        try:
            self._process = subprocess.Popen(  # noqa: S603  (the operator's own command, no shell)
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=dict(environment or {}),
                start_new_session=True,
            )
        except OSError as error:
            raise StartupFailed(f"{command[0]!r} cannot be started: {error}") from error
        writing, reading, self._err = (pipe.fileno() for pipe in self._pipes())
        super().__init__(reading, writing)
        os.set_blocking(self._err, False)
        self._tail = b""
        self._ending = threading.Lock()
        _widen(writing, reading)
        if first:
            self.write(first)

    @property
    def pid(self) -> int:
        return self._process.pid

    def _pipes(self) -> list[IO[bytes]]:
        process = self._process
        return [pipe for pipe in (process.stdin, process.stdout, process.stderr) if pipe is not None]

    def _wait(self, timeout_seconds: float | None) -> None:
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            poll = select.poll()
            for fd in (self._out, self._err):
                if fd >= 0:
                    poll.register(fd, select.POLLIN)
            left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            ready = {fd for fd, _events in poll.poll(left)}
            if self._err in ready:
                self._take_tail()
            if self._out in ready:
                return
            if not ready:
                raise TimeoutError(f"nothing came within {timeout_seconds} s")

    def _take_tail(self) -> None:
        try:
            data = os.read(self._err, 65536)
        except BlockingIOError:
            return
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        if not data:
            self._err = -1  # Popen still owns and closes it

    def kill(self) -> None:
        """Kill the process group; what left it ends with the worker that watches it."""
        with self._ending:
            if self._process.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.kill()

    def close(self) -> None:
        self.kill()
        with self._reading:  # a reader comes back at once: its pipe has ended
            if self._out < 0:
                return
            self._reap(END_SECONDS)
            self._in = self._out = self._err = -1
            for pipe in self._pipes():
                pipe.close()

    def _reap(self, seconds: float) -> int | None:
        with self._ending:
            try:
                return self._process.wait(seconds)
            except subprocess.TimeoutExpired:  # in the kernel's hands; init reaps it
                return None

    def describe_death(self) -> str:
        """Return the exit status or signal and the last words on stderr."""
        status = self._process.returncode if self._out < 0 else self._reap(0.5)
        if status is None:
            return ""
        if self._err >= 0:
            self._take_tail()
        said = self._tail.decode("utf-8", "replace").strip()
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return f"{how}: {said[-1000:]}" if said else how


def _widen(*pipes: int) -> None:
    """Make pipes as large as allowed: eight megabytes cross with 8 wake-ups instead of 128."""
    # not Linux, or the user's share of pipe memory is used up
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        for fd in pipes:
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
