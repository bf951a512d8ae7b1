"""Keeps one interpreter behind the guest's lane: passes messages on, replaces it when it dies, says what that cost.

Every way in which an interpreter can fail ends in `on_child_ended`: the checkpoint takes over, or a fresh one is
started, and the host gets one `Lost`. Where no run, binding or kill was open and nothing was lost, it gets nothing;
where the state was lost, it gets the `Lost` in answer to its next run, so that the two never cross on the stream.

While the interpreter is *not ready* (starting, taking over, or making its checkpoint after a run), what the host says to it is
held: so the processes that a run left behind can be told from those of the next run. Readiness has a deadline, so
that a hostile guest that never gets ready is a killed guest and not a hang.

`RULES`, at the end, says what is done with each event in each state.
"""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from pinjra.core.errors import ProtocolViolation
from pinjra.core.limits import Limits
from pinjra.wire.connection import READY
from pinjra.wire.messages import Done, Kill, Lost, Started
from pinjra.worker.scratch.walked_folder import Scratch
from pinjra.worker.setup import STOP, Workplace
from pinjra.worker.supervisor.host import Host, kind_of
from pinjra.worker.supervisor.outbox import read_some
from pinjra.worker.supervisor.output import PrintedOutput
from pinjra.worker.supervisor.process import InterpreterProcess
from pinjra.worker.supervisor.processes import Death
from pinjra.worker.supervisor.run_clock import RunClock

READY_SECONDS = 10.0  # for a fork and a line on a socket: only a hostile or broken interpreter takes so long
CLOSED_SECONDS = 1.0  # from the end of its stream to its own: one that dies has closed it a moment before
FREEZE_SECONDS = 0.02  # without work until the interpreter is stopped: a run right behind the last one does not wait for it
_LOOK_SECONDS = 0.05  # to the first look whether it stays stopped; each further one takes twice as long
_LONGEST_LOOK_SECONDS = 10.0
_UNREAD_BYTES = 16 << 20  # besides one value, what an interpreter may leave unread before it is killed
_REQUEST = re.compile(rb'"request":[0-9]+')
_UNASKED = b'"request":0'  # the host's requests have numbers from 1: nothing is answered
_BINDINGS = (b"GrantTools", b"SetVariables")
_COPY_YOURSELF = b'["g","SetVariables",{"request":0,"values":null}]\n'
_COPY_TO_BRANCH = b'["g","SetVariables",{"request":0,"values":true}]\n'
_FINISHED = b'"Finished"'
_CHECKPOINT = re.compile(rb"([0-9]{1,9})\]")


@dataclass(frozen=True)
class Origin:
    """What a session begins with: an interpreter, or one to be started, its files, and the tools that it is to know."""

    guest: InterpreterProcess
    scratch: Scratch
    grants: Mapping[bytes, bytes] = field(default_factory=dict)
    captured: tuple[int, ...] = ()
    """What becomes 1 and 2 of the interpreter where it is not started yet."""


class State(Enum):
    """What an interpreter is doing. In the first three it is not ready."""

    STARTING = "a fresh one is on its way"
    WAKING = "a checkpoint, or a copy of another session, takes over"
    SETTLING = "what it did is over, and a checkpoint is made of what came of it"
    IDLE = "there is nothing for it to do"
    BINDING = "it sets variables or tools"
    RUNNING = "it runs code"


class LifecycleEvent(Enum):
    """What happens to an interpreter besides the end of its process, which is the same in every state."""

    FRAME = "the host says something to it"
    INTERRUPT = "the host wants the run to end"
    KILL = "the host wants the run to be over"
    COPY = "the host wants a copy of it"
    READY = "it says that it is ready"


