"""Limits of sessions without the guard, by their cause: with all namespaces, and with none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from pinjra.core.errors import SessionLost
from pinjra.core.execution import Cause, ErrorKind, GuestError
from pinjra.core.limits import Limits
from pinjra.executors.jail import JailExecutor
from pinjra.executors.session.connection import Patience

from .test_attacks import NAMESPACES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")

GROUPS = ["cgroup memory", "cgroup pids"]
MODES: dict[str, list[str]] = {
    "all": [],
    "no group": GROUPS,
    "no namespaces": NAMESPACES,
    "rlimits only": [*NAMESPACES, *GROUPS],
}
Open = Callable[..., JailExecutor]


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Iterator[Open]:
    boxes: list[JailExecutor] = []

    def make(without: list[str], **limits: float) -> JailExecutor:
        base: dict[str, float] = {
            "wall_seconds": 60,
            "memory_bytes": 192 << 20,
            "disk_bytes": 8 << 20,
            "processes": 16,
        }
        boxes.append(
            JailExecutor(["*"], guard=False, limits=Limits(**{**base, **limits}), without=without, spares=0)  # type: ignore[arg-type]
        )
        return boxes[-1]

    yield make
    for box in boxes:
        box.close()


def failure(box: JailExecutor, code: str, wall_seconds: float | None = None) -> GuestError:
    box.run("kept = 1")
    error = box.run(code, wall_seconds=wall_seconds).error
    assert error is not None
    return error


WALL = {
    "a pattern that backtracks": "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",
    "a large number": "len(str(10**10**8))",
    "a sum": "sum(range(10**14))",
    "sleep": "import time\ntime.sleep(60)",
    "a queue": "import queue\nqueue.Queue().get()",
    "a loop in C": "import itertools, collections\ncollections.deque(itertools.repeat(1), maxlen=0)",
    "swallowed exceptions": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    ),
    "a fork bomb": (
        "import os\nfor _ in range(150):\n    try:\n        if os.fork() == 0:\n            while True: pass\n"
        "    except OSError: pass\nwhile True: pass"
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", WALL)
def test_the_wall_limit_ends(what: str, mode: str, opened: Open) -> None:
    box = opened(MODES[mode])
    error = failure(box, WALL[what], wall_seconds=0.5)
    assert error.cause is Cause.WALL  # rolled back, or about to be: the next use waits for it
    assert box.run("kept").value == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "code", ["x = bytearray(1 << 30)", "x = []\nwhile True: x.append(bytearray(1 << 20))"]
)
def test_memory_of_one_process_is_limited(code: str, mode: str, opened: Open) -> None:
    error = failure(opened(MODES[mode]), code)
    assert error.cause is Cause.MEMORY


@pytest.mark.parametrize("mode", ["no group", "rlimits only"])
def test_shared_memory_is_limited_where_no_group_counts_it(mode: str, opened: Open) -> None:
    error = failure(opened(MODES[mode]), "import mmap\nm = mmap.mmap(-1, 2 << 30)")
    assert "Cannot allocate memory" in error.message


@pytest.mark.parametrize("mode", ["all", "no namespaces"])
def test_shared_memory_is_limited_by_the_group(mode: str, opened: Open) -> None:
    box = opened(MODES[mode])
    if "cgroup memory" not in box.guarantees.isolation:
        pytest.skip("no memory group here")
    code = "import mmap\nm = mmap.mmap(-1, 1 << 30)\nfor at in range(0, len(m), 4096): m[at] = 1"
    assert failure(box, code).cause is Cause.MEMORY


@pytest.mark.parametrize("mode", ["all", "no group"])
@pytest.mark.parametrize(
    "code",
    [
        "open('big', 'wb').write(bytes(64 << 20))",
        "for n in range(40): open(f'f{n}', 'wb').write(bytes(1 << 20))",
        "for n in range(9999): open(f'f{n}', 'wb').close()",
        "import os\nfor n in range(40):\n    f = os.open('f', 66)\n    os.write(f, bytes(1 << 20))\n    os.unlink('f')",
    ],
)
def test_the_scratch_folder_is_full_at_its_quota(code: str, mode: str, opened: Open) -> None:
    error = failure(opened(MODES[mode]), code)
    assert error.type == "OSError"
    assert "No space left" in error.message or "File too large" in error.message


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "code",
    [
        "import threading, time\nfor _ in range(99): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        "import os, time\nfor _ in range(99):\n    if os.fork() == 0: time.sleep(9)",
    ],
)
def test_processes_and_threads_are_limited(code: str, mode: str, opened: Open) -> None:
    error = failure(opened(MODES[mode]), code)
    assert error.type in ("RuntimeError", "BlockingIOError") or error.cause is Cause.PROCESSES


@pytest.mark.parametrize("mode", MODES)
def test_processor_time_of_threads_is_limited(mode: str, opened: Open) -> None:
    code = "import threading\ndef f():\n    while True: pass\nfor _ in range(3): threading.Thread(target=f).start()\nf()"
    assert failure(opened(MODES[mode], cpu_seconds=0.5), code).cause is Cause.CPU


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "code",
    [
        "import os, time\nfor _ in range(99):\n    if os.fork() == 0: time.sleep(9)",
        "import threading, time\nfor _ in range(99): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
    ],
)
def test_a_refused_process_or_thread_names_the_limit(code: str, mode: str, opened: Open) -> None:
    error = failure(opened(MODES[mode]), code)
    assert (error.kind, error.cause) == (ErrorKind.LIMIT, Cause.PROCESSES)


@pytest.mark.parametrize("mode", MODES)
def test_limits_of_more_than_the_kernel_counts_are_none(mode: str, opened: Open) -> None:
    box = opened(MODES[mode], processes=1 << 40, memory_bytes=1 << 62)
    assert box.run("1 + 1").value == 2


@pytest.mark.parametrize("mode", ["all", "no group"])
def test_a_full_scratch_folder_names_the_limit(mode: str, opened: Open) -> None:
    code = "for n in range(40): open(f'f{n}', 'wb').write(bytes(1 << 20))"
    error = failure(opened(MODES[mode]), code)
    assert (error.kind, error.cause) == (ErrorKind.LIMIT, Cause.DISK)


@pytest.mark.parametrize("mode", ["no namespaces", "rlimits only"])
def test_a_file_beyond_the_quota_names_it_where_no_tmpfs_has_a_size(mode: str, opened: Open) -> None:
    error = failure(opened(MODES[mode]), "open('big', 'wb').write(bytes(64 << 20))")
    assert (error.kind, error.cause) == (ErrorKind.LIMIT, Cause.DISK)


def test_a_read_that_would_wait_is_no_limit(opened: Open) -> None:
    code = "import os\nr, w = os.pipe()\nos.set_blocking(r, False)\nos.read(r, 1)"
    error = failure(opened(MODES["all"]), code)
    assert (error.kind, error.type, error.cause) == (ErrorKind.EXCEPTION, "BlockingIOError", None)


_CHILDREN = (
    "import os, time\nfor _ in range(3):\n    if os.fork() == 0:\n        while True: pass\ntime.sleep(60)"
)


@pytest.mark.parametrize("mode", MODES)
def test_processor_time_of_children_is_limited(mode: str, opened: Open) -> None:
    assert failure(opened(MODES[mode], cpu_seconds=0.5), _CHILDREN).cause is Cause.CPU


_GENERATIONS = (
    "import os, time\nwhile True:\n    if os.fork() == 0:\n        end = time.process_time() + 0.3\n"
    "        while time.process_time() < end: pass\n        os._exit(0)\n    os.wait()"
)


@pytest.mark.parametrize("mode", MODES)
def test_processor_time_of_children_that_were_waited_for_is_limited(mode: str, opened: Open) -> None:
    box = opened(MODES[mode], cpu_seconds=1.0)
    assert failure(box, _GENERATIONS).cause is Cause.CPU


_LEFTOVER = (
    "import os, time\nr, w = os.pipe()\nif os.fork() == 0:\n    os.setsid()\n    os.close(r)\n    while True: time.sleep(1)\n"
    "os.close(w)\nos.set_blocking(r, False)"
)
_IS_ALIVE = "try:\n    alive = os.read(r, 1) != b''\nexcept BlockingIOError:\n    alive = True\nalive"


@pytest.mark.parametrize("mode", MODES)
def test_what_a_run_left_behind_is_ended(mode: str, opened: Open) -> None:
    box = opened(MODES[mode])
    assert box.run(_LEFTOVER).error is None
    box.run("0")
    assert box.run(_IS_ALIVE).value is False


_HIDDEN = (
    "import os, time, signal\nr, w = os.pipe()\nif os.fork() == 0:\n    os.close(r)\n"
    "    from pinjra.jail.walls.libc import prctl\n    prctl(1, 0)\n    prctl(36, 1)\n    os.setsid()\n"
    "    for _ in range(3):\n        if os.fork():\n            break\n        os.setsid()\n"
    "    while True: time.sleep(1)\nos.close(w)\nos.set_blocking(r, False)"
)


@pytest.mark.parametrize("mode", MODES)
def test_what_a_run_left_behind_cannot_hide_behind_reapers_of_its_own(mode: str, opened: Open) -> None:
    box = opened(MODES[mode])
    assert box.run(_HIDDEN).error is None
    box.run("0")
    assert box.run(_IS_ALIVE).value is False


@pytest.mark.parametrize("mode", ["all", "no namespaces"])
def test_a_kill_for_memory_far_below_the_limit_is_named_so(mode: str, opened: Open) -> None:
    """Children hold most of the memory, so the interpreter's own part is small whoever the kernel picks."""
    box = opened(MODES[mode])
    if "cgroup memory" not in box.guarantees.isolation:
        pytest.skip("no memory group here")
    code = (
        "import mmap, os, signal\nfor part in (100, 90, 80):\n    if part < 100 and os.fork(): continue\n"
        "    m = mmap.mmap(-1, part << 20)\n    for at in range(0, len(m), 4096): m[at] = 1\n"
        "    if part < 100: signal.pause()\nsignal.pause()"
    )
    assert failure(box, code).cause is Cause.MEMORY


@pytest.mark.parametrize("mode", ["no namespaces", "rlimits only"])
def test_a_supervisor_that_the_guest_stops_costs_the_guest_its_session(mode: str) -> None:
    class Impatient(JailExecutor):
        PATIENCE = Patience(recovery_seconds=1.0)

    with Impatient(guard=False, without=MODES[mode], spares=0) as box:
        done = box.run(
            "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\nwhile True: pass", wall_seconds=0.5
        )
        assert done.error is not None
        assert done.error.cause is Cause.WALL
        with pytest.raises(SessionLost, match="wall"):
            box.run("1")
