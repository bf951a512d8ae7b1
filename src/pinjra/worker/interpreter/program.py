"""Execute -> Finished: what an interpreter does with each message, whatever it was started by and speaks over."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from pinjra.core.execution import Cause, ErrorKind, GuestError
from pinjra.core.limits import Limits
from pinjra.guard.errors import GuestStop
from pinjra.guard.interpreter import Interpreter, Outcome
from pinjra.guard.policy import ImportMode, Policy
from pinjra.wire.messages import Display, Done, Execute, Finished, GrantTools, Init, Message, SetVariables
from pinjra.wire.values.codec import EncodeError, decode
from pinjra.worker.interpreter import stack
from pinjra.worker.interpreter.changed_files import MOST_TOLD, FileStates
from pinjra.worker.interpreter.channel import Channel
from pinjra.worker.interpreter.display import open_figures, picture, show_by, value_pictures
from pinjra.worker.interpreter.interrupts import Interrupts
from pinjra.worker.interpreter.outcomes import (
    OUT_OF_MEMORY,
    error_fields,
    guest_encoder,
    named,
    stopped,
    too_large,
)
from pinjra.worker.interpreter.process_pools import end_pools
from pinjra.worker.interpreter.streams import flush_streams, input_stream
from pinjra.worker.interpreter.tools import GuestTools

if TYPE_CHECKING:
    import io

_UNKNOWN = Outcome(operations=None)
_SOURCE_CHARS = 8 << 20  # of one run: reading more would cost it its memory
_LOOK_SECONDS = 0.1  # so often somebody who feeds a program looks whether it has ended


class Program:
    """A session's variables and tools, and one method for each message. The subclasses say what stands around a run."""

    def __init__(self, init: Init, channel: Channel, interrupts: Interrupts, scratch: str) -> None:
        self.files = FileStates(scratch)
        self._limits = Limits(**init.limits)  # type: ignore[arg-type]
        self._channel = channel
        self._interrupts = interrupts
        self._encoder = guest_encoder(self._limits.value_bytes)
        self._tools = GuestTools(channel, interrupts, self._encoder)
        policy = Policy(
            authorized_imports=init.authorized_imports,
            imports=cast(ImportMode, init.imports),
            protected=frozenset(init.protected),
            is_walled=init.walled,
        )
        self._interpreter = Interpreter(policy, limits=self._limits, guard=init.guard, display=self._display)
        interrupts.tell = self._interpreter.stop
        self._interpreter.own_process()
        self._interpreter.make_room = self.make_room
        show_by(self._send_picture, self._display)
        stack.adapt()

    def run(self) -> None:
        """Carry out messages until there are no more."""
        while (message := self._channel.next_message()) is not None:
            self.carry_out(message)

    def carry_out(self, message: Message) -> None:
        """Do what one message says; what no interpreter carries out is nothing."""
        match message:
            case Execute():
                self.execute(message)
            case GrantTools():
                self.grant(message)
                self._answer(message.request, "")
            case SetVariables():
                self._answer(message.request, self.set_variables(message))

    def _answer(self, request: int, problem: str) -> None:
        if request:
            self._channel.send(Done(request=request, problem="error" if problem else "", message=problem))

    # ------------------------------------------------------------ tools and variables

    def grant(self, message: GrantTools) -> None:
        """Give guest code what stands for the host's tools."""
        for name, tool in message.tools.items():
            stub = self._tools.stub(name, str(tool.get("doc", "")), is_async=tool.get("async") is True)
            self._interpreter.bind(name, stub)

    def set_variables(self, message: SetVariables) -> str:
        """Set variables; return what is wrong with them, or ""."""
        values = decode(message.values, message.blobs)
        if not isinstance(values, dict):
            return f"variables are a dict, not {type(values).__name__}"
        for name, value in values.items():
            try:
                self._interpreter.set_variable(str(name), value)
            except Exception as error:
                return f"{name}: {error}"
        return ""

    # ------------------------------------------------------------ a run

    def execute(self, message: Execute) -> None:
        """Run code and say how it ended."""
        self._channel.send(self.finished(message))

    def usage(self) -> tuple[float | None, int | None]:
        """Return seconds and bytes that the run in progress has used, where that can be known here."""
        return None, None

    def notes(self) -> tuple[str, ...]:
        """Return what the host is told beside every end."""
        return ()

    def make_room(self) -> None:
        """Let go of what is kept from guest code: there is no memory left."""

    def finished(self, message: Execute) -> Finished:
        """Return how a run ended. Everything that may run guest code is in here."""
        self._channel.begin_run(message.run)
        outcome = _UNKNOWN
        try:  # around all in which a stop may be raised: also before the guest's first line and behind its last one
            self._interrupts.begin_run()
            self.files.begin_run()
            try:
                is_program = message.code is None
                outcome = self._run_program(message) if is_program else self._run_code(message)
                with self._interpreter.watch:  # reprs are guest code
                    finished = self._ended(message.run, outcome)
            except MemoryError:
                outcome = _UNKNOWN
                self.make_room()
                finished = self._failed(message.run, OUT_OF_MEMORY, outcome)
            self._interrupts.end_run()
        except (GuestStop, KeyboardInterrupt) as stop:
            self._interrupts.end_run()
            finished = self._failed(message.run, stopped(stop), outcome)
        # A child of the guest's came to the end of its parent's code, as in a script: the run goes on in the parent.
        if self._channel.is_in_child:
            with suppress(Exception):
                sys.stdout.flush()
            os._exit(0 if finished.error is None else 1)
        self._channel.end_run()
        return finished

    def _run_code(self, message: Execute) -> Outcome:
        code = message.code or ""
        if len(code) > _SOURCE_CHARS:
            what = f"the code has {len(code)} characters; at most {_SOURCE_CHARS} are read"
            return Outcome(
                error=GuestError(kind=ErrorKind.LIMIT, type="MemoryError", message=what, cause=Cause.VALUE)
            )
        sys.stdin = input_stream(b"".join(message.blobs), self._tools.next_input if message.more else None)
        if message.argv:
            sys.argv = list(message.argv)
            if message.argv[0][:1] != "-":  # a program finds its folder by its own name
                self._interpreter.set_variable("__file__", os.path.join(self.files.folder, message.argv[0]))
        outcome = self._interpreter.run(code)
        end_pools()
        return outcome

    def _ended(self, run: int, outcome: Outcome) -> Finished:
        flush_streams()
        if outcome.error is not None:
            return self._failed(run, outcome.error, outcome)
        try:
            notes = self._show(outcome.value)
            encoder = self._encoder()
            value = encoder.add(outcome.value)
        except EncodeError as error:
            return self._failed(run, too_large(error), outcome)
        self._interrupts.check()
        return replace(
            self._finished(run, outcome, notes), value=value, is_final=outcome.is_final, blobs=encoder.blobs
        )

    def _failed(self, run: int, error: GuestError, outcome: Outcome) -> Finished:
        # not after a stop: there is no time
        notes = self._show(None) if error.kind is ErrorKind.EXCEPTION else []
        return replace(self._finished(run, outcome, notes), error=error_fields(named(error)))

    def _finished(self, run: int, outcome: Outcome, notes: list[str]) -> Finished:
        """Return what is told of a run however it ended."""
        seconds, peak = self.usage()
        files = self.files.changed()
        if len(files) == MOST_TOLD:
            notes = [*notes, f"of the files that were written {MOST_TOLD:,} are named; all of them are there"]
        return Finished(
            run=run,
            operations=outcome.operations,
            notes=(*outcome.notes, *notes, *self.notes()),
            cpu_seconds=seconds,
            memory_peak_bytes=peak,
            files=files or None,
        )

    # ------------------------------------------------------------ things to look at

    def _display(self, value: object) -> None:
        found = picture(value)
        if found is None or (found[0].startswith("text/") and type(value).__repr__ is not object.__repr__):
            print(repr(value))  # of a table too: not all who read the output can read HTML
        if found is not None:
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
        sys.stdout.flush()
        if self._channel.run:
            self._channel.send(Display(run=self._channel.run, media_type=media_type, name="", blobs=(data,)))

    # ---------------------------------------------------------------- programs

    def _run_program(self, message: Execute) -> Outcome:
        """Return the exit status (a signal's number below zero) as a value, or why the program could not be started.

        It prints to descriptors 1 and 2, where all of the box prints. What it leaves running is ended behind the run.
        """
        start = self._fed if message.more else _given
        try:
            return replace(_UNKNOWN, value=start(message.argv, b"".join(message.blobs)))
        except (OSError, ValueError) as error:
            why = GuestError(
                kind=ErrorKind.REFUSED if isinstance(error, PermissionError) else ErrorKind.EXCEPTION,
                type=type(error).__name__,
                message=str(error),
                hint="which programs there are in the box is said by programs=",
            )
            return replace(_UNKNOWN, error=why)

    def _fed(self, argv: tuple[str, ...], first: bytes) -> int:
        """Return the exit status of a program that is given its input as it reads it."""
        with subprocess.Popen(argv, stdin=subprocess.PIPE, bufsize=0) as process:  # noqa: S603 (in the box)
            pipe = cast("io.FileIO", process.stdin)
            os.set_blocking(pipe.fileno(), False)
            reader = _Reader(process)
            piece: bytes | None = first
            with suppress(BrokenPipeError):  # it reads no more
                while piece is not None and reader.take(pipe, piece):
                    piece = self._next_for(reader)
            pipe.close()
            return process.wait()

    def _next_for(self, reader: _Reader) -> bytes | None:
        """Return what the program is to read next; None when there is nothing more, or nobody to read it."""
        within = self._tools.ask_input()
        while not reader.is_gone():
            piece = within(_LOOK_SECONDS)
            if piece is not None:
                return piece or None
        return None


class _Reader:
    """A program that reads from a pipe of ours. It may end, or close its end, at any time: nobody waits for it then."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._poll = select.poll()
        # that nobody holds the other end is told in any case
        self._poll.register(cast("io.FileIO", process.stdin), 0)

    def is_gone(self) -> bool:
        """Return whether it reads no more."""
        return self._process.poll() is not None or bool(self._poll.poll(0))

    def take(self, pipe: io.FileIO, piece: bytes) -> bool:
        """Give it all of a piece; return whether it may want more."""
        view = memoryview(piece)
        while view:
            written = pipe.write(view) or 0
            view = view[written:]
            if self._process.poll() is not None:
                return False
            if view:
                select.select([], [pipe], [], _LOOK_SECONDS)
        return True


def _given(argv: tuple[str, ...], data: bytes) -> int:
    """Return the exit status of a program that reads `data`."""
    with tempfile.TemporaryFile() as file:  # of the scratch folder, and so within the quota
        file.write(data)
        file.seek(0)
        return subprocess.run(argv, stdin=file, check=False).returncode  # noqa: S603 (in the box)
