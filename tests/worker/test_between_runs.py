"""Between runs no code of a guest goes on, whatever it left and whatever it says of its own end. Without the guard."""

import time

import pytest

from pinjra.wire.messages import Finished, Lost
from processes import stat_fields

PATIENCE_SECONDS = 300.0  # a hang fails the test; nothing waits so long


def stat_of(pid):
    """Return state and processor ticks of a process; ("gone", 0) when it is none."""
    fields = stat_fields(pid)
    return (fields[0], int(fields[11]) + int(fields[12])) if fields else ("gone", 0)


def wait_until(is_true):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.01)


def has_ended(pid):
    return stat_of(pid)[0] in ("gone", "Z")


def states(host):
    return {pid: stat_of(pid)[0] for pid in host.processes()}


def wait_until_frozen(host):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not set((now := states(host)).values()) <= {"T", "Z"}:
        assert time.monotonic() < deadline, now
        time.sleep(0.01)


def used_by(host):
    """Return the processor ticks of what is stopped; what has ended may be collected at any time."""
    found = (stat_of(pid) for pid in host.processes())
    return sum(ticks for state, ticks in found if state != "Z")


IGNORE = "import os, signal, threading, time\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
SPIN = "while True: pass\n"
FINISHED = 'os.write(socks[0], b\'["g","Finished",{"run":1,"value":42}]\\n\')\n'
MARK = 'time.sleep(0.05)\nos.write(socks[0], b\'["g","Ready",%d]\\n\' % copy)\n'
SOCKETS = """
import stat
fds = sorted(int(f) for f in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{f}'))
socks = [f for f in fds if stat.S_ISSOCK(os.fstat(f).st_mode)]  # the stream, then wake
"""
FORGED = IGNORE + SOCKETS + FINISHED

THREAD = "threading.Thread(target=lambda: [{} for _ in iter(int, 1)], daemon=True).start()"
LEFT_BEHIND = {
    "a thread": THREAD.format("0"),
    "eight threads": "for _ in range(8): " + THREAD.format("0"),
    "a thread that sleeps and wakes": THREAD.format("time.sleep(0.001)"),
    "an interval timer": (
        "signal.signal(signal.SIGALRM, lambda *_: sum(range(1000)))\n"
        "signal.setitimer(signal.ITIMER_REAL, .01, .01)"
    ),
    "a child": f"if os.fork() == 0:\n {SPIN}",
    "a child of a session of its own": f"if os.fork() == 0:\n os.setsid()\n {SPIN}",
    "a daemon": f"if os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  {SPIN} os._exit(0)\nos.wait()",
    "a child that continues its parent": (
        "me = os.getpid()\nif os.fork() == 0:\n while True: os.kill(me, signal.SIGCONT)"
    ),
    "two that continue each other": (
        "me = os.getpid()\nchild = os.fork()\nif child == 0:\n while True: os.kill(me, signal.SIGCONT)\n"
        + THREAD.format("os.kill(child, signal.SIGCONT)")
    ),
    "a loop of forks": THREAD.format("os.fork() or os._exit(0)"),
}


@pytest.mark.parametrize("rollback", [True, False], ids=["rollback", "no rollback"])
@pytest.mark.parametrize("left", LEFT_BEHIND)
def test_what_a_run_left_behind_stops_or_ends(open_host, left, rollback):
    host = open_host(rollback=rollback)
    assert host.run("x = 1\n" + IGNORE + LEFT_BEHIND[left] + "\n5") == 5
    wait_until_frozen(host)
    before = used_by(host)
    time.sleep(0.3)
    assert used_by(host) == before
    again = host.run("x")
    if left == "a loop of forks" and isinstance(again, Lost):
        assert again.cause == "processes"  # it goes on with the run, and may be what ends it
    else:
        assert again == 1


# A fork copies each of 30,000 mappings: when the stop comes the child is not there yet, and cannot be seen.
SLOW_FORK = """
import ctypes
libc, page = ctypes.CDLL(None, use_errno=True), 4096
libc.mmap.restype = ctypes.c_void_p
start = libc.mmap(None, ctypes.c_size_t(60_000 * page), 3, 0x22, -1, ctypes.c_long(0))
for number in range(0, 60_000, 2):
    libc.mprotect(ctypes.c_void_p(start + number * page), ctypes.c_size_t(page), 0)
"""
# Named before it is there, it was no longer to be ended or stopped, and then a child is made that has it.
FUTURE_NUMBER = """
def child(end):
    pid = os.fork()
    if pid == 0:
        while os.getpid() == end: pass
        os._exit(0)
    return pid
copy = end = child(0) + 4
MARK
copy = 0
MARK
while child(end) < end: os.wait()
time.sleep(1000)
""".replace("MARK\n", MARK)
CONTINUE_PARENT = "while True: os.kill(me, signal.SIGCONT)\n"
FORGED_ENDS = {
    "ready": FORGED + "copy = 0\n" + MARK + SPIN,
    "ready in a child": FORGED + f"copy = 0\n{MARK}if os.fork() == 0:\n {SPIN}{SPIN}",
    "ready in a fork": f"{FORGED}{SLOW_FORK}copy = 0\n{MARK}time.sleep(0.01)\nif os.fork() == 0:\n {SPIN}{SPIN}",
    "a child is the checkpoint": FORGED + f"copy = os.fork()\nif copy == 0:\n {SPIN}{MARK}{SPIN}",
    "the child continues its parent": (
        FORGED + f"me = os.getpid()\ncopy = os.fork()\nif copy == 0:\n {CONTINUE_PARENT}{MARK}{SPIN}"
    ),
    "the stream is closed": FORGED + f"copy = 0\n{MARK}os.close(socks[0])\n{SPIN}",
    "the stream is shut": FORGED
    + f"copy = 0\n{MARK}import socket\nsocket.socket(fileno=socks[0]).shutdown(1)\n{SPIN}",
    "the supervisor is the checkpoint": (
        FORGED + f"copy = os.getppid()\nif os.fork() == 0:\n {SPIN}{MARK}time.sleep(1000)"
    ),
    "a number that nobody has yet": FORGED + FUTURE_NUMBER,
    "threads": FORGED + "copy = 0\n" + THREAD.format("0") + f"\n{MARK}{SPIN}",
}


