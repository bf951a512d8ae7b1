"""The messages of one run -> its Execution. Holds nothing beyond the limits, whatever the worker sends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import TypeVar, cast

from pinjra.core.errors import ProtocolViolation
from pinjra.core.execution import Artifact, Cause, ErrorKind, Execution, GuestError, Stream, Usage
from pinjra.core.guest_files import GuestFile
from pinjra.core.limits import Limits
from pinjra.core.safe_text import printable
from pinjra.executors.base import OutputCallback
from pinjra.executors.session.output import KeptOutput
from pinjra.executors.session.tool_calls import HostTime, ToolCalls, ToolClock
from pinjra.wire.messages import Display, Finished, Lost, Output
from pinjra.wire.values.codec import Decoder

_Figure = TypeVar("_Figure", int | None, float | None)

ARTIFACTS = 100  # of one run
FILES = 10_000  # of one run; an honest one tells of 1,000
ARTIFACT_BYTES = 64 << 20  # of one run, when value_bytes is not limited
TEXT_CHARS = 10_000  # an error's message
TRACEBACK_CHARS = 100_000

_OF_LIMITS = {
    Cause.WALL: "the run took longer than its time limit of {wall_seconds} s",
    Cause.CPU: "the run used up its processor time of {cpu_seconds} s",
    Cause.MEMORY: "the session went beyond its memory limit of {memory_bytes} bytes",
    Cause.OPERATIONS: "the run used up its {operations} operations",
    Cause.PROCESSES: "the session went beyond its limit of {processes} processes and threads",
    Cause.DISK: "the scratch folder went beyond its quota of {disk_bytes} bytes",
    Cause.OUTPUT: "the run printed far beyond its limit of {output_bytes} bytes",
    Cause.VALUE: "a value went beyond the limit of {value_bytes} bytes",
    Cause.TOOL_CALLS: "the run made more than {tool_calls} tool calls",
}
_WORDS = {
    **_OF_LIMITS,
    Cause.INTERRUPT: "the run was interrupted",
    Cause.SECCOMP: "the kernel refused a system call and ended the interpreter",
    Cause.PROTOCOL: "the interpreter sent what the protocol does not allow and was ended",
}


class RunRecord:
    """One run as seen from the host.

    Args:
        wall_seconds: Of this run; None for those of `limits`.
        on_output: Sees output as it comes.
    """

    def __init__(self, limits: Limits, wall_seconds: float | None, on_output: OutputCallback | None) -> None:
        self._limits = limits if wall_seconds is None else replace(limits, wall_seconds=wall_seconds)
        self.clock = ToolClock()
        self.host_time = HostTime(limits.cpu_seconds)
        self._on_output = on_output
        self._started = time.monotonic()
        self._output = KeptOutput(limits.output_bytes)
        self._printed: dict[str, int] = {}  # the file with all of it, where that is more than the limit
        self._artifacts: list[Artifact] = []
        self._artifact_bytes = self._left_out = 0
        self._ended: Finished | Lost | None = None
        self.is_interrupted = False
        self.kill_cause: Cause | None = None
        self.kill_deadline: float | None = None  # when the worker must have said `Lost`
        self.is_given_back = False  # to the caller, before the worker has confirmed its end
        self.interrupt_deadline: float | None = None  # when an interrupt becomes a kill

    @property
    def is_over(self) -> bool:
        """Return whether the run has ended."""
        return self._ended is not None

    def wall_deadline(self) -> float | None:
        """Return when the run's time is over, as of now; None while a tool has the time, or without a limit."""
        wall_seconds = self._limits.wall_seconds
        if wall_seconds is None or self.clock.is_running:
            return None
        return self._started + wall_seconds + self.clock.seconds

    # ------------------------------------------------------------ messages

    def on_output(self, message: Output) -> None:
        """Take text: hand it on, keep it up to the limit, then one marker and nothing more."""
        if message.stream not in ("stdout", "stderr"):
            raise ProtocolViolation(f"output on a stream {message.stream[:40]!r}")
        if message.file:
            self._printed = {message.file: message.file_bytes}
        self._hand_on(message.stream, self._output.add(message.stream, message.text))

    def _hand_on(self, stream: str, text: str) -> None:
        if text and self._on_output is not None:
            with self.host_time.left_out():
                self._on_output(cast("Stream", stream), text)

    def forget_listener(self) -> None:
        """Hand on no more text: the caller's callback has failed, or the caller has left."""
        self._on_output = None

    def on_display(self, message: Display) -> None:
        """Keep something to look at."""
        if len(message.blobs) != 1:
            raise ProtocolViolation(f"a display with {len(message.blobs)} blobs")
        size = self._artifact_bytes + len(message.blobs[0])
        if len(self._artifacts) == ARTIFACTS or size > (self._limits.value_bytes or ARTIFACT_BYTES):
            self._left_out += 1
        else:
            self._artifact_bytes = size
            name, media_type = _text(message.name, 200), _text(message.media_type, 200)
            self._artifacts.append(Artifact(media_type=media_type, data=message.blobs[0], name=name))

    @property
    def files(self) -> dict[str, int]:
        """Return the names and sizes of what the run wrote, as the guest says, and of what it printed where that is much."""
        written = self._ended.files or {} if isinstance(self._ended, Finished) else {}
        # SECURITY: two million names are one message, and an object for each a gigabyte and ten seconds of the host's
        return {**dict(islice(written.items(), FILES)), **self._printed}

    def on_end(self, message: Finished | Lost) -> None:
        """Note how the run ended."""
        for stream in ("stdout", "stderr"):
            self._hand_on(stream, self._output.add(stream, "", is_last=True))
        self._ended = message

    # ------------------------------------------------------------ result

    def execution(self, tool_calls: ToolCalls, files: Mapping[str, GuestFile]) -> Execution:
        """Return what came of the run, once it is over.

        Raises:
            ProtocolViolation: Its value or its error is none (a hostile worker's fault).
        """
        ended = self._ended
        value: object = None
        error: GuestError | None = None
        notes: tuple[str, ...] = ()
        if not isinstance(ended, Finished):
            error = self._lost_error(ended)
        elif ended.error is not None:
            notes, error = ended.notes, self._guest_error(ended.error)
        else:
            notes, value = ended.notes, Decoder(ended.blobs, tool_calls.resolve).take(ended.value)
        where = [f"all that was printed is in the file {name!r}" for name in self._printed]
        if self._left_out:
            most = f"a run shows {ARTIFACTS} at most, all together within the limit of a value"
            where.append(f"{self._left_out} of the things to look at were left out: {most}")
        return Execution(
            value=value,
            stdout=self._output.text("stdout"),
            stderr=self._output.text("stderr"),
            error=error,
            artifacts=tuple(self._artifacts),
            usage=self._usage(ended, tool_calls.calls),
            is_final_answer=isinstance(ended, Finished) and ended.is_final and error is None,
            notes=tuple(_text(note, 1000) for note in (*notes[:100], *where)),
            files=files,
        )

    def _usage(self, ended: Finished | Lost | None, tool_calls: int) -> Usage:
        return Usage(
            wall_seconds=time.monotonic() - self._started,
            tool_seconds=self.clock.seconds,
            cpu_seconds=_not_negative(ended.cpu_seconds) if ended else None,
            operations=_not_negative(ended.operations) if isinstance(ended, Finished) else None,
            memory_peak_bytes=_not_negative(ended.memory_peak_bytes) if ended else None,
            output_bytes=self._output.size_bytes,
            tool_calls=tool_calls,
        )

    def _lost_error(self, ended: Lost | None) -> GuestError:
        """Return the error of a run whose interpreter was ended; None: the worker has not confirmed it yet."""
        cause, detail, state = self.kill_cause or Cause.HOST, "", _RECOVERING
        if ended is not None:
            try:
                cause = self.kill_cause or Cause(ended.cause)
            except ValueError:
                raise ProtocolViolation(f"unknown cause {ended.cause[:60]!r}") from None
            detail = f" ({_text(ended.detail, 500)})" if ended.detail else ""
            state = _ROLLED if ended.rolled_back else _EMPTY
        limits = {name: getattr(self._limits, name) for name in Limits.__slots__}
        kind = ErrorKind.LIMIT if cause in _OF_LIMITS else ErrorKind.CRASHED
        return GuestError(
            kind=ErrorKind.INTERRUPTED if cause is Cause.INTERRUPT else kind,
            type=_TYPES.get(cause, "InterpreterDied" if kind is ErrorKind.CRASHED else "LimitReached"),
            message=f"{_WORDS.get(cause, 'the interpreter died').format(**limits)}{detail}; {state}",
            cause=cause,
            rolled_back=ended is not None and ended.rolled_back,
            state_lost=ended is not None and not ended.rolled_back,
        )

    def _guest_error(self, fields: dict[str, str | int | bool | None]) -> GuestError:
        """Return the worker's error as a value; what a guest may not claim (that state was lost) is not read."""
        try:
            kind = ErrorKind(fields.get("kind"))
            cause = Cause(fields["cause"]) if fields.get("cause") is not None else None
        except ValueError as error:
            raise ProtocolViolation(f"an error that is none: {error}") from None
        line = fields.get("line")
        if self.is_interrupted and kind is ErrorKind.EXCEPTION and fields.get("type") == "KeyboardInterrupt":
            kind, cause = ErrorKind.INTERRUPTED, Cause.INTERRUPT
        return GuestError(
            kind=kind,
            type=_text(fields.get("type"), 200),
            message=_text(fields.get("message"), TEXT_CHARS),
            line=line if type(line) is int else None,
            source_line=_text(fields.get("source_line"), 1000) or None,
            traceback=_text(fields.get("traceback"), TRACEBACK_CHARS),
            hint=_text(fields.get("hint"), TEXT_CHARS) or None,
            cause=cause,
            rolled_back=cause is Cause.MEMORY and fields.get("rolled_back") is True,
        )


_TYPES = {Cause.WALL: "TimeoutError", Cause.MEMORY: "MemoryError", Cause.INTERRUPT: "KeyboardInterrupt"}
_ROLLED = "the variables are again as they were before this step, files that it wrote are still there"
_RECOVERING = "the worker is still ending it: the session's next use waits for that, and fails if the variables are lost"
_EMPTY = "the session's variables are lost; it goes on empty, with the files that list_files() names"


def _not_negative(figure: _Figure) -> _Figure:
    """Return a figure. SECURITY: the guest tells it, and who adds them up would give something back."""
    return type(figure)(0) if figure is not None and figure < 0 else figure


def _text(value: object, most: int) -> str:
    return printable(value[:most])[:most] if type(value) is str else ""
