"""A worker in one process, for machines without processes, threads, sockets and signals (WASI): messages in, messages out.

There is no supervisor below it: whoever started it owns the stream to the host, kills it, and starts another. It speaks the
guest's lane on descriptors 0 and 1, and besides that lane's own messages

- takes `Init` first, and says `Bound(request=0)` when it is up;
- carries out `PutFile`, `GetFile` and `ListFiles` itself, because only from in here every path ends inside the box;
- takes `Answer(call=0, error_message=<cause>)`, which answers no call, as the stop of the run in progress.

What does not work: waiting for a signal (there is none). Stops and requests are looked for about every thousand operations
of the guard, in every sleep and in every wait of an event loop; C code that does not come back is for the owner to kill.
"""

from __future__ import annotations

import io
import os
import select
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import cast

from pinjra.core.execution import Cause, ErrorKind, GuestError
from pinjra.core.limits import Limits
from pinjra.guard.errors import GuestStop
from pinjra.guard.interpreter import Interpreter, Outcome
from pinjra.wire.connection import GuestConnection
from pinjra.wire.frames import FrameReader, WireLimits
from pinjra.wire.messages import (
    TO_GUEST,
    Answer,
    Assembler,
    Bound,
    Display,
    Execute,
    Finished,
    GetFile,
    GrantTools,
    Init,
    ListFiles,
    Message,
    Output,
    PutFile,
    SetVariables,
)
from pinjra.wire.values.codec import EncodeError, decode
from pinjra.worker.interpreter import wasi_waits as waits
from pinjra.worker.interpreter.channel import Channel
from pinjra.worker.interpreter.display import open_figures, picture, value_pictures
from pinjra.worker.interpreter.encoding import GuestEncoder
from pinjra.worker.interpreter.environment import set_variables
from pinjra.worker.interpreter.interrupts import Interrupts
from pinjra.worker.interpreter.outcomes import error_fields, out_of_memory, stopped, too_large
from pinjra.worker.interpreter.policy import policy_of
from pinjra.worker.interpreter.tools import Bridge
from pinjra.worker.scratch.folder import Folder

__all__ = ["main"]

LOOK_SECONDS = 0.05  # between two looks for a stop, and until what was printed is on its way
RESERVE_BYTES = 4 << 20  # that guest code cannot fill: without it the next message could not be read
PRINTED_CHARS = 8192  # that may wait for more
HasInput = Callable[[float], bool]
_FILES = (PutFile, GetFile, ListFiles)
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
    if isinstance(first, Init):
        loop = Loop(first, line, scratch)
        line.send(Bound(request=0))
        loop.run()


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


class _Connection(GuestConnection):
    """The guest's lane, with the messages that a supervisor would have taken."""

    def __init__(self) -> None:
        self._reader = FrameReader(numbered=False, raw=True)
        kinds = {**TO_GUEST, **{cls.__name__: cls for cls in (Init, *_FILES)}}
        self._assembler = Assembler(kinds, WireLimits(message_bytes=1 << 30))  # the host bounds what it says


class Line(Channel):
    """The stream to the owner."""

    def __init__(self, has_input: HasInput) -> None:
        self.has_input = has_input
        self.stops = Stops()
        self.files: Folder | None = None
        super().__init__(cast(socket.socket, _Stdio()), self.stops)

    def attach(self, stream: socket.socket) -> None:
        """Speak over this stream."""
        super().attach(stream)
        self._connection = _Connection()

    def look(self, seconds: float = 0.0) -> None:
        """Take what comes within `seconds`; between messages of ours only."""
        if not self._has_leader and self.has_input(seconds):
            self._read()

    def _read(self) -> bool:
        data = os.read(0, 1 << 18)
        for message in self._connection.receive_data(data):
            self._take(message)
        return bool(data)

    def _take(self, message: Message) -> None:
        if isinstance(message, Answer) and message.call == 0:
            self.stops.arrived(message.error_message)
        elif isinstance(message, Answer):
            on_answer = self._waiting.pop(message.call, None)
            if on_answer is not None:
                on_answer(message)
        elif self.files is not None and isinstance(message, _FILES):
            self.send(self.files.answer(message))
        else:
            self._inbox.append(message)


