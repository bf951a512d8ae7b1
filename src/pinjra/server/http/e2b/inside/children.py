"""A program and its standard streams, or a terminal, as a child process -> events for whoever listens."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import subprocess
import termios
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pinjra.core.processes import ended_children

if TYPE_CHECKING:
    from e2b.envd.process import process_pb as pb

_READ_BYTES = 32 << 10
_MOST_WAITING = 64  # pieces that a listener has not taken: then the program waits for it


class Reaper:
    """SIGCHLD -> the exit status of each child, told to whoever started it. Orphans of the box come to this process, too."""

    def __init__(self) -> None:
        self._tells: dict[int, Callable[[int], None]] = {}

    @classmethod
    def install(cls, loop: asyncio.AbstractEventLoop) -> Reaper:
        """Return a reaper that works from now on."""
        reaper = cls()
        loop.add_signal_handler(signal.SIGCHLD, reaper.reap)
        return reaper

    def watch(self, pid: int, tell: Callable[[int], None]) -> None:
        """Call `tell` with the exit status of a child of this process (negative: a signal) once it has ended."""
        self._tells[pid] = tell

    def reap(self) -> None:
        """Take note of all children that have ended."""
        for pid, status, _usage in ended_children():
            tell = self._tells.pop(pid, None)
            if tell is not None:
                tell(os.waitstatus_to_exitcode(status))


class Listener:
    """One reader of a program's output."""

    def __init__(self) -> None:
        self.events: deque[tuple[str, bytes | int]] = deque()
        self._wake = asyncio.Event()

    def put(self, name: str, value: bytes | int) -> None:
        """Take a piece of output, or the end."""
        self.events.append((name, value))
        self._wake.set()

    async def next(self, seconds: float | None) -> tuple[str, bytes | int] | None:
        """Return the next event; None when there was none for so long."""
        while not self.events:  # who else reads them may have taken what this one was woken for
            self._wake.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                return None
        return self.events.popleft()