@pytest.mark.parametrize("code", FORGED_ENDS.values(), ids=FORGED_ENDS.keys())
def test_an_end_that_the_guest_declares_stops_it_too(host, code):
    interpreter = host.processes()[0]
    host.start(code)
    assert isinstance(host.finish(), Finished)
    wait_until(lambda: set(states(host).values()) <= {"T", "Z"} or has_ended(interpreter))
    if has_ended(interpreter):  # on a busy machine it may be seen going on before the stop has come
        assert isinstance(host.run("5"), Lost)
        return
    before = used_by(host)
    time.sleep(0.3)
    assert used_by(host) == before
    host.start("5")  # what was stopped goes on, in this run and within its limits
    host.connection.state = "running"


def test_an_answer_that_nobody_asked_for_ends_it(host):
    """It counted as work that is begun, and the interpreter was not stopped."""
    interpreter = host.processes()[0]
    answer = """time.sleep(0.05)\nos.write(socks[0], b'["g","Done",{"request":77}]\\n')\ncopy = 0\n"""
    host.start(FORGED + answer + MARK + SPIN)
    assert isinstance(host.finish(), Finished)
    wait_until(lambda: has_ended(interpreter))


def test_an_end_without_readiness_uses_up_the_limit_of_its_run(open_host):
    host = open_host(limits={"cpu_seconds": 0.2})
    host.start(FORGED + SPIN)
    assert isinstance(host.finish(), Finished)
    lost = host.run("5")
    # On a machine so busy that it is not given the limit's processor time in ten seconds, these end it.
    assert (lost.cause in ("cpu", "protocol"), lost.rolled_back) == (True, False)
    assert host.run("6") == 6


# A hundred: a stop discards a continuation that is under way, and a timer whose signal was discarded never comes again.
CONTINUED_BY_A_TIMER = """
import ctypes, os, signal, time
libc = ctypes.CDLL(None, use_errno=True)
class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("signal", ctypes.c_int), ("notify", ctypes.c_int),
                ("rest", ctypes.c_char * 48)]
for number in range(1, 101):
    timer = ctypes.c_void_p()
    assert libc.timer_create(1, ctypes.byref(Event(None, signal.SIGCONT, 0)), ctypes.byref(timer)) == 0
    times = (ctypes.c_long * 4)(30, 0, *divmod(number * 300_000_000, 1_000_000_000))
    assert libc.timer_settime(timer, 0, times, None) == 0
"""


# It says when it has its timer: what is stopped before never has one.
CHILD = "".join(f" {line}\n" for line in (CONTINUED_BY_A_TIMER + "os.write(say, b'.')\n" + SPIN).splitlines())
CONTINUED = {
    "the interpreter": FORGED + CONTINUED_BY_A_TIMER + "copy = 0\n" + MARK + SPIN,
    "the checkpoint": (
        f"{FORGED}hear, say = os.pipe()\ncopy = os.fork()\nif copy == 0:\n{CHILD}os.read(hear, 1)\n{MARK}time.sleep(600)"
    ),
}


@pytest.mark.parametrize("code", CONTINUED.values(), ids=CONTINUED.keys())
def test_what_has_itself_continued_by_the_kernel_is_ended(host, code):
    interpreter = host.processes()[0]
    host.start(code)
    assert isinstance(host.finish(), Finished)
    wait_until(lambda: has_ended(interpreter))
    lost = host.run("x")
    assert isinstance(lost, Lost)
    assert (lost.cause, lost.rolled_back) == ("cpu", False)
    assert host.run("6") == 6


def test_what_is_stopped_ends_with_a_supervisor_that_is_killed(host):
    host.run("x = 1")
    wait_until_frozen(host)
    stopped = host.processes()
    assert len(stopped) == 2
    host.process.kill()
    wait_until(lambda: all(has_ended(pid) for pid in stopped))


def test_variables_tools_and_threads_go_on_after_a_pause(host):
    host.grant(double=lambda x: 2 * x)
    host.run("import threading, time\nturns = []\n" + THREAD.format("turns.append(time.sleep(.001))"))
    wait_until_frozen(host)
    assert host.set(y=3) == ""
    wait_until_frozen(host)
    assert host.run("before = len(turns)\nwhile len(turns) < before + 3: time.sleep(.001)\ndouble(y)") == 6