class Stops(Interrupts):
    """Stops that come as messages; they raise where the run looks for them."""

    def __init__(self) -> None:
        super().__init__(lambda cause: self.tell(cause, ""))
        self.cause = Cause.INTERRUPT

    def tell(self, cause: Cause, message: str) -> None:
        """Tell the guard; replaced when there is one."""

    def arrived(self, cause: str) -> None:
        """Take the stop of the run in progress; one that comes after its run is nothing."""
        if self._is_running:
            self.cause = Cause(cause)
            self.is_stopped = True
            self.tell(self.cause, _WORDS.get(self.cause, ""))

    def check(self) -> None:
        """Stop the run here when its stop has come."""
        if self.is_stopped and self._is_running and not self._held:
            raise GuestStop(self.cause, _WORDS.get(self.cause, ""))


class Loop:
    """The interpreter's state, and one method per message."""

    def __init__(self, init: Init, line: Line, scratch: str) -> None:
        set_variables(init.env)
        self._limits = Limits(**init.limits)  # type: ignore[arg-type]
        self._line = line
        self._stops = line.stops
        self._encoder = GuestEncoder(self._limits.value_bytes)
        self._bridge = Bridge(line, self._stops, self._encoder)
        self._printed = Printed(line, self._limits.output_bytes)
        self._interpreter = Interpreter(
            policy_of(init),
            limits=self._limits,
            guard=init.guard,
            display=self._display,
        )
        self._interpreter.own_process()
        self._looked = 0.0
        self._reserve = bytearray(RESERVE_BYTES)
        self._stops.tell = self._interpreter.stop  # type: ignore[method-assign]
        self._interpreter.on_account(self._look_now_and_then)
        line.files = Folder(scratch, self._limits.disk_bytes)
        sys.excepthook = _to_the_owner
        sys.stdout, sys.stderr = (_Stream(number, self._printed) for number in (0, 1))
        waits.adapt(line.look, line.has_input, self._is_stopped, self._printed.flush, self._stops.check)

    def _is_stopped(self) -> bool:
        return self._stops.is_stopped

    def run(self) -> None:
        """Carry out messages until there are no more."""
        while (message := self._line.next_message()) is not None:
            if isinstance(message, Execute):
                self._execute(message)
            elif isinstance(message, GrantTools):
                self._answer(message.request, self._bind(message))
            elif isinstance(message, SetVariables):
                self._answer(message.request, self._set_variables(message))

    def _answer(self, request: int, problem: str) -> None:
        if request:
            self._line.send(Bound(request=request, problem=problem))

    def _look_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._printed.flush()
            self._line.look()

    # ------------------------------------------------------------ tools and variables

    def _bind(self, message: GrantTools) -> str:
        for name, tool in message.tools.items():
            stub = self._bridge.stub(name, str(tool.get("doc", "")), is_async=tool.get("async") is True)
            self._interpreter.bind(name, stub)
        return ""

    def _set_variables(self, message: SetVariables) -> str:
        values = decode(message.values, message.blobs)
        if not isinstance(values, dict):
            return f"variables are a dict, not {type(values).__name__}"
        for name, value in values.items():
            self._interpreter.set_variable(str(name), value)
        return ""

    # ------------------------------------------------------------ a run

    def _execute(self, message: Execute) -> None:
        self._printed.begin(message.run)
        self._line.begin_run(message.run)
        self._stops.begin_run()
        finished = self._finished(message)
        self._stops.end_run()
        self._printed.flush()
        self._line.end_run()
        self._printed.begin(0)
        self._line.send(finished)

    def _finished(self, message: Execute) -> Finished:
        finished = self._ran(message)
        if finished.error is not None and finished.error.get("cause") == Cause.MEMORY.value:
            self._reserve = (
                bytearray()
            )  # room for the messages and the run in which the guest may let go of some
        elif not self._reserve:
            try:
                self._reserve = bytearray(RESERVE_BYTES)
            except MemoryError:
                pass
        return finished

    def _ran(self, message: Execute) -> Finished:
        """Run the code; everything that may run guest code is in here."""
        outcome: Outcome | None = None
        try:
            outcome = self._interpreter.run(message.code)
            if outcome.error is None:
                return self._success(message.run, outcome)
            return _failure(message.run, outcome.error, outcome)
        except GuestStop as stop:  # it came behind the guest's last line
            return _failure(message.run, stopped(stop), outcome)
        except MemoryError:
            outcome = None
            return _failure(message.run, out_of_memory(), None)

    def _success(self, run: int, outcome: Outcome) -> Finished:
        try:
            notes = self._show(outcome.value)
            encoder = self._encoder.new()
            value = encoder.add(outcome.value)
        except EncodeError as error:
            return _failure(run, too_large(error), outcome)
        self._stops.check()
        return Finished(
            run=run,
            value=value,
            is_final=outcome.is_final,
            operations=outcome.operations,
            notes=(*outcome.notes, *notes),
            blobs=encoder.blobs,
        )

    # ------------------------------------------------------------ things to look at

    def _display(self, value: object) -> None:
        found = picture(value)
        if found is None:
            self._printed.write("stdout", f"{value!r}\n")
        else:
            self._send_picture(*found)

    def _show(self, value: object) -> list[str]:
        try:
            for figure in (*value_pictures(value), *open_figures()):
                self._send_picture(*figure)
        except (GuestStop, MemoryError):
            raise
        except Exception as error:  # what cannot be drawn is no reason to lose the run's value
            return [f"a figure could not be drawn: {type(error).__name__}: {error}"[:500]]
        return []

    def _send_picture(self, media_type: str, data: bytes) -> None:
        limit = self._limits.value_bytes
        if limit is not None and len(data) > limit:
            raise EncodeError(f"a picture of {len(data)} bytes; at most {limit} can be shown")
        self._printed.flush()
        self._line.send(Display(run=self._line.run, media_type=media_type, name="", blobs=(data,)))


