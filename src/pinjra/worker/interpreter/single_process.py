"""A worker in one process, for machines without processes, threads, sockets and signals (WASI): messages in, messages out.

There is no supervisor below it: whoever started it owns the stream to the host, kills it, and starts another. It speaks the
guest's lane on descriptors 0 and 1, and besides that lane's own messages

- takes `Init` first, and says `Done(request=0)` when it is up;
- carries out `PutFile`, `GetFile` and `ListFiles` itself, because only from in here every path ends inside the box;
- takes `Answer(call=0, error_message=<cause>)`, which answers no call, as the stop of the run in progress.

What does not work: waiting for a signal (there is none). Stops and requests are looked for about every thousand operations
of the guard, in every sleep and in every wait of an event loop; C code that does not come back is for the owner to kill.
"""

from __future__ import annotations

import os
import select
import selectors
import socket
import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import cast

from pinjra.core.execution import Cause
from pinjra.wire import messages as wire
from pinjra.worker.interpreter.channel import Channel
from pinjra.worker.interpreter.environment import set_variables
from pinjra.worker.interpreter.interrupts import Interrupts
from pinjra.worker.interpreter.program import Program
from pinjra.worker.interpreter.streams import text_stream
from pinjra.worker.run_output import RunOutput
from pinjra.worker.scratch.preopened_folder import Folder

LOOK_SECONDS = 0.05  # between two looks for a stop, and until what was printed is on its way
RESERVE_BYTES = 4 << 20  # that guest code cannot fill: without it the next message could not be read
PRINTED_BYTES = 8192  # that may wait for more
LONGEST_SECONDS = 1.0  # of one wait without a deadline
NO_DESCRIPTOR = 1 << 20  # of the pair by which a loop would wake itself: never polled
HasInput = Callable[[float], bool]
_FILES = (wire.PutFile, wire.GetFile, wire.ListFiles)
_KINDS = {**wire.TO_GUEST, **wire.kinds(wire.Init, *_FILES)}  # those that a supervisor would have taken, too
_WORDS = {
    Cause.WALL: "the run took longer than its time limit",
    Cause.CPU: "the run used more processor time than its limit",
    Cause.TOOL_CALLS: "the run made more tool calls than its limit",
}


def main(scratch: str, has_input: HasInput | None = None) -> None:
    """Serve one session on the standard descriptors until they end.

    Args:
        scratch: The folder for files, as this process sees it.
        has_input: Returns whether descriptor 0 has something, waiting at most so many seconds, where poll() cannot.
    """
    line = Line(has_input or _poll)
    first = line.next_message()
    if isinstance(first, wire.Init):
        program = SingleProcessProgram(first, line, scratch)
        line.send(wire.Done(request=0))
        program.run()


def _poll(seconds: float) -> bool:
    poll = select.poll()
    poll.register(0, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


class _Stdio:
    """Descriptors 0 and 1 in the place of a socket."""

    def fileno(self) -> int:
        return 0

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(1, view) :]


class Line(Channel):
    """The stream to the owner."""

    def __init__(self, has_input: HasInput) -> None:
        self.has_input = has_input
        self.stops = Interrupts()
        self.files: Folder | None = None
        super().__init__(cast(socket.socket, _Stdio()), self.stops, _KINDS)

    def look(self, seconds: float = 0.0) -> None:
        """Take what comes within `seconds`; between messages of ours only."""
        if not self._has_leader and self.has_input(seconds):
            self._read()

    def _read(self) -> bool:
        data = os.read(0, 1 << 18)
        for message in self._connection.receive_data(data):
            self._take(message)
        return bool(data)

    def _take(self, message: wire.Message) -> None:
        if isinstance(message, wire.Answer) and message.call == 0:
            cause = Cause(message.error_message)
            self.stops.stop(cause, _WORDS.get(cause, ""))
        elif self.files is not None and isinstance(message, _FILES):
            self.send(self.files.answer(message))
        else:
            super()._take(message)


