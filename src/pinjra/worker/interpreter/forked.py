"""The process that runs guest code: set up once, then messages in, messages out, one run at a time."""

from __future__ import annotations

import fcntl
import gc
import os
import re
import resource
import signal
import sys
import tempfile
import termios
import time
import warnings
from contextlib import suppress
from dataclasses import replace
from typing import NoReturn

from pinjra.core.execution import Cause
from pinjra.jail.spawn.forks import fork
from pinjra.jail.walls.libc import close_all_but
from pinjra.wire.connection import READY
from pinjra.wire.messages import Execute, Finished, SetVariables
from pinjra.worker.interpreter import file_attributes, process_pools, servers, shell
from pinjra.worker.interpreter.changed_files import FileStates
from pinjra.worker.interpreter.channel import Channel
from pinjra.worker.interpreter.checkpoint import Checkpointer
from pinjra.worker.interpreter.environment import link_folders, reseed, set_variables
from pinjra.worker.interpreter.interrupts import Interrupts
from pinjra.worker.interpreter.limits import MemoryReserve, limit_memory, limit_processor
from pinjra.worker.interpreter.program import Program
from pinjra.worker.interpreter.streams import text_stream
from pinjra.worker.interpreter.tools import has_threads
from pinjra.worker.setup import STOP, SessionSetup, Sockets, Workplace
from pinjra.worker.supervisor.processes import MEMORY_STATUS, UNDO_STATUS, die_with_parent

# a Python may not start, or not agree, without them
_KEPT_VARIABLES = (
    "PATH",
    "LD_LIBRARY_PATH",
    "TZ",
    "SSL_CERT_FILE",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "MPLCONFIGDIR",
)
# Compiled where sessions are forked from: a compilation in each is 0.3 MiB of memory of its own
_QUIET = re.compile(r".*(fork(pty)?\(\)|FigureCanvasAgg is non-interactive)", re.IGNORECASE)
_COPIED_SHARE = (
    0.45  # of the box's memory, which counts what is there twice: a copy beside what is larger leaves no room
)
_NAP_SECONDS = 0.0002
_MOST_SECONDS = 0.2  # of one run for the order of the two streams; a program that changes between them all the time loses it


def main(setup: SessionSetup) -> None:
    """Be the interpreter of a session until the supervisor is gone."""
    _settle_in(setup)
    try:
        limits = setup.init.limits
        limit_memory(limits.get("memory_bytes"), limits.get("disk_bytes"))
        set_variables(setup.init.env)
        _work_in(setup.place.scratch)
        link_folders(setup.init.links)
        process_pools.adapt()
        file_attributes.adapt()
        shell.adapt()
        servers.adapt()
        ForkedProgram(setup).run()
    except MemoryError:  # our own bookkeeping did not fit any more
        os._exit(MEMORY_STATUS)


class ForkedProgram(Program):
    """The program of a process with a supervisor, which keeps a checkpoint of itself and its memory in order."""

    def __init__(self, setup: SessionSetup) -> None:
        interrupts = Interrupts()
        self._printed = _Descriptors()
        for number, name in ((1, "stdout"), (2, "stderr")):
            stream = text_stream(number, self._printed)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        channel = Channel(setup.sockets.stream, interrupts)
        super().__init__(setup.init, channel, interrupts, setup.place.scratch)
        self._rollback = setup.init.rollback
        self._is_pristine = True  # nothing has run, no variable was set
        self._reserve = MemoryReserve()
        self._used_before = 0.0
        memory = setup.init.limits.get("memory_bytes")
        self._most_copied = int(memory * _COPIED_SHARE) if memory and setup.counts_memory else 0
        self._resident_before = 0
        self._is_large = False
        self._checkpoint = Checkpointer(setup.sockets, setup.supervisor, self._take_over, self._tell_ready)
        interrupts.install(STOP)

    def run(self) -> None:
        """Say that a fresh interpreter is ready, which needs no checkpoint; then carry out messages."""
        gc.freeze()
        self._resident_before = _usage()[1]
        self._tell_ready(0)
        super().run()

    # ------------------------------------------------------------ messages

    def set_variables(self, message: SetVariables) -> str:
        """Set variables; the supervisor's own message (request 0) wants a checkpoint of the present state instead.

        With a value it wants one in any case: another session is to be made of it.
        """
        self._is_pristine = False
        if message.request:
            return super().set_variables(message)
        self._checkpoint.renew(is_wanted=bool(message.values) or not self._has_grown_large())
        return ""

    def execute(self, message: Execute) -> None:
        """Run code, say how it ended, and make a checkpoint of the state behind it."""
        self._used_before = _usage()[0]
        self._reserve.keep_back()
        limit_processor(self._limits.cpu_seconds)
        self._printed.begin_run()
        finished = self.finished(message)
        if self._is_out_of_memory(finished):
            self._reserve.end_run()
            if self._reserve.is_needed:
                self._undo(finished)
        self._channel.send(finished)
        self._reserve.end_run()
        del finished
        self._is_pristine = False
        if self._rollback or self._checkpoint.copy:
            self._checkpoint.renew(is_wanted=self._rollback and not self._is_large)

    def _is_out_of_memory(self, finished: Finished) -> bool:
        """Return whether the run has met the limit of memory and can be undone."""
        can_undo = self._rollback and (self._checkpoint.copy or self._is_pristine)
        return (
            bool(can_undo)
            and finished.error is not None
            and finished.error.get("cause") == Cause.MEMORY.value
        )

    def _undo(self, finished: Finished) -> NoReturn:
        """End here: the supervisor goes back to the state before this run, in which there was room."""
        self._channel.send(replace(finished, error={**(finished.error or {}), "rolled_back": True}))
        os._exit(UNDO_STATUS)

    # ------------------------------------------------------------ what stands around a run

    def usage(self) -> tuple[float, int]:
        """Return what the run in progress has used, of this process and of those that it has waited for."""
        seconds, peak = _usage()
        return max(0.0, seconds - self._used_before), peak

    def notes(self) -> tuple[str, ...]:
        """Say where the next run cannot be rolled back."""
        self._is_large = self._has_grown_large()
        if not self._rollback:
            return ()
        threads = "threads are alive" if has_threads() else ""
        large = "the variables take almost half of the memory" if self._is_large else ""
        why = " and ".join(filter(None, (threads, large)))
        return (f"{why}: if the next step is killed, the variables cannot be restored",) if why else ()

    def _has_grown_large(self) -> bool:
        """Return whether there is no room for a sleeping copy: what the next run writes to the box would have twice.

        What is in memory now only a new process knows of itself; of this one the kernel tells the most that it ever was.
        """
        most = self._resident_before + self._most_copied
        if not self._most_copied or _usage()[1] <= most:
            return False
        try:
            pid = fork()
        except OSError:
            return False
        if not pid:
            os._exit(_usage()[1] > most)
        return os.waitpid(pid, 0)[1] != 0

    def make_room(self) -> None:
        """Give back what is kept from guest code."""
        self._reserve.give_back()

    # ------------------------------------------------------------ between us and the supervisor

    def _tell_ready(self, checkpoint: int) -> None:
        self._channel.tell(b'["g",%s%d]\n' % (READY, checkpoint))

    def _take_over(self, sockets: Sockets, place: Workplace | None) -> None:
        self._channel.attach(sockets.stream)
        if place is not None:
            _print_to(place.captured)
            below = _below(self.files.folder)
            _work_in(place.scratch)
            with suppress(OSError):
                os.chdir(below)
            self.files = FileStates(place.scratch)
            reseed()