class Lifecycle:
    """The interpreter of a session, whichever process it is at the moment."""

    def __init__(self, host: Host, output: PrintedOutput, limits: Limits, origin: Origin) -> None:
        self._host = host
        self._output = output
        self.scratch = origin.scratch
        self._guest = origin.guest
        self.clock = RunClock(limits)
        self._output_bytes = limits.output_bytes
        self._most_unread = _UNREAD_BYTES + int(limits.value_bytes or 0)
        self._held: list[tuple[bytes, bytes]] = []  # (kind, message), while the interpreter is not ready
        self._blobs: list[bytes] = []  # frames of a message that is not whole yet
        self._grants = dict(origin.grants)
        self._unbound = 0  # bindings that are not answered
        self._kills: list[Kill] = []
        self._reset = 0
        self._loss: Death | None = None
        self._owed: tuple[Death, bool] | None = None  # a death, and whether the host waits to hear of it
        self._is_started = False
        self._is_running = False
        self._is_dirty = False  # tools or variables came since the last checkpoint
        self._when_copied: Callable[[bool], None] | None = None
        self._is_copy_asked = False
        self._ready_deadline: float | None = None
        self._freeze_at: float | None = None  # or look whether it stays frozen
        self._closed_deadline: float | None = None  # for the end of one that has closed its stream
        self._look_seconds = 0.0
        if self._guest.pid:
            self._wait_until_ready()
        else:
            self._start()

    def _start(self) -> None:
        self._guest.start()
        for grant in self._grants.values():
            self._guest.out.put(grant)
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        self._ready_deadline = time.monotonic() + READY_SECONDS

    def end(self) -> None:
        """Kill the interpreter and everything below it; remove the scratch folder."""
        self._guest.end()
        # The box goes on: files of a session that is over are memory for nothing.
        if self._guest.has_siblings:
            self.scratch.clear()
        self.scratch.remove()

    # ------------------------------------------------------------ the poll loop's questions

    def masks(self) -> dict[int, int]:
        """Return descriptor → what to poll for. A host that does not read stops us, and then the interpreter."""
        guest, reads = self._guest, 0 if self._host.is_full else select.POLLIN
        printed = 0 if self._output.deadline else reads
        heard = reads if self._is_heard else 0
        masks = dict.fromkeys(self._output.fds, printed)
        # Where it is closed there is nothing to wait for, and its end would be told again and again.
        if self._closed_deadline is None:
            masks[guest.out.fd] = heard | select.POLLOUT if guest.out.size else heard
        return masks

    @property
    def deadline(self) -> float | None:
        """When `on_time` is to be called at the latest; None for never."""
        ready_deadline = None if self._host.is_full else self._ready_deadline  # who is not read cannot say it
        times = (
            ready_deadline,
            self._output.deadline,
            self.clock.deadline,
            self._freeze_at,
            self._closed_deadline,
        )
        return min((at for at in times if at is not None), default=None)

    def on_time(self, now: float) -> None:
        """Do what is due."""
        if self._output.deadline is not None and now >= self._output.deadline:
            self._drain()
        if self._ready_deadline is not None and now >= self._ready_deadline and not self._host.is_full:
            self._wait_until_ready()
            self._guest.kill("protocol")
        if self._closed_deadline is not None and now >= self._closed_deadline:
            self._closed_deadline = None
            self._guest.kill("protocol")
        if self._freeze_at is not None and now >= self._freeze_at:
            self._freeze()
        cause = self.clock.expired(self._guest, now)
        if cause:
            self._guest.kill(cause)

    @property
    def state(self) -> State:
        """What the interpreter is doing."""
        if self._ready_deadline is not None:
            if self._guest.is_ready:
                return State.SETTLING
            return State.STARTING if self._guest.is_fresh else State.WAKING
        if self._host.connection.run_open:
            return State.RUNNING
        return State.BINDING if self._unbound else State.IDLE

    # ------------------------------------------------------------ between runs

    def _rest(self) -> None:
        """Stop the clock of what is over, and the interpreter if nothing comes soon."""
        if self.state is State.IDLE and not self._held:
            self.clock.stop()
            self._look_seconds = _LOOK_SECONDS
            self._freeze_at = None if self._guest.is_pristine else time.monotonic() + FREEZE_SECONDS

    def _freeze(self) -> None:
        """Stop the interpreter; later look whether it stays stopped."""
        if not self._guest.is_frozen:
            self._guest.freeze()
        elif self._guest.has_escaped():
            self._end_escaped()
            return
        else:
            self._guest.look_again()
        self._freeze_at = time.monotonic() + self._look_seconds
        self._look_seconds = min(2 * self._look_seconds, _LONGEST_LOOK_SECONDS)

    def _end_escaped(self) -> None:
        """Kill what goes on although it was stopped, and the checkpoint, which is not what it says."""
        self._freeze_at = None
        self._guest.kill("cpu")

    def _work(self) -> None:
        """Let the interpreter go on: there is something for it to do."""
        self._freeze_at = None
        self._guest.thaw()

    @property
    def _is_heard(self) -> bool:
        """Whether what the interpreter says is taken. What was killed is heard when it is dead: only then is it known whether
        the end of its run has a checkpoint behind it."""
        return not (self._host.is_full or self._guest.asked)

    def on_readable(self, fd: int) -> None:
        """Take what a descriptor of `masks` has."""
        guest = self._guest
        if fd in self._output.fds:
            self._drain()
        elif fd == guest.out.fd:
            guest.out.flush()
            data = read_some(fd) if self._is_heard else None
            if data:
                self._relay(data)
            elif data == b"":
                self._closed_deadline = time.monotonic() + CLOSED_SECONDS

    # ------------------------------------------------------------ from the host

    def pass_on(self, frame: bytes) -> None:
        """Pass a frame of the guest's lane on, once its message is whole and the interpreter is ready."""
        kind = kind_of(frame)
        self._blobs.append(frame)
        if not kind:
            return
        message = b"".join(self._blobs)
        self._blobs.clear()
        if kind == b"GrantTools":
            grant = _REQUEST.sub(_UNASKED, message)
            self._grants[grant] = grant
        self._unbound += kind in _BINDINGS
        # A host need not wait for the end of a run before it goes on: what else it says waits here.
        if kind != b"Answer" and (self._held or self._is_running):
            self._hold(kind, message)
        else:
            RULES[self.state][LifecycleEvent.FRAME](self, kind, message)

    def _hold(self, kind: bytes, message: bytes) -> None:
        self._held.append((kind, message))

    def _put(self, kind: bytes, message: bytes) -> None:
        guest = self._guest
        self._work()
        if kind == b"Execute":
            if self._loss is not None:
                death, self._loss = self._loss, None
                self._host.connection.run_open = False
                self._say_lost(death, rolled_back=False)
                self._rest()
                return
            self._is_running = True
            self._host.connection.run_open = True
            self._output.start_run(self._output_bytes, self.scratch)
            self.clock.start(guest)
            # none, where what the last run left behind took up the limit of processes
            has_none = not (guest.checkpoint or guest.is_pristine)
            if guest.makes_copies and (self._is_dirty or has_none):
                guest.out.put(_COPY_YOURSELF)
        elif kind == b"Answer":
            self.clock.open_calls -= 1
        elif kind == b"SetVariables":
            guest.is_pristine = False
        if kind in _BINDINGS:
            self._is_dirty = self._is_dirty or not guest.is_pristine
            self.clock.start_aside(guest)
        guest.out.put(message)
        if guest.out.size > self._most_unread:
            guest.kill("protocol")

    def take(self, event: LifecycleEvent, *said: object) -> None:
        """Do what follows from an event in this state."""
        RULES[self.state][event](self, *said)

    def _interrupt_held(self, _grace_seconds: float) -> None:
        if self._drop_held_run():
            self._say_lost(Death("interrupt", "before it began", 0.0, 0), rolled_back=True)

    def _interrupt_run(self, grace_seconds: float) -> None:
        """Stop the run, gently; it is killed when it has not ended by then."""
        self._guest.signal(STOP)
        self.clock.interrupt(grace_seconds)

    def _kill_at_work(self, kill: Kill) -> None:
        self._kills.append(kill)
        self._guest.kill(kill.cause)

    def _kill_held(self, kill: Kill) -> None:
        """Forget the run that is held; what is held besides is ended with the interpreter."""
        if self._drop_held_run() or not self._unbound:
            self._answer_idle_kill(kill)
        else:
            self._kill_at_work(kill)

    def _kill_dead(self, kill: Kill) -> None:
        """Answer when the one that takes over is up, if the host is to hear then that the one before it has died."""
        if self._owed is not None and self._owed[1]:
            self._kills.append(kill)
        else:
            self._kill_held(kill)

    @property
    def _has_held_run(self) -> bool:
        return any(kind == b"Execute" for kind, _message in self._held)

    def _drop_held_run(self) -> bool:
        """Forget a run that the interpreter has not heard of; return whether there was one."""
        if not self._has_held_run:
            return False
        self._held = [(kind, message) for kind, message in self._held if kind != b"Execute"]
        self._host.connection.run_open = False
        return True

    def reset(self, request: int) -> None:
        """Replace the interpreter by a fresh one."""
        self._reset = request
        self._held.clear()
        self._guest.checkpoint = 0  # it goes with everything else that the interpreter leaves
        self._guest.kill("host")

    # ------------------------------------------------------------ branches

    def when_copied(self, tell: Callable[[bool], None]) -> None:
        """Call `tell` when there is a copy of the interpreter as it is now (True), or is none to be had (False)."""
        self._when_copied, self._is_copy_asked = tell, False
        self.take(LifecycleEvent.COPY)

    def _tell_copied(self) -> None:
        if self._when_copied is None:
            return
        guest = self._guest
        if guest.is_pristine or self._is_copy_asked or (guest.checkpoint and not self._is_dirty):
            tell, self._when_copied = self._when_copied, None
            tell(guest.is_pristine or guest.checkpoint > 0)
        else:
            self._is_copy_asked = True
            self._work()
            self.clock.start_aside(guest)
            guest.out.put(_COPY_TO_BRANCH)
            self._wait_until_ready()

    def origin(self, scratch: Scratch, captured: tuple[int, ...]) -> Origin:
        """Return what another lifecycle begins with to have a copy of this session; to be called when `when_copied` told.

        Raises:
            OSError: No process can be made, or the interpreter does not make it.
        """
        try:
            guest = self._guest.branch(Workplace(scratch.path, captured))
            return Origin(guest, scratch, dict(self._grants), captured)
        finally:
            self._rest()  # the checkpoint was let go on

    # ------------------------------------------------------------ from the interpreter

    def _drain(self, *, is_end: bool = False) -> None:
        """Pass on what was printed. Printed while no run is open, it goes nowhere."""
        is_open = self._host.connection.run_open
        for message in self._output.end_run() if is_end and is_open else self._output.take():
            if is_open:
                self._host.send(message)

    def _relay(self, data: bytes) -> None:
        self._drain(is_end=_FINISHED in data)
        try:
            for kind, word in self._host.relay(data):
                if kind == b"Done":
                    self._note_done()
                self.clock.open_calls += kind == b"Call"
                if self._is_running and not self._host.connection.run_open:
                    self._run_ended()
                if word:
                    self._hear_ready(word)
        except ProtocolViolation:
            self._guest.kill("protocol")
        self._rest()

    def _note_done(self) -> None:
        # SECURITY: one that nobody has asked for would count as work that is begun, and keep the interpreter from being stopped
        if not self._unbound:
            raise ProtocolViolation("an answer to a binding that nobody has asked for")
        self._unbound -= 1

    def _hear_ready(self, word: bytes) -> None:
        found = _CHECKPOINT.fullmatch(word, len(READY))
        self._guest.name_checkpoint(int(found[1]) if found else 0)
        self._is_dirty = False
        if self._guest.death is None:
            self.take(LifecycleEvent.READY)
        else:
            self._ready_deadline = None

    def _run_ended(self) -> None:
        self._is_running = False
        self.clock.end_run(self._guest)
        self._wait_until_ready()
        self._guest.was_pristine, self._guest.is_pristine = self._guest.is_pristine, False
        if not (self._guest.makes_copies or self._guest.checkpoint):
            self._now_ready()  # there is nothing that the interpreter makes or ends before it takes the next message

    def _now_ready(self) -> None:
        guest = self._guest
        self._ready_deadline = None
        guest.is_ready = True
        guest.clean_up()
        if not self._is_started:
            self._is_started = True
            self._host.send(Started())
        if self._owed is not None:
            (death, is_due), self._owed = self._owed, None
            self._tell(death, True, is_due=is_due)
        self._release()
        self._rest()
        if self._ready_deadline is None:
            self._tell_copied()

    def _release(self) -> None:
        while self._held and self._ready_deadline is None and not self._is_running:
            self._put(*self._held.pop(0))

    # ------------------------------------------------------------ death

    def on_child_ended(self) -> None:
        """Reap; replace the interpreter if it is among the dead. A frozen one that goes on is told in the same way."""
        death = self._guest.reap()
        if death is None:
            if self._guest.is_frozen and self._guest.was_continued():
                self._end_escaped()
            return
        self._hear_last_words(death)
        # a run that is held goes on behind an interpreter that ended by its own will; otherwise it is answered by the loss
        is_held = death.undoes_run and self._has_held_run
        is_due = (self._host.connection.run_open and not is_held) or bool(self._unbound or self._kills)
        was_ready = self._guest.is_ready
        self._guest.retire()
        self._host.connection.interpreter_died()
        self._host.connection.run_open = is_held
        self.clock.stop()
        self._is_running = False
        self._freeze_at = self._closed_deadline = None
        self._held = [] if is_due else self._held
        self._unbound = 0
        if self._reset:
            self._after_reset()
        else:
            self._replace(death, was_ready=was_ready, is_due=is_due)

    def _hear_last_words(self, death: Death) -> None:
        """Take what the dead interpreter has said; settle which checkpoint may follow it."""
        guest = self._guest
        said = b""
        while guest.asked != "protocol" and (data := read_some(guest.out.fd)):
            said += data
        # Killed between the end of its run and its checkpoint: the run is undone, or its state would be lost without a word.
        is_late = guest.asked and self._is_running and _FINISHED in said and READY not in said
        if said and not is_late:
            self._relay(said)
        if death.undoes_run:  # it has filled the memory: the checkpoint before it is what is wanted
            guest.is_pristine = guest.was_pristine
        elif self.state is State.SETTLING:  # there is none of a run that the host counts as done
            guest.checkpoint = 0
        # SECURITY: what goes on between runs has named an accomplice; and what took over and died before it was ready would be
        # followed by what it has named, without an end
        if (guest.is_frozen and guest.asked) or not (guest.is_ready or guest.is_fresh):
            guest.checkpoint = 0
        self._drain(is_end=True)

    def _replace(self, death: Death, *, was_ready: bool, is_due: bool) -> None:
        guest = self._guest
        if not was_ready and guest.is_fresh:
            why = f"the interpreter does not start ({death.cause}, {death.detail})"
            raise ProtocolViolation(why + self._output.last_words(death))
        first, self._owed = self._owed, None
        if guest.checkpoint and guest.wake():
            self._wait_until_ready()
            self.clock.start_aside(guest, alone=True)
            self._owed = (first[0] if first else death, is_due or bool(first and first[1]))
            return
        rolled_back = guest.is_pristine and first is None
        self._start()
        self._tell(first[0] if first else death, rolled_back, is_due=is_due or bool(first and first[1]))

    def _tell(self, death: Death, rolled_back: bool, *, is_due: bool) -> None:
        if is_due:
            self._say_lost(death, rolled_back=rolled_back)
        elif not rolled_back:
            self._loss = death

    def _say_lost(self, death: Death, *, rolled_back: bool) -> None:
        kill = self._kills.pop(0) if self._kills else None
        self._host.send(
            Lost(
                cause=kill.cause if kill else death.cause,
                detail=death.detail + self._output.last_words(death),
                rolled_back=rolled_back,
                kill=kill.kill if kill else 0,
                cpu_seconds=death.cpu_seconds,
                memory_peak_bytes=death.memory_peak_bytes,
            )
        )
        self._answer_late_kills()

    def _answer_late_kills(self) -> None:
        while self._kills:
            self._answer_idle_kill(self._kills.pop(0))

    def _answer_idle_kill(self, kill: Kill) -> None:
        """Answer a kill that came too late for its run, or too early: nothing is to be undone."""
        self._host.send(Lost(cause=kill.cause, kill=kill.kill, rolled_back=True))

    def _after_reset(self) -> None:
        request, self._reset = self._reset, 0
        self.scratch.clear()
        self._loss = self._owed = None
        self._start()
        self._host.send(Done(request=request))
        self._answer_late_kills()

    def _nothing(self, *_said: object) -> None:
        """Do nothing: it comes too early or too late."""