class SingleProcessProgram(Program):
    """The program of a process that has nobody below or above it in its box."""

    def __init__(self, init: wire.Init, line: Line, scratch: str) -> None:
        set_variables(init.env)
        self._line = line
        super().__init__(init, line, line.stops, scratch)
        os.chdir(scratch)  # so that guest code opens files of the session by their names, as everywhere
        folder = line.files = Folder(scratch, self._limits.disk_bytes)
        self._printed = Printed(line, self._limits.output_bytes, folder)
        self._looked = 0.0
        self._reserve = bytearray(RESERVE_BYTES)
        self._interpreter.on_account(self._look_now_and_then)
        sys.excepthook = _to_the_owner
        sys.stdout, sys.stderr = (text_stream(number, self._printed) for number in (1, 2))
        _adapt_waits(line, self._printed.flush)

    def _look_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._printed.flush()
            self._line.look()

    def execute(self, message: wire.Execute) -> None:
        """Run code, say what it printed, then how it ended."""
        self._printed.begin(message.run)
        finished = self.finished(message)
        self._keep_memory_back(finished)
        self._printed.end()
        self._line.send(finished)

    def _keep_memory_back(self, finished: wire.Finished) -> None:
        """Let the run behind a full memory have what was kept back, to let go of some."""
        if finished.error is not None and finished.error.get("cause") == Cause.MEMORY.value:
            self._reserve = bytearray()
        elif not self._reserve:
            try:
                self._reserve = bytearray(RESERVE_BYTES)
            except MemoryError:
                pass

    def make_room(self) -> None:
        """Let go of what was kept from guest code."""
        self._reserve = bytearray()


def _to_the_owner(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say how this process ends where its owner looks; `sys.stderr` is the guest's."""
    traceback.print_exception(kind, error, trace, file=sys.__stderr__)


class Printed:
    """Collects what is printed and says it in order, with the limit that a supervisor keeps elsewhere: see `RunOutput`."""

    has_descriptors = False  # one would lead around the protocol

    def __init__(self, line: Line, limit_bytes: float | None, folder: Folder) -> None:
        self._line = line
        self._limit = limit_bytes
        self._folder = folder
        self.begin(0)

    def begin(self, run: int) -> None:
        """Begin a run: nothing printed."""
        self._run = run
        self._output = RunOutput(self._limit, self._folder)
        self._number = 1
        self._waiting = bytearray()

    def write(self, number: int, data: memoryview) -> None:
        """Take what was printed to 1 or 2."""
        if number != self._number:
            self.flush()
            self._number = number
        self._waiting += data
        if len(self._waiting) > PRINTED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Say what was printed."""
        data, self._waiting = bytes(self._waiting), bytearray()
        if data and self._run:
            self._say(self._output.add(self._number - 1, data))

    def end(self) -> None:
        """Say what is left: the run is over."""
        self.flush()
        self._say(self._output.end())
        self.begin(0)

    def _say(self, said: list[wire.Output]) -> None:
        for each in said:
            self._line.send(each)


# ---------------------------------------------------------------- sleeps and event loops


def _adapt_waits(line: Line, before: Callable[[], None]) -> None:
    """Let what waits in this process wait for the line, or for time, and call `before` first; before asyncio is imported."""

    def sleep(seconds: float, /) -> None:
        before()
        deadline = time.monotonic() + seconds
        line.look(seconds)
        while (left := deadline - time.monotonic()) > 0 and not line.stops.is_stopped:
            line.look(left)
        line.stops.check()

    class LineSelector(selectors.SelectSelector):
        """Waits for the line, when somebody asked for it, or for time."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            seconds = LONGEST_SECONDS if timeout is None else max(0.0, timeout)
            key = self.get_map().get(0)
            if key is None:
                sleep(seconds)
                return []
            before()
            found = line.has_input(seconds)
            line.stops.check()
            return [(key, selectors.EVENT_READ)] if found else []

    time.sleep = sleep
    selectors.DefaultSelector = LineSelector  # type: ignore[misc, assignment]
    socket.socketpair = cast("Callable[..., tuple[socket.socket, socket.socket]]", _pair)


class _Silent:
    """An end of a socket pair over which nobody says anything: there is no other thread to wake the loop from."""

    def fileno(self) -> int:
        return NO_DESCRIPTOR

    def setblocking(self, flag: bool) -> None:
        """Do nothing."""

    def send(self, data: bytes) -> int:
        """Return how much was taken: all, and it is dropped."""
        return len(data)

    def close(self) -> None:
        """Do nothing."""


def _pair(*_arguments: object) -> tuple[_Silent, _Silent]:
    return _Silent(), _Silent()
