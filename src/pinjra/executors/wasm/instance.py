"""One instance: its process, and the bytes to and from it. Works where there are pipes and threads, Windows included.

A worker in one process (see `worker.interpreter.single_process`) answers requests for files itself, on the guest's lane.
`Lane` takes them out, checks them, and leaves it to whoever owns the instance to say them on the control lane; everything else
of the guest is passed on unread.
"""

from __future__ import annotations

import queue
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pinjra.core.errors import ProtocolViolation, StartupFailed
from pinjra.executors.wasm.child import DISK_STATUS, TRAP_STATUS, environment
from pinjra.wire import messages as wire
from pinjra.wire.connection import GuestConnection, SupervisorConnection
from pinjra.wire.frames import Frame

_OUT_OF_MEMORY = re.compile("out of memory|memory allocation of", re.IGNORECASE)  # as V8 and Rust say it
_READ_BYTES = 64 << 10
_END_SECONDS = 5.0  # for a killed process to be gone
_TAIL_BYTES = 65536  # what a pipe holds: V8 tells of its last collections before it says why it ends
_WORDS_CHARS = 400  # the end of a traceback tells more than its beginning, and an error's message is cut
_KIND = re.compile(rb'"([A-Z][A-Za-z]*)"')
_TAKEN = wire.kinds(wire.Done)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How one process is started.

    Args:
        used: Process id -> processor seconds and most resident bytes, as of the last look.
        set_limits: Sets those limits of a process that are relative to what it takes before guest code runs.
        stdin: What it is told first.
        folder: In which it works: of the session, so that its name tells nothing.
        report: What it would say first, where it does not say it itself: a line of JSON.
        environment: Besides what every process of the system needs.
    """

    command: tuple[str, ...]
    folder: Path
    used: Callable[[int], tuple[float, int]]
    set_limits: Callable[[int], object] = lambda _pid: None
    stdin: bytes = b""
    report: bytes = b""
    environment: Mapping[str, str] = field(default_factory=dict)


class Instance:
    """One process with one instance in it.

    Args:
        launch: How it is started.
        receive: Called on a thread of its own with (this object, bytes), b"" at the end; may block to slow the guest down.

    Raises:
        StartupFailed: The process cannot be started.
    """

    def __init__(self, launch: Launch, receive: Callable[[Instance, bytes], None]) -> None:
        self._receive = receive
        self._launch = launch
        try:
            self._process = subprocess.Popen(  # noqa: S603  (our own command, no shell)
                launch.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd=launch.folder,
                env=environment(**launch.environment),
                start_new_session=True,
            )
        except OSError as error:
            raise StartupFailed(f"{launch.command[0]!r} cannot be started: {error}") from error
        self._unsent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.unsent_bytes = 0
        if launch.stdin:
            self.write(launch.stdin)
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
        if self._launch.report:
            self._receive(self, self._launch.report)
        pipe = self._process.stdout
        while pipe is not None:
            try:
                data = pipe.read(_READ_BYTES)
            except (OSError, ValueError):
                data = b""
            self._receive(self, data or b"")
            if not data:
                pipe.close()
                return

    # ------------------------------------------------------------ how it is

    def used(self) -> tuple[float, int]:
        """Return processor seconds and most resident bytes, as of the last look."""
        return self._launch.used(self._process.pid)

    def set_limits(self) -> None:
        """Set the limits that wait until the process is up."""
        self._launch.set_limits(self._process.pid)

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

    def explain_end(self) -> tuple[str, str]:
        """Return the cause of a death that nobody wanted, in the words of `Lost`, and what is known of it."""
        status = self.exit_status()
        said = self._said()
        words = said[-_WORDS_CHARS:]
        detail = f"exit status {status}" + (f": {words}" if words else "")
        cause = {DISK_STATUS: "disk", TRAP_STATUS: "signal"}.get(status or 0, "exit")
        if status is not None and status < 0:
            cause, detail = "signal", f"signal {-status}"
        if _OUT_OF_MEMORY.search(said) and cause == "signal":
            cause = "memory"
        return cause, detail

    def _said(self) -> str:
        """Return what it wrote to stderr, once it has ended."""
        if self._process.stderr is None or self._process.returncode is None:
            return ""
        said = self._process.stderr.read(_TAIL_BYTES) or b""
        return said.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Kill the process and close the pipes, once nobody reads them any more."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stderr):
            if pipe is not None:
                pipe.close()


class Lane(SupervisorConnection):
    """Between the stream to the host and the instance.

    Args:
        message_bytes: What one message of the guest may have.
    """

    def __init__(self, message_bytes: int) -> None:
        super().__init__(message_bytes=message_bytes)
        self._held: list[Frame] = []  # of a message that is not whole yet
        self._held_bytes = 0
        self._asked: list[bytes] = []
        self.grants = wire.GrantTools(request=0, tools={})
        """All tools that were granted, for an instance that takes the place of this one."""
        self.unbound: set[int] = set()
        """Requests of the guest's lane that are not answered."""

    # ------------------------------------------------------------ from the instance

    def sort(self, data: bytes) -> Iterator[bytes | wire.Message]:
        """Take bytes of the instance; return bytes for the host, and messages that are for this side.

        Raises:
            ProtocolViolation: From the iterator: it sent what is no frame; to be killed.
        """
        for frame in self._guest.feed(data):
            self._held.append(frame)
            self._held_bytes += len(frame.rest) + len(frame.body)
            # SECURITY: a message that never ends must not fill the host's memory.
            if self._held_bytes > 2 * self._message_bytes:
                raise ProtocolViolation("a message without end")
            kind = _KIND.match(frame.rest)
            if kind is not None:
                held, self._held, self._held_bytes = self._held, [], 0
                yield from self._whole(kind[1].decode("ascii"), held)

    def _whole(self, kind: str, held: list[Frame]) -> Iterator[bytes | wire.Message]:
        if kind in _TAKEN:
            message = self._assembled(held)
            request: int = getattr(message, "request", 0)
            if request not in self.unbound:
                yield message
                return
            self.unbound.discard(request)
        self.run_open = self.run_open and kind != "Finished"
        for frame in held:
            yield self._stream.number("g", self._as_agreed(frame))

    def _assembled(self, held: list[Frame]) -> wire.Message:
        assembler = wire.Assembler(_TAKEN, self._message_bytes)
        for frame in held:
            message = assembler.add(frame)
            if message is not None:
                return message
        raise ProtocolViolation("a message of blobs only")

    def interpreter_died(self) -> None:
        """Forget what the dead instance did not finish to say, and what it was asked."""
        super().interpreter_died()
        self._held, self._held_bytes = [], 0
        self.unbound.clear()

    # ------------------------------------------------------------ from the host

    def note(self, data: bytes) -> bool:
        """Look at what is passed on to the instance: remember grants; return whether it starts a run."""
        kind = _KIND.match(data, 5)  # behind ["g",
        self._asked.append(data)
        if kind is None:
            return False
        data, self._asked = b"".join(self._asked), []
        if kind[1] in (b"GrantTools", b"SetVariables"):
            for message in GuestConnection().receive_data(data):
                self._note_binding(message)
        return kind[1] == b"Execute"

    def _note_binding(self, message: wire.Message) -> None:
        self.unbound.add(getattr(message, "request", 0))
        if isinstance(message, wire.GrantTools):
            self.grants = replace(self.grants, tools={**self.grants.tools, **message.tools})


plain = GuestConnection().send
"""Return the bytes that say a message to an instance."""


def stop_message(cause: str) -> bytes:
    """Return what makes an instance stop its run at the next place where it looks; between runs it does nothing."""
    return plain(wire.Answer(call=0, error_type="Stopped", error_message=cause))