def _failure(run: int, error: GuestError, outcome: Outcome | None) -> Finished:
    if error.type == "MemoryError" and error.kind is ErrorKind.EXCEPTION:
        error = replace(error, kind=ErrorKind.LIMIT, cause=Cause.MEMORY)
    return Finished(
        run=run,
        error=error_fields(error),
        operations=None if outcome is None else outcome.operations,
        notes=() if outcome is None else outcome.notes,
    )


def _to_the_owner(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say how this process ends where its owner looks; `sys.stderr` is the guest's."""
    traceback.print_exception(kind, error, trace, file=sys.__stderr__)


class _Stream(io.TextIOBase):
    """A text stream that guest code, and libraries, print to."""

    def __init__(self, number: int, printed: Printed) -> None:
        self._number = number
        self._printed = printed
        self.name = ("<stdout>", "<stderr>")[number]

    encoding = "utf-8"
    errors = "replace"
    mode = "w"

    def write(self, text: str) -> int:
        """Print `text`."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._printed.write_number(self._number, text)
        return len(text)

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return False: nobody sits there."""
        return False

    def fileno(self) -> int:
        """Refuse: a descriptor would lead around the protocol.

        Raises:
            io.UnsupportedOperation: Always.
        """
        raise io.UnsupportedOperation("fileno")

    def flush(self) -> None:
        """Say what was printed."""
        self._printed.flush()


class Printed:
    """Collects what is printed, says it in order, and stops at the limit (the host cuts there, with a marker)."""

    def __init__(self, line: Line, limit_bytes: int | None) -> None:
        self._line = line
        self._limit = limit_bytes
        self.begin(0)

    def begin(self, run: int) -> None:
        """Begin a run: nothing printed."""
        self._run = run
        self._size = self._waiting = 0
        self._stream = "stdout"
        self._texts: list[str] = []

    def write_number(self, number: int, text: str) -> None:
        """Take text for stream 0 or 1."""
        self.write(("stdout", "stderr")[number], text)

    def write(self, stream: str, text: str) -> None:
        """Take text."""
        # One piece past the limit goes out, so that the host sees that there was more.
        if self._limit is not None and self._size > self._limit:
            return
        if stream != self._stream:
            self.flush()
            self._stream = stream
        self._size += len(text)
        self._waiting += len(text)
        self._texts.append(text if self._limit is None else text[: self._limit + 1])
        if self._waiting > PRINTED_CHARS:
            self.flush()

    def flush(self) -> None:
        """Say what was printed."""
        text, self._texts, self._waiting = "".join(self._texts), [], 0
        if text and self._run:
            self._line.send(Output(run=self._run, stream=self._stream, text=text))
