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
from pinjra.executors.session.transport import Transport
from pinjra.jail.paths import PACKAGE

WORKER_COMMAND = (sys.executable, "-I", "-u", "-m", "pinjra.worker")
READ_BYTES = 256 << 10
TAIL_BYTES = 4096  # of stderr, kept to say why a worker died
WRITE_SECONDS = 30.0  # without one byte taken: a supervisor always reads, so it is stuck or hostile
END_SECONDS = 5.0  # for a killed process to be gone
_PIPE_BYTES = 1 << 20  # as large as an unprivileged user may ask for (pipe(7))


_BOOT = (
    "import sys; sys.path += sys.argv[1:]; del sys.argv[1:]; from pinjra.worker.__main__ import main; main()"
)


def worker_command(python_path: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the command of a worker with the modules of this process's installation and of some folders of the caller's."""
    installed = [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]
    own = os.path.dirname(PACKAGE)
    return (sys.executable, "-I", "-u", "-c", _BOOT, *dict.fromkeys((*installed, own, *python_path)))


class SubprocessTransport(Transport):
    """A process of this machine, on two pipes.

    Args:
        command: Started without a shell, in a session (process group) of its own.
        environment: All of it; nothing is inherited.
        eight_bit_clean: False where the command hands its stream on to something that is not.
        first: Written before anything else (a program that the command waits for).

    Raises:
        StartupFailed: The command cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str] = WORKER_COMMAND,
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
        self._in, self._out, self._err = (pipe.fileno() for pipe in self._pipes())
        self._tail = b""
        self._ending = threading.Lock()
        self._reading = threading.Lock()
        self._is_closed = False
        for fd in (self._in, self._out, self._err):
            os.set_blocking(fd, False)
        _widen(self._in, self._out)
        if first:
            self.write(first)

    def _pipes(self) -> list[IO[bytes]]:
        process = self._process
        return [pipe for pipe in (process.stdin, process.stdout, process.stderr) if pipe is not None]

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return the next bytes; see `Transport.read`."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        with self._reading:
            if self._is_closed:
                return b""
            while True:
                ready = self._poll(deadline)
                if not ready:
                    raise TimeoutError(f"nothing came within {timeout_seconds} s")
                if self._err in ready:
                    self._take_tail()
                if self._out in ready:
                    with suppress(BlockingIOError):
                        return os.read(self._out, READ_BYTES)

    def fileno(self) -> int:
        """Return what is readable when the worker says something; -1 when it is closed."""
        return self._out

    def _poll(self, deadline: float | None) -> set[int]:
        poll = select.poll()
        for fd in (self._out, self._err):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        return {fd for fd, _events in poll.poll(left)}

    def _take_tail(self) -> None:
        try:
            data = os.read(self._err, 65536)
        except BlockingIOError:
            return
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        if not data:
            self._err = -1  # Popen still owns and closes it

    def write(self, data: bytes) -> None:
        """Send all of `data`; see `Transport.write`."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._in, view) :]
            except BlockingIOError:
                self._await_room()
            except (OSError, ValueError) as error:
                raise BackendError(f"the worker takes nothing any more: {error}") from error

    def _await_room(self) -> None:
        poll = select.poll()
        poll.register(self._in, select.POLLOUT)
        if not poll.poll(WRITE_SECONDS * 1000):
            raise BackendError(f"the worker did not read for {WRITE_SECONDS:g} s")

    def kill(self) -> None:
        """Kill the process group; what left it ends with the worker that watches it."""
        with self._ending:
            if self._process.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.kill()

    def close(self) -> None:
        """Kill, reap and close the pipes."""
        self.kill()
        with self._reading:  # a reader comes back at once: its pipe has ended
            if self._is_closed:
                return
            self._is_closed = True
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
        status = self._process.returncode if self._is_closed else self._reap(0.5)
        if status is None:
            return ""
        if not self._is_closed and self._err >= 0:
            self._take_tail()
        said = self._tail.decode("utf-8", "replace").strip()
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return f"{how}: {said[-1000:]}" if said else how


def _widen(*pipes: int) -> None:
    """Make pipes as large as allowed: eight megabytes cross with 8 wake-ups instead of 128."""
    with suppress(
        ImportError, AttributeError, OSError
    ):  # not Linux, or the user's share of pipe memory is used up
        import fcntl

        for fd in pipes:
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
