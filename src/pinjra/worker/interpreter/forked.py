"""The process that runs guest code: set up once, then messages in, messages out, one run at a time."""

from __future__ import annotations

import gc
import mmap
import os
import random
import resource
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import NoReturn

from pinjra.core.execution import Cause, GuestError
from pinjra.core.limits import Limits
from pinjra.guard.errors import GuestStop
from pinjra.guard.interpreter import Interpreter, Outcome
from pinjra.wire.connection import GuestConnection
from pinjra.wire.messages import Bound, Display, Execute, Finished, GrantTools, Message, SetVariables
from pinjra.wire.values.codec import EncodeError, decode
from pinjra.worker.interpreter import streams
from pinjra.worker.interpreter.channel import Channel
from pinjra.worker.interpreter.checkpoint import SET_ASIDE, UNDO, Branch, Checkpointer, has_threads
from pinjra.worker.interpreter.display import open_figures, picture, value_pictures
from pinjra.worker.interpreter.encoding import GuestEncoder
from pinjra.worker.interpreter.environment import do_without_tracker, link_folders, set_variables
from pinjra.worker.interpreter.interrupts import Interrupts
from pinjra.worker.interpreter.outcomes import error_fields, named, out_of_memory, stopped, too_large
from pinjra.worker.interpreter.policy import policy_of
from pinjra.worker.interpreter.programs import run_program
from pinjra.worker.interpreter.tools import Bridge
from pinjra.worker.setup import ForkedResources, SessionSetup, Workplace
from pinjra.worker.supervisor.processes import (
    MEMORY_STATUS,
    die_with_parent,
    keep_back,
    limit_memory,
    limit_processor,
    memory_reserve,
)

__all__ = ["main"]

_SPARES, _SPARE_BYTES = 128, 400  # some pools of CPython's allocator, which objects of any size can use
_KEPT_VARIABLES = (
    "PATH",
    "LD_LIBRARY_PATH",
    "TZ",
    "SSL_CERT_FILE",
    "HOME",
    "TMPDIR",
    "MPLCONFIGDIR",
)  # a Python may not start, or not agree, without them


def main(resources: ForkedResources, setup: SessionSetup) -> None:
    """Be the interpreter of a session until the supervisor is gone."""
    _settle_in(resources, setup.place)
    try:
        limits = setup.init.limits
        limit_memory(limits.get("memory_bytes"), limits.get("disk_bytes"))
        set_variables(setup.init.env)
        _work_in(setup.place.scratch)
        link_folders(setup.init.links)
        Loop(resources, setup).run()
    except MemoryError:  # our own bookkeeping did not fit any more
        os._exit(MEMORY_STATUS)


