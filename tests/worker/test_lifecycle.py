"""What the host says in every state of an interpreter, over a real worker: what the host hears, and that the session goes on.

The states are held still. A stopped supervisor hears at once that its interpreter has died and what the host has said: that
meets one that is starting. It reads what comes in one piece before it hears the interpreter: what is said right behind variables
meets one that sets them. A hook at forks stops the interpreter while it makes a checkpoint, and a checkpoint while it takes over.
"""

import os
import signal
import time
from contextlib import suppress

import pytest

from pinjra.wire.messages import (
    Done,
    Execute,
    Finished,
    Interrupt,
    Kill,
    ListFiles,
    Lost,
    Output,
    Reset,
    SetVariables,
)
from pinjra.wire.values.codec import encode
from pinjra.worker.supervisor.lifecycle import RULES, LifecycleEvent, State
from processes import state_of

PATIENCE_SECONDS = 300.0  # a hang fails the test; nothing waits so long
STOPS = """
import os, signal, time
x, is_armed, is_copy_armed = 1, False, False
def before():
    global is_armed
    if is_armed:
        is_armed = False
        open("stops_itself", "w").close()
        os.kill(os.getpid(), signal.SIGSTOP)
def in_child():
    global is_armed
    is_armed = is_copy_armed
os.register_at_fork(before=before, after_in_child=in_child)
os.getpid()
"""


def wait_until(is_true):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.005)


def wait_until_all_are_stopped(host):
    wait_until(lambda: {state_of(pid) for pid in host.processes()} <= {"T", "Z"})


class Meeting:
    """What is said to a worker whose interpreter is in one state."""

    def __init__(self, state: State, open_host, *, has_run: bool):
        self.state = state
        self.has_run = has_run
        self.stopped = 0
        self.said = b""
        self.host = open_host()
        if state is not State.STARTING:
            self.pid = self.host.run(STOPS)
            wait_until_all_are_stopped(self.host)  # so there is nothing to do
        getattr(self, f"_{state.name.lower()}")()
        if has_run:
            self.say(Execute(run=self.host.connection.run + 1, code="40 + 2"))

    def _starting(self):
        self.stopped = self.host.process.pid
        os.kill(self.stopped, signal.SIGSTOP)
        wait_until(lambda: state_of(self.stopped) == "T")
        (interpreter,) = self.host.processes()
        os.kill(interpreter, signal.SIGKILL)
        wait_until(lambda: state_of(interpreter) == "Z")

    def _waking(self):
        self.host.run("is_copy_armed = True")
        wait_until_all_are_stopped(self.host)
        (self.stopped,) = {pid for pid in self.host.processes() if state_of(pid) == "T"} - {self.pid}
        os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: state_of(self.pid) == "gone")  # it was reaped, and at once the other one woken
        # Woken, it stops itself: what lets it go on must not come before that.
        wait_until(lambda: os.path.exists(f"/proc/{self.stopped}/cwd/stops_itself"))
        wait_until(lambda: state_of(self.stopped) == "T")

    def _settling(self):
        self.host.run("is_armed = True")
        wait_until(lambda: state_of(self.pid) == "T")
        self.stopped = self.pid

    def _idle(self):
        pass

    def _binding(self):
        self.set(z=1)

    def _running(self):
        self.host.start("print(flush=True)\nwhile True: time.sleep(0.01)")
        self.host.next(Output)

    def say(self, message):
        self.said += self.host.connection.send(message)

    def set(self, **values):
        tree, blobs = encode(values)
        self.say(SetVariables(request=self.host.request(), values=tree, blobs=blobs))

    def go_on(self):
        """Send what is to be said in one piece; let what is stopped go on when the supervisor has read it."""
        self.host.send_bytes(self.said)
        if self.state in (State.WAKING, State.SETTLING):
            self.host.send(ListFiles(request=self.host.request()))
            told = []
            while getattr(message := self.host.read(), "files", None) is None:
                told.append(message)
            self.host._messages[:0] = told
        if self.stopped:
            with suppress(ProcessLookupError):  # a kill or a reset has ended it
                os.kill(self.stopped, signal.SIGCONT)


@pytest.fixture
def meet(open_host):
    return lambda state, *, has_run=False: Meeting(state, open_host, has_run=has_run)


NOT_READY = (State.STARTING, State.WAKING, State.SETTLING)
NOT_RUNNING = (*NOT_READY, State.IDLE, State.BINDING)


def test_there_is_a_rule_for_every_event_in_every_state():
    assert {state: set(rules) for state, rules in RULES.items()} == {
        state: set(LifecycleEvent) for state in State
    }


@pytest.mark.parametrize("state", NOT_RUNNING)
def test_what_the_host_says_arrives_whatever_the_interpreter_does(meet, state):
    met = meet(state)
    met.set(y=5)
    met.go_on()
    assert met.host.next(Done).problem == ""
    assert met.host.run("y") == 5


def test_an_answer_arrives_in_a_run(host):
    host.grant(double=lambda x: 2 * x)
    assert host.run("double(20) + 2") == 42


@pytest.mark.parametrize("state", NOT_RUNNING)
def test_an_interrupt_without_a_run_is_nothing(meet, state):
    met = meet(state)
    met.say(Interrupt(grace_seconds=0.0))
    met.go_on()
    assert met.host.run("6 * 7") == 42


@pytest.mark.parametrize("event", [Interrupt(grace_seconds=0.0), Kill(cause="wall", kill=1)])
@pytest.mark.parametrize("state", NOT_READY)
def test_a_run_that_waits_is_ended_before_it_begins(meet, state, event):
    met = meet(state, has_run=True)
    met.say(event)
    met.go_on()
    lost = met.host.next(Lost, Finished)
    assert (type(lost), lost.rolled_back) == (Lost, True)
    assert lost.cause == ("wall" if isinstance(event, Kill) else "interrupt")
    assert met.host.run("6 * 7") == 42


@pytest.mark.parametrize("state", NOT_READY)
def test_a_run_that_waits_is_carried_out(meet, state):
    met = meet(state, has_run=True)
    met.go_on()
    assert met.host.next(Lost, Finished).value == 42


def test_an_interrupt_stops_a_run(meet):
    met = meet(State.RUNNING)
    met.say(Interrupt(grace_seconds=PATIENCE_SECONDS))
    met.go_on()
    assert met.host.finish().error["kind"] == "interrupted"
    assert met.host.run("x") == 1


@pytest.mark.parametrize("state", State)
def test_a_kill_is_answered_in_every_state_and_costs_no_variable(meet, state):
    met = meet(state)
    met.say(Kill(cause="wall", kill=1))
    met.go_on()
    lost = met.host.next(Lost)
    assert (lost.cause, lost.kill, lost.rolled_back) == ("wall", 1, True)
    assert state is State.STARTING or met.host.run("x") == 1
    assert met.host.run("6 * 7") == 42


@pytest.mark.parametrize("state", State)
def test_a_reset_is_carried_out_in_every_state(meet, state):
    met = meet(state)
    request = met.host.request()
    met.say(Reset(request=request))
    met.go_on()
    while met.host.next(Done).request != request:
        pass
    met.host.connection.state = "idle"
    assert met.host.run("'x' in globals()") is False