class Child:
    """A child process. What it prints while nobody listens is dropped."""

    def __init__(self, reaper: Reaper) -> None:
        self._reaper = reaper
        self._loop = asyncio.get_running_loop()
        self.pid = 0
        self.status: int | None = None
        self.stdin = -1
        self._outputs: dict[int, str] = {}
        self._paused: set[int] = set()
        self._listeners: list[Listener] = []
        self._room = asyncio.Event()
        self._writing = asyncio.Lock()
        self._gone = asyncio.Event()
        self.is_late = False
        self.on_end: list[Callable[[], None]] = []

    def start(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        environment: Mapping[str, str],
        has_stdin: bool = False,
        stdin: int = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start a program in a session of its own.

        Args:
            has_stdin: `write` goes to its standard input, which else is `stdin`.

        Raises:
            OSError: It cannot be (the client's fault: no such program or folder).
        """
        process = _started(
            argv,
            cwd,
            environment,
            stdin=subprocess.PIPE if has_stdin else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=pass_fds,
        )
        if process.stdin is not None:
            self.stdin = os.dup(process.stdin.fileno())
            os.set_blocking(self.stdin, False)
        streams = {"stdout": process.stdout, "stderr": process.stderr}
        outputs = {os.dup(stream.fileno()): name for name, stream in streams.items() if stream is not None}
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        self.attend(process.pid, outputs)

    def start_at_terminal(
        self, argv: Sequence[str], *, cwd: str, environment: Mapping[str, str], size: pb.PTY.Size | None
    ) -> None:
        """Start a program at a new terminal of the box's own. Raises as `start`, also where this box has no terminals."""
        self.stdin, theirs = os.openpty()
        try:
            self.resize(size)
            process = _started(
                argv,
                cwd,
                {"TERM": "xterm", **environment},
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )
        except BaseException:
            os.close(self.stdin)
            raise
        finally:
            os.close(theirs)
        self.attend(process.pid, {os.dup(self.stdin): "pty"})

    def resize(self, size: pb.PTY.Size | None) -> None:
        """Change the size of its terminal."""
        if size is not None and self.stdin >= 0:
            rows, columns = min(size.rows, 0xFFFF), min(size.cols, 0xFFFF)
            fcntl.ioctl(self.stdin, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def attend(self, pid: int, outputs: Mapping[int, str]) -> None:
        """Read a child's output, and wait for its end.

        Args:
            outputs: Descriptors to read, which this object owns from now on, and what each is called.
        """
        self.pid = pid
        for descriptor, name in outputs.items():
            os.set_blocking(descriptor, False)
            self._outputs[descriptor] = name
            self._loop.add_reader(descriptor, self._read, descriptor)
        self._reaper.watch(pid, self._ended)

    def _read(self, descriptor: int) -> bool:
        """Read once; return whether there may be more."""
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # a terminal whose other side is closed
            data = b""
        if not data:
            self._close(descriptor)
            return False
        for listener in self._listeners:
            listener.put(self._outputs[descriptor], data)
        if self.status is None and any(len(one.events) > _MOST_WAITING for one in self._listeners):
            self._loop.remove_reader(descriptor)
            self._paused.add(descriptor)
        return True

    def drain(self) -> None:
        """Read what is written already."""
        for descriptor in list(self._outputs):
            while self._read(descriptor):
                pass

    def _close(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        self._paused.discard(descriptor)
        del self._outputs[descriptor]
        os.close(descriptor)

    def _ended(self, status: int) -> None:
        self.status = status
        self._gone.set()
        self.drain()  # what a grandchild writes later is nobody's
        for descriptor in list(self._outputs):
            self._close(descriptor)
        self.close_stdin()
        for listener in self._listeners:
            listener.put("end", status)
        for tell in self.on_end:
            tell()

    async def listen(
        self, listener: Listener, keepalive_seconds: float | None = None
    ) -> AsyncIterator[tuple[str, bytes | int] | None]:
        """Yield (stream, bytes), None when it was silent for so long, and last ("end", status)."""
        try:
            while True:
                event = await listener.next(keepalive_seconds)
                yield event
                if self._paused and len(listener.events) < _MOST_WAITING // 2:
                    self._go_on()
                if event is not None and event[0] == "end":
                    return
        finally:
            self.leave(listener)

    def join(self) -> Listener:
        """Return a new listener, which hears everything from now on."""
        listener = Listener()
        self._listeners.append(listener)
        if self.status is not None:
            listener.put("end", self.status)
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        if listener in self._listeners:
            self._listeners.remove(listener)
        self._go_on()

    def _go_on(self) -> None:
        if any(len(one.events) > _MOST_WAITING for one in self._listeners):
            return
        for descriptor in self._paused:
            self._loop.add_reader(descriptor, self._read, descriptor)
        self._paused.clear()

    async def write(self, data: bytes) -> None:
        """Write to the standard input, all of it.

        Raises:
            OSError: It is closed.
        """
        async with self._writing:
            view = memoryview(data)
            while view:
                if self.stdin < 0:
                    raise BrokenPipeError("standard input is closed")
                try:
                    view = view[os.write(self.stdin, view) :]
                except BlockingIOError:
                    self._room.clear()
                    self._loop.add_writer(self.stdin, self._room.set)
                    try:
                        await self._room.wait()
                    finally:
                        if self.stdin >= 0:
                            self._loop.remove_writer(self.stdin)

    def close_stdin(self) -> None:
        """End the standard input."""
        descriptor, self.stdin = self.stdin, -1
        if descriptor >= 0:
            self._loop.remove_writer(descriptor)
            self._room.set()
            os.close(descriptor)

    def kill_late(self) -> None:
        """Kill all of its group, because its time is over."""
        self.is_late = self.status is None
        self.kill(group=True)

    async def wait(self, seconds: float) -> None:
        """Return when it has ended, or after so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._gone.wait()

    def kill(self, number: int = signal.SIGKILL, *, group: bool = False) -> None:
        """Send a signal, to all of its group on request."""
        if self.status is not None:
            return
        for send in (os.killpg, os.kill) if group else (os.kill,):  # it may not have its group yet
            with suppress(ProcessLookupError):
                send(self.pid, number)
                return


def _started(
    argv: Sequence[str], cwd: str, environment: Mapping[str, str], **options: Any
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(list(argv), cwd=cwd, env=dict(environment), start_new_session=True, **options)  # noqa: S603 (in the box, by whoever owns it)
    process.returncode = 0  # the reaper waits for it
    return process