class Loop:
    """The interpreter's state, and one method per message."""

    def __init__(self, resources: ForkedResources, setup: SessionSetup) -> None:
        init = setup.init
        self._limits = Limits(**init.limits)  # type: ignore[arg-type]
        self._rollback = init.rollback
        self._is_dirty = False
        self._is_pristine = True  # nothing has run, no variable was set
        self._is_full = False
        self._spare: list[bytes] | None = None  # what is let go of first when there is no room for one object
        self._reserve = memory_reserve() if self._limits.memory_bytes is not None else 0
        self._used_before = 0.0
        self._side = resources.side
        self._interrupts = Interrupts(lambda cause: self._interpreter.stop(cause))
        self._channel = Channel(resources.stream, self._interrupts)
        self._printed = streams.install()
        self._encoder = GuestEncoder(self._limits.value_bytes)
        self._bridge = Bridge(self._channel, self._interrupts, self._encoder)
        self._interpreter = Interpreter(
            policy_of(init),
            limits=self._limits,
            guard=init.guard,
            display=self._display,
        )
        self._checkpoint = Checkpointer(
            resources.wake,
            resources.supervisor,
            self._close_sockets,
            self._take_over,
            self._branch_off,
            self._note,
        )
        self._interpreter.own_process()
        self._interrupts.install()
        for message in GuestConnection().receive_data(setup.grants):
            if isinstance(message, GrantTools):
                self._bind(message)

    def run(self) -> None:
        """Carry out messages until there are no more."""
        gc.freeze()
        self._note(b"k0;")  # ready; a fresh interpreter needs no checkpoint
        while (message := self._channel.next_message()) is not None:
            self.carry_out(message)

    def carry_out(self, message: Message) -> None:
        """Do what one message says."""
        if isinstance(message, Execute):
            self._execute(message)
        elif isinstance(message, GrantTools) and not message.request:
            self._is_dirty = False  # the supervisor's own: it wants a checkpoint of the present state
            self._checkpoint.renew(is_wanted=True)
        elif isinstance(message, GrantTools):
            self._channel.send(Bound(request=message.request, problem=self._bind(message)))
        elif isinstance(message, SetVariables):
            self._channel.send(Bound(request=message.request, problem=self._set_variables(message)))

    # ------------------------------------------------------------ tools and variables

    def _bind(self, message: GrantTools) -> str:
        self._is_dirty = self._is_dirty or self._checkpoint.has_copy
        for name, tool in message.tools.items():
            stub = self._bridge.stub(name, str(tool.get("doc", "")), is_async=tool.get("async") is True)
            self._interpreter.bind(name, stub)
        return ""

    def _set_variables(self, message: SetVariables) -> str:
        values = decode(message.values, message.blobs)
        if not isinstance(values, dict):
            return f"variables are a dict, not {type(values).__name__}"
        self._is_dirty, self._is_pristine = True, False
        for name, value in values.items():
            try:
                self._interpreter.set_variable(str(name), value)
            except Exception as error:
                return f"{name}: {error}"
        return ""

    # ------------------------------------------------------------ a run

    def _execute(self, message: Execute) -> None:
        if self._is_missing_variables() and self._checkpoint.renew(is_wanted=True, note=SET_ASIDE):
            return  # this is the copy, and the run that it was made for has failed
        self._used_before = _usage()[0]
        self._keep_memory_back()
        limit_processor(self._limits.cpu_seconds)
        self._printed.begin_run()
        self._channel.begin_run(message.run)
        self._interrupts.begin_run()
        finished = self._finished(message)
        self._interrupts.end_run()
        self._channel.end_run()
        self._is_full = self._has_filled_memory()
        if (
            self._is_full
            and self._can_undo
            and finished.error
            and finished.error.get("cause") == Cause.MEMORY.value
        ):
            self._undo(finished)
        self._channel.send(finished)
        del finished
        self._is_pristine = False
        self._is_dirty = False
        if self._rollback or self._checkpoint.has_copy:
            self._checkpoint.renew(is_wanted=self._rollback)

    def _keep_memory_back(self) -> None:
        try:
            self._spare = self._spare or [bytes(_SPARE_BYTES) for _ in range(_SPARES)]
        except MemoryError:
            pass
        keep_back(0 if self._is_full else self._reserve)

    def _has_filled_memory(self) -> bool:
        """Return whether what is kept back could not be kept back a second time; give it back for what is to be done now."""
        try:
            if self._reserve:
                mmap.mmap(-1, self._reserve, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
            return False
        except (OSError, MemoryError):
            return True
        finally:
            keep_back(0)

    @property
    def _can_undo(self) -> bool:
        return self._rollback and (self._checkpoint.has_copy or self._is_pristine)

    def _undo(self, finished: Finished) -> NoReturn:
        """End here: the supervisor goes back to the state before this run, in which there was room."""
        note = "the memory is full: the variables are again as they were before this step"
        self._channel.send(replace(finished, notes=(*finished.notes, note)))
        self._note(UNDO + b"0;")
        os._exit(MEMORY_STATUS)

    def _is_missing_variables(self) -> bool:
        """Return whether the last checkpoint does not have the variables or tools that came since."""
        return self._is_dirty and self._rollback

    def _finished(self, message: Execute) -> Finished:
        """Run the code; everything that may run guest code is in here."""
        outcome: Outcome | None = None
        try:
            if message.argv:
                return self._program_finished(message)
            outcome = self._interpreter.run(message.code)
            if outcome.error is None:
                return self._success(message, outcome)
            return self._failure(message.run, outcome.error, outcome)
        except GuestStop as stop:  # it came behind the guest's last line
            return self._failure(message.run, stopped(stop), outcome)
        except MemoryError:
            self._spare = outcome = None
            keep_back(0)
            return self._failure(message.run, out_of_memory(), None)

    def _program_finished(self, message: Execute) -> Finished:
        ended = run_program(message.argv, message.blobs[0] if message.blobs else b"")
        if isinstance(ended, GuestError):
            return self._failure(message.run, ended, None)
        self._interrupts.check()
        used, peak = _usage()
        seconds = max(0.0, used - self._used_before)
        return Finished(run=message.run, value=ended, cpu_seconds=seconds, memory_peak_bytes=peak)

    def _success(self, message: Execute, outcome: Outcome) -> Finished:
        try:
            notes = self._show(outcome.value)
            encoder = self._encoder.new()
            value = encoder.add(outcome.value)
        except EncodeError as error:
            return self._failure(message.run, too_large(error), outcome)
        self._interrupts.check()
        used, peak = _usage()
        return Finished(
            run=message.run,
            value=value,
            is_final=outcome.is_final,
            operations=outcome.operations,
            cpu_seconds=max(0.0, used - self._used_before),
            memory_peak_bytes=peak,
            notes=(*outcome.notes, *notes, *self._rollback_notes()),
            blobs=encoder.blobs,
        )

    def _failure(self, run: int, error: GuestError, outcome: Outcome | None) -> Finished:
        used, peak = _usage()
        return Finished(
            run=run,
            error=error_fields(named(error)),
            operations=None if outcome is None else outcome.operations,
            cpu_seconds=max(0.0, used - self._used_before),
            memory_peak_bytes=peak,
            notes=(*(() if outcome is None else outcome.notes), *self._rollback_notes()),
        )

    def _rollback_notes(self) -> Iterator[str]:
        if self._rollback and has_threads():
            yield "threads are alive: if the next step is killed, the variables cannot be restored"

    # ------------------------------------------------------------ output

    def _display(self, value: object) -> None:
        found = picture(value)
        if found is None:
            print(repr(value))
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
        if self._channel.run:
            self._channel.send(Display(run=self._channel.run, media_type=media_type, name="", blobs=(data,)))

    # ------------------------------------------------------------ between us and the supervisor

    def _note(self, note: bytes) -> None:
        with self._interrupts:
            self._side.sendall(note)

    def _close_sockets(self) -> None:
        self._channel.close()
        self._side.close()

    def _take_over(self, stream: socket.socket, side: socket.socket) -> None:
        self._channel.attach(stream)
        self._side = side

    def _branch_off(self, branch: Branch) -> None:
        self._channel.attach(branch.stream)
        self._side = branch.side
        _print_to(branch.captured)
        _work_in(branch.scratch)
        _reseed()


def _settle_in(resources: ForkedResources, place: Workplace) -> None:
    """Become a process of its own: no descriptor but three sockets, no environment, no signal of the supervisor's terminal."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    die_with_parent(resources.supervisor)
    _print_to(place.captured)
    _close_all_but(resources.stream.fileno(), resources.side.fileno(), resources.wake.fileno())
    _keep_environment()
    warnings.filterwarnings("ignore", message=".*(fork|FigureCanvasAgg is non-interactive)")
    _reseed()  # SECURITY: sessions forked from one zygote must not share their random numbers


def _reseed() -> None:
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _close_all_but(*kept: int) -> None:
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    os.closerange(low, max(low, min(soft if soft > 0 else 65536, 1 << 20)))


def _work_in(scratch: str) -> None:
    """Make a scratch folder the place where this process works."""
    os.chdir(scratch)
    if "" not in sys.path:
        sys.path.append("")  # modules of the program's own, behind all others
    os.environ.update(HOME=scratch, TMPDIR=scratch, MPLCONFIGDIR=scratch)
    tempfile.tempdir = None
    do_without_tracker()


def _print_to(captured: tuple[int, ...]) -> None:
    for number, fd in enumerate(captured, 1):
        os.dup2(fd, number)
        os.close(fd)


def _keep_environment() -> None:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    os.environ.clear()
    # threads of C code: a fork would lose them
    os.environ.update(kept, LANG="C.UTF-8", MPLBACKEND="Agg", OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")


def _usage() -> tuple[float, int]:
    own, below = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = own.ru_utime + own.ru_stime + below.ru_utime + below.ru_stime
    return seconds, own.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
