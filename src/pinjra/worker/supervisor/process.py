"""The interpreter as the supervisor sees it: a child process, its sockets, and the checkpoint that may take its place.

Two socket pairs lead to it. *stream* carries the guest's lane, and the word `["g","Ready",PID]`: "the checkpoint is this process,
and I wait for the next message". *wake* is read by the checkpoint only: its message carries the ends of two new pairs, so that
nothing half read or half written by the dead process is left in them.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import replace

from pinjra.core.processes import stat_fields
from pinjra.jail.spawn.forks import fork
from pinjra.wire.messages import Init
from pinjra.worker.interpreter import forked as interpreter
from pinjra.worker.interpreter.checkpoint import BRANCH, WAKE
from pinjra.worker.setup import SessionSetup, Sockets, Workplace
from pinjra.worker.supervisor.outbox import Outbox, read_some
from pinjra.worker.supervisor.processes import (
    MEMORY_STATUS,
    Death,
    cpu_seconds,
    describe,
    has_children,
    is_child,
    is_there,
    reaped_seconds,
    send_signal,
)
from pinjra.worker.supervisor.sweep import Spent, Sweeper

_FIRST_WORD = re.compile(rb"([1-9][0-9]{0,8});")
_ANSWER_MILLISECONDS = 2000  # for two forks; only a hostile checkpoint takes so long
_END_SECONDS = 2.0  # a killed process is gone in milliseconds, unless it hangs in a device
_BEGINNING_SECONDS = 0.01  # of processor time, until a checkpoint is asleep
_FROZEN_SECONDS = 0.01  # of processor time, by which two looks at a stopped process may differ
_WORD_BYTES = 10  # longer and no word: garbage
_MOST_DYING = 4  # killed checkpoints that may be there still; runs faster than processes end make more


class InterpreterProcess:
    """One interpreter and those that take its place."""

    def __init__(self, init: Init, place: Workplace, sweeper: Sweeper) -> None:
        self._init = init
        self._place = place
        self._sweeper = sweeper
        sweeper.members.append(self)
        self.pid = 0
        self.session = 0
        """The process session of everything that it starts, unless guest code makes another, setsid(2)."""
        self.checkpoint = 0
        self.makes_copies = init.rollback
        """After each run it makes a checkpoint, and says so."""
        self.is_ready = False
        self.is_fresh = True
        """It was started, not woken."""
        self.is_pristine = self.was_pristine = True
        """No run and no variable: a fresh interpreter is as good as a checkpoint. And: so it was before the last run."""
        self.asked = ""
        """The cause for which the supervisor killed it."""
        self._reaped_before = 0.0
        self.cpu_before = 0.0
        """What it had used before the run in progress."""
        self._spent = Spent()
        # at the last look: of children that are killed with it nothing else is known
        self._seen_seconds = 0.0
        self._kills_before = sweeper.memory_kills()  # those that are nobody's death in the run to come
        self.death: Death | None = None
        """How it ended, until it is retired."""
        self.is_frozen = False
        """It is stopped: what it was given by its guest does not go on."""
        self._used_at_stop: float | None = None
        self._settled = 0  # the checkpoint at the last `clean_up`
        # checkpoints before it, as (number, pidfd); the interpreter reaps them when it makes the next one
        self._dying: list[tuple[int, int]] = []
        self._sockets: Sockets | None = None

    # ------------------------------------------------------------ start and end

    def start(self) -> None:
        """Let a fork of this process, which never ran guest code, be the interpreter.

        Raises:
            OSError: No process can be made.
        """
        ours, theirs = Sockets.pairs()
        try:
            counts_memory = self._sweeper.memory_kills() is not None
            pid = _fork(SessionSetup(os.getpid(), theirs, self._init, self._place, counts_memory))
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._sweeper.check(pid)
        self._attach(ours)
        self._begin(pid)
        self.session = pid
        self.is_pristine = self.was_pristine = self.is_fresh = True

    def wake(self) -> bool:
        """Let the checkpoint take over; False when there is none that could."""
        pid, self.checkpoint = self.checkpoint, 0
        # SECURITY: the guest names its checkpoint. Only a child of ours, which an orphan becomes, can be one, and nobody else's.
        if self._sweeper.is_anothers(pid, self) or not is_child(pid):
            return False
        ours, theirs = Sockets.pairs()
        send_signal(pid, signal.SIGCONT)  # before it is woken: a stop that comes behind is one of its own
        try:
            self._say_to_checkpoint(WAKE, theirs)
        except OSError:
            ours.close()
            return False
        self._attach(ours)
        self._begin(pid)
        self.was_pristine = False
        self.was_continued()  # by us
        self.is_fresh = False
        return True

    @property
    def has_siblings(self) -> bool:
        """Whether other sessions live in the box."""
        return any(member is not self for member in self._sweeper.members)

    def branch(self, place: Workplace) -> InterpreterProcess:
        """Return a copy of this interpreter that works at `place`: not started yet where a fresh one is the same.

        Raises:
            OSError: The checkpoint does not answer, or no process can be made.
        """
        copy = InterpreterProcess(self._init, place, self._sweeper)
        if self.is_pristine:
            return copy
        try:
            copy._become_copy_of(self)
        except OSError:
            copy.end()
            raise
        finally:
            if self.is_frozen:  # the checkpoint, which has made a copy of itself, is no escape
                self._stop()
                self._used_at_stop = None
        return copy

    def _become_copy_of(self, parent: InterpreterProcess) -> None:
        """Be what the checkpoint of `parent` makes of itself; it sleeps on."""
        ours, theirs = Sockets.pairs()
        self._attach(ours)
        send_signal(parent._known_checkpoint, signal.SIGCONT)
        message = BRANCH + os.fsencode(self._place.scratch)
        parent._say_to_checkpoint(message, theirs, self._place.captured)
        pid = self._hear_pid()
        # SECURITY: the guest names its process. Only a child of ours that is nobody else's can be one.
        if self._sweeper.is_anothers(pid, self) or not is_child(pid):
            raise OSError(errno.ESRCH, "the copy is none")
        self._begin(pid)
        self.session = pid
        self.is_fresh = self.is_pristine = False

    def _hear_pid(self) -> int:
        """Return the number that a new copy says first."""
        said = b""
        poll = select.poll()
        poll.register(self.out.fd, select.POLLIN)
        while len(said) < _WORD_BYTES and poll.poll(_ANSWER_MILLISECONDS):
            piece = read_some(self.out.fd, 1)  # one byte: what comes behind it is of the guest's lane
            if not piece:
                break
            said += piece
            if (found := _FIRST_WORD.fullmatch(said)) is not None:
                return int(found[1])
        raise OSError(errno.ECHILD, "the checkpoint made no copy of itself")

    def _say_to_checkpoint(self, message: bytes, theirs: Sockets, captured: Iterable[int] = ()) -> None:
        """Give the checkpoint the ends of one that takes over."""
        try:
            if self._sockets is None:
                raise OSError(errno.ESRCH, "there is no interpreter")
            socket.send_fds(self._sockets.wake, [message], [*(end.fileno() for end in theirs), *captured])
        finally:
            theirs.close()

    def _begin(self, pid: int) -> None:
        self.pid = pid
        self.asked = ""
        self.is_ready = False
        self._reaped_before = 0.0
        self.cpu_before = 0.0
        self.is_frozen = False

    def _attach(self, sockets: Sockets) -> None:
        if self._sockets is not None:
            self._sockets.close()
        self._sockets = sockets
        sockets.stream.setblocking(False)
        self.out = Outbox(sockets.stream.fileno())

    def kill(self, cause: str) -> None:
        """Kill the interpreter; its death is noticed as any other."""
        self.asked = self.asked or cause
        self.signal(signal.SIGKILL)

    def name_checkpoint(self, pid: int) -> None:
        """Take the number that the guest tells as that of its checkpoint; 0: it has none."""
        # SECURITY: this process and the interpreter are no checkpoints, and would be counted twice among those that may be there.
        self.checkpoint = 0 if pid in (os.getpid(), self.pid) else pid

    def signal(self, number: int) -> None:
        """Send a signal to the interpreter."""
        send_signal(self.pid, number)

    def retire(self) -> None:
        """Close the socket of the dead interpreter, end everything that it left but the checkpoint."""
        self.sweep(keep=(self.checkpoint,))
        if self._sockets is not None:  # but for the way to the checkpoint
            self._sockets.stream.close()
        self.death = None

    def sweep(self, keep: Iterable[int]) -> None:
        """Kill every process of the box but this one, `keep`, and those of its other sessions."""
        self._sweeper.kill_all_but(keep, self)

    def clean_up(self) -> None:
        """Kill what a run left behind; take the state of the clocks before the next one."""
        old, self._settled = self._settled, self.checkpoint
        if old and old != self.checkpoint:
            # SECURITY: the guest names its checkpoints; what it has named ends here, whatever it is. Only what was there and was
            # killed may be there still: a number that nobody has yet is given to one that is never stopped.
            fd = self._sweeper.kill(old, self)
            if fd >= 0:
                self._dying.append((old, fd))
        self._end_others()
        self._kills_before = self._sweeper.memory_kills()
        if self._sweeper.has_proc:
            self._reaped_before = reaped_seconds(self.pid)

    # ------------------------------------------------------------ between runs

    def freeze(self) -> None:
        """Stop the interpreter and its checkpoint, and kill whatever else is there: no code of a guest goes on."""
        self.is_frozen = True
        self._stop()
        self.look_again()
        self._used_at_stop = None

    def look_again(self) -> None:
        """Kill whatever else is there than the two that are stopped.

        SECURITY: also at each later look. A stop is under way when `kill` returns, and what the two were forking then cannot be
        seen until the fork is over, which takes as long as its memory is large.
        """
        self._end_others()
        # SECURITY: behind it. What is not stopped could continue them; what dies can (clone(2), the signal at the end)
        self._stop()

    def _stop(self) -> None:
        checkpoint = self._known_checkpoint
        if checkpoint and self._has_hardly_begun(checkpoint):
            checkpoint = 0  # a later look stops it: whom nothing would continue if this process died must not be stopped
        for pid in (checkpoint, self.pid, checkpoint):
            send_signal(pid, signal.SIGSTOP)

    def _has_hardly_begun(self, checkpoint: int) -> bool:
        """Return whether it has not had the time to fall asleep. SECURITY: what goes on for longer is stopped."""
        if not self._sweeper.has_proc or cpu_seconds(checkpoint) > _BEGINNING_SECONDS:
            return False
        try:
            return stat_fields(checkpoint)[0] in (b"R", b"D")
        except OSError:
            return False

    def _end_others(self) -> None:
        self._forget_dead(most=_MOST_DYING)
        dying = [pid for pid, _fd in self._dying]
        if not self._sweeper.is_quiet(self, dying):
            self.sweep(keep=(self.pid, self.checkpoint, *dying))

    def _forget_dead(self, most: int) -> None:
        """Forget those whose numbers may be others' by now, and the oldest of more than `most`."""
        kept = [each for each in self._dying if is_there(each[1])]
        kept = kept[max(0, len(kept) - most) :]
        for _pid, fd in set(self._dying) - set(kept):
            os.close(fd)
        self._dying = kept

    def thaw(self) -> None:
        """Let the interpreter go on. The checkpoint has nothing to do until it is needed."""
        if self.is_frozen:
            self.is_frozen = False
            self.signal(signal.SIGCONT)
            self.was_continued()  # by us: a later look must not take it for somebody else's while the next stop is on its way

    @property
    def _known_checkpoint(self) -> int:
        """The checkpoint, which the guest has named; 0 when it cannot be one."""
        pid = self.checkpoint
        return 0 if pid == os.getpid() or self._sweeper.is_anothers(pid, self) else pid

    def _used(self) -> float:
        checkpoint = self._known_checkpoint
        return cpu_seconds(self.pid) + (cpu_seconds(checkpoint) if checkpoint else 0.0)

    def has_escaped(self) -> bool:
        """Return whether one of the two has gone on although it was stopped: its guest has seen to that.

        To be asked some time after the stop: what was used until the first time was used on the way to it.
        """
        if self._has_ended():  # its end, which is heard of soon, costs processor time too
            return False
        if self.was_continued():
            return True
        used, before = self._used(), self._used_at_stop
        self._used_at_stop = used if before is None else before
        return used - self._used_at_stop > _FROZEN_SECONDS

    def _has_ended(self) -> bool:
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def was_continued(self) -> bool:
        """Return whether the interpreter was continued since this was asked last; False when it is gone."""
        try:
            return os.waitid(os.P_PID, self.pid, os.WCONTINUED | os.WNOHANG) is not None
        except ChildProcessError:
            return False

    def end(self) -> None:
        """Kill the interpreter, its checkpoint and everything below them."""
        if self.pid:
            self.signal(signal.SIGKILL)
        deadline = time.monotonic() + _END_SECONDS
        self.sweep(keep=())
        while len(self._sweeper.members) == 1 and has_children() and time.monotonic() < deadline:
            self.sweep(keep=())
            time.sleep(0.001)
        self._sweeper.members.remove(self)
        self._forget_dead(most=0)
        if self._sockets is not None:
            self._sockets.close()

    # ------------------------------------------------------------ what it says

    def reap(self) -> Death | None:
        """Reap what has ended; return how the interpreter did if it was among it, now or in a sweep."""
        self._sweeper.reap()
        return self.death

    def note_death(self, pid: int, status: int, usage: resource.struct_rusage) -> None:
        """See `Member`."""
        if pid == self.pid:
            kills, before = self._sweeper.memory_kills(), self._kills_before
            is_out = None if kills is None else kills > (before or 0)
            death = describe(
                status, usage, self._init.limits.get("memory_bytes"), self.asked, out_of_memory=is_out
            )
            self.death = replace(
                death, cpu_seconds=max(self._seen_seconds, death.cpu_seconds - self.cpu_before)
            )
            self._kills_before = kills
        elif pid == self.checkpoint:
            self.checkpoint = 0

    # ------------------------------------------------------------ processor time

    def start_clock(self) -> None:
        """Begin to count the processor time of a run."""
        self.cpu_before = self._used() + self._reaped_before
        self._spent = Spent()
        self._seen_seconds = 0.0

    def cpu_seconds(self, *, alone: bool = False) -> float:
        """Return the processor time since `start_clock`, of the two, and of all below unless `alone`."""
        if alone:
            return max(0.0, self._used() - self.cpu_before)
        below = set(self._sweeper.below(self.pid, self)) - {self.pid, self.checkpoint}
        reaped = reaped_seconds(self.pid)
        # where /proc tells what its ended children had used, they must not count twice
        others = sum(map(cpu_seconds, below)) if reaped else self._spent.seconds(below)
        self._seen_seconds = max(0.0, self._used() + reaped + others - self.cpu_before)
        return self._seen_seconds


def _fork(setup: SessionSetup) -> int:
    """Return the number of a fork of this process, which never ran guest code, that is an interpreter."""
    pid = fork()
    if pid:
        return pid
    status = 70  # EX_SOFTWARE of sysexits.h: our bug
    try:
        interpreter.main(setup)
        status = 0
    except MemoryError:
        status = MEMORY_STATUS
    except BaseException:  # the process ends here whatever it was; what it was goes to the capture pipe
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)
