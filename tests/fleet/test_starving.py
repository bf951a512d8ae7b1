"""The time of a program is what it runs or sleeps: not what it waits for processors that others have, and never its own doing."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pinjra.core.limits import Limits
from pinjra.fleet import Case, Fleet
from pinjra.fleet.requests import Request

ESCAPES = sorted((Path(__file__).resolve().parents[1] / "escapes").glob("grader_starves_*.py"))
LIMITS = Limits(wall_seconds=1.0, cpu_seconds=20.0, memory_bytes=256 << 20)
COMPUTE = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass\n"
PROCESSORS = os.cpu_count() or 1


@pytest.fixture(scope="module")
def busy():
    """Much else to do for this machine, each in a session of its own, as kernels share processors between sessions."""
    others = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
        for _ in range(PROCESSORS * 2)
    ]
    yield
    for other in others:
        other.kill()
        other.wait()


PROGRAMS = {
    "itself": COMPUTE,
    "a process of it": f"import os\nif os.fork() == 0:\n    exec({COMPUTE!r})\n    os._exit(0)\nos.wait()\n",
    "a thread of it": f"import threading\nt = threading.Thread(target=exec, args=({COMPUTE!r},))\nt.start()\nt.join()\n",
}


# On a machine with more than ten times too much to do nothing is judged: that is never an answer of the program.
@pytest.mark.parametrize("code", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_that_waits_for_processors_is_not_too_late(fleet, busy, code):
    done = fleet.submit(f"{code}print(5)", limits=LIMITS).result()
    assert (done.reason, done.stdout) in (("", "5\n"), ("infrastructure", ""))


def test_neither_are_programs_of_other_languages_and_what_builds_them(busy):
    argv = ("python3", "-c", COMPUTE)
    request = Request(argv=argv, build=argv, build_seconds=1.0, limits=LIMITS)
    with Fleet(programs="*", boxes=1) as fleet:
        done = fleet.submit_request(request).result()
    assert {done.reason, done.build.reason} <= {"", "infrastructure"}


def test_neither_is_one_in_a_jail_of_its_own(busy):
    with Fleet(isolation="fresh", boxes=1) as fleet:
        assert fleet.submit(f"{COMPUTE}print(5)", limits=LIMITS).result().reason in ("", "infrastructure")


@pytest.mark.parametrize("test", ["assert f(1) == 1", "for x in [1]:\n    assert f(x) == x"])
def test_neither_is_one_whose_functions_are_called(fleet, busy, test):
    code = f"def f(x):\n    exec({COMPUTE!r})\n    return x"
    verdict = fleet.score_sync(code, [Case(test=test, entry="f")], per_case=LIMITS)
    assert verdict.status in ("passed", "infrastructure")


@pytest.mark.parametrize(
    "code", ["import time\ntime.sleep(1000)", "import time\nwhile True: time.sleep(0.01)"]
)
def test_one_that_sleeps_is_too_late_on_any_machine(fleet, busy, code):
    assert fleet.submit(code, limits=LIMITS).result().reason == "wall"


@pytest.mark.parametrize("path", ESCAPES, ids=lambda path: path.stem)
def test_who_makes_itself_wait_is_too_late(fleet, path):
    limits = replace(LIMITS, wall_seconds=0.5)
    done = fleet.submit(path.read_text("utf-8"), limits=limits).result()
    is_busy = os.getloadavg()[0] > PROCESSORS * 4  # by others: then nobody knows
    assert done.reason in ("wall", "processor", "infrastructure" if is_busy else "")
    assert not done.ok