def _rule(*actions: Callable[..., None]) -> Mapping[LifecycleEvent, Callable[..., None]]:
    return dict(zip(LifecycleEvent, actions, strict=True))


_L = Lifecycle
# SECURITY: what says that it is ready while code runs can only be that code
RULES: Mapping[State, Mapping[LifecycleEvent, Callable[..., None]]] = {
    #                     FRAME     INTERRUPT           KILL                  COPY             READY
    State.STARTING: _rule(_L._hold, _L._interrupt_held, _L._kill_held,        _L._nothing,     _L._now_ready),
    State.WAKING:   _rule(_L._hold, _L._interrupt_held, _L._kill_dead,        _L._nothing,     _L._now_ready),
    State.SETTLING: _rule(_L._hold, _L._interrupt_held, _L._kill_held,        _L._nothing,     _L._now_ready),
    State.IDLE:     _rule(_L._put,  _L._nothing,        _L._answer_idle_kill, _L._tell_copied, _L._now_ready),
    State.BINDING:  _rule(_L._put,  _L._nothing,        _L._kill_at_work,     _L._tell_copied, _L._now_ready),
    State.RUNNING:  _rule(_L._put,  _L._interrupt_run,  _L._kill_at_work,     _L._nothing,     _L._nothing),
}  # fmt: skip
