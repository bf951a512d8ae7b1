"""What holds in the host's own process: the ceiling of memory, the kernel's timer on the main thread, and giving both back."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from pinjra.core.execution import Cause
from pinjra.core.limits import Limits
from pinjra.executors.alarm import Alarm
from pinjra.executors.ceiling import Ceiling
from pinjra.executors.local import LocalPythonExecutor

linux = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA holds mappings on Linux")


def alone(code: str) -> str:
    """Return what a program prints in a process of its own: no threads but its own, and a limit may end it."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout.strip()


@linux
def test_the_ceiling_holds_inside_one_call_and_is_given_back() -> None:
    out = alone(
        "import resource\n"
        "from pinjra.executors.ceiling import Ceiling\n"
        "before = resource.getrlimit(resource.RLIMIT_DATA)\n"
        "ceiling = Ceiling(64 << 20)\n"
        "ceiling.lower()\n"
        "try:\n"
        "    bytes(100 << 20)\n"
        "    print('made')\n"
        "except MemoryError:\n"
        "    print('refused')\n"
        "bytes(32 << 20)\n"
        "ceiling.lift()\n"
        "bytes(100 << 20)\n"
        "print(resource.getrlimit(resource.RLIMIT_DATA) == before)"
    )
    assert out == "refused\nTrue"


@linux
def test_a_lower_limit_of_the_hosts_own_stays() -> None:
    out = alone(
        "import resource\n"
        "from pinjra.executors.ceiling import Ceiling\n"
        "hard = resource.getrlimit(resource.RLIMIT_DATA)[1]\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (256 << 20, hard))\n"
        "ceiling = Ceiling(1 << 30)\n"
        "ceiling.lower()\n"
        "print(resource.getrlimit(resource.RLIMIT_DATA)[0] == 256 << 20)\n"
        "ceiling.lift()\n"
        "print(resource.getrlimit(resource.RLIMIT_DATA)[0] == 256 << 20)"
    )
    assert out == "True\nTrue"


@linux
def test_the_ceiling_stays_away_where_other_threads_could_be_hurt() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    done = threading.Event()
    others = [threading.Thread(target=done.wait) for _ in range(3)]
    for other in others:
        other.start()
    try:
        ceiling = Ceiling(1 << 20)
        ceiling.lower()
        assert resource.getrlimit(resource.RLIMIT_DATA) == before
        ceiling.lift()
    finally:
        done.set()
        for other in others:
            other.join()


@linux
def test_one_call_that_never_lets_go_of_the_lock_meets_the_memory_limit() -> None:
    out = alone(
        "from pinjra.core.limits import Limits\n"
        "from pinjra.executors.local import LocalPythonExecutor\n"
        "box = LocalPythonExecutor(limits=Limits(memory_bytes=64 << 20))\n"
        "done = box.run('t = set\\nt(range(10**13))')\n"
        "print(done.error.type, box.run('1 + 1').value)"
    )
    assert out.split()[0] in ("MemoryError", "LimitReached", "GuestStop"), out
    assert out.split()[1] == "2"


def test_a_regular_expression_without_end_meets_the_wall_limit_on_the_main_thread() -> None:
    box = LocalPythonExecutor(limits=Limits(wall_seconds=0.5))
    done = box.run("import re\nre.match('.*.*.*.*.*.*.*x', 'a' * 5000)")
    assert done.error is not None
    assert done.error.cause is Cause.WALL
    assert box.run("1 + 1").value == 2
    box.close()


def test_the_timer_is_given_back_and_never_taken_from_the_host() -> None:
    box = LocalPythonExecutor(limits=Limits(wall_seconds=20))
    if signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:
        assert box.run("1").value == 1
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    try:
        alarm = Alarm(lambda: 1.0)
        alarm.arm(100.0)
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
        alarm.disarm()
        assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGALRM, before)
        box.close()