class _Descriptors:
    """1 and 2: who prints behind the other one waits until that was read, so that the order holds."""

    has_descriptors = True

    def __init__(self) -> None:
        self._last = 0
        self._left = 0.0

    def begin_run(self) -> None:
        """Begin a run: nothing printed."""
        self._last, self._left = 0, _MOST_SECONDS

    def write(self, number: int, data: memoryview) -> None:
        """Write all of `data`."""
        other, self._last = self._last, number
        while other not in (0, number) and self._left > 0 and _has_unread(other):
            time.sleep(_NAP_SECONDS)
            self._left -= _NAP_SECONDS
        while data:
            data = data[os.write(number, data) :]

    def flush(self) -> None:
        """Do nothing: nothing waits."""


def _has_unread(number: int) -> bool:
    try:
        return any(fcntl.ioctl(number, termios.FIONREAD, bytes(4)))
    except OSError:  # no pipe any more, or a kernel that does not say
        return False


def _settle_in(setup: SessionSetup) -> None:
    """Become a process of its own: no descriptor but two sockets, no environment, no signal of the supervisor's terminal."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    die_with_parent(setup.supervisor)
    _print_to(setup.place.captured)
    close_all_but({0, 1, 2, *(end.fileno() for end in setup.sockets)})
    _keep_environment()
    warnings.filterwarnings("ignore", message=_QUIET.pattern)
    reseed()  # SECURITY: sessions forked from one zygote must not share their random numbers


def _work_in(scratch: str) -> None:
    """Make a scratch folder the place where this process works."""
    os.chdir(scratch)
    if "" not in sys.path:
        sys.path.append("")  # modules of the program's own, behind all others
    # hidden: matplotlib's list of fonts is none of the program's files
    os.environ.update(HOME=scratch, TMPDIR=scratch, MPLCONFIGDIR=os.path.join(scratch, ".matplotlib"))
    tempfile.tempdir = None


def _below(scratch: str) -> str:
    """Return where this process works, from its scratch folder if that is below it."""
    try:
        here = os.getcwd()
    except OSError:  # it was removed
        return "."
    below = os.path.relpath(here, scratch)
    return here if below.startswith(os.pardir) else below


def _print_to(captured: tuple[int, ...]) -> None:
    for number, fd in enumerate(captured, 1):
        os.dup2(fd, number)
        os.close(fd)


def _keep_environment() -> None:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    os.environ.clear()
    # threads of C code: a fork would lose them; polars asks the processor by machine code of its own making, which no box runs
    own = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "POLARS_SKIP_CPU_CHECK": "1"}
    os.environ.update(kept, LANG="C.UTF-8", MPLBACKEND="Agg", **own)


def _usage() -> tuple[float, int]:
    own, below = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = own.ru_utime + own.ru_stime + below.ru_utime + below.ru_stime
    return seconds, own.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
