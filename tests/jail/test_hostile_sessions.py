"""Guests that attack what their session, its checkpoint, its branches and its files are made of. All without the guard."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinjra.core.errors import PinjraError
from pinjra.core.limits import Limits
from pinjra.executors.jail import JailExecutor

from .test_attacks import NAMESPACES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")

_MODES = [[], NAMESPACES, [*NAMESPACES, "cgroup memory", "cgroup pids"]]

# the worker's own objects, found by walking up the stack
_LOOP = (
    "import os, sys\nf = sys._getframe()\n"
    "while not hasattr(f.f_locals.get('self'), '_checkpoint'): f = f.f_back\nloop = f.f_locals['self']\n"
)


@pytest.fixture(params=_MODES, ids=["all", "no namespaces", "rlimits only"])
def box(request: pytest.FixtureRequest) -> Iterator[JailExecutor]:
    limits = Limits(wall_seconds=10, memory_bytes=192 << 20, disk_bytes=8 << 20, processes=16)
    with JailExecutor(["*"], guard=False, limits=limits, without=request.param, spares=0) as opened:
        yield opened


def test_a_reset_removes_a_tree_of_any_depth(box: JailExecutor) -> None:
    if "scratch tmpfs" not in box.guarantees.isolation:
        pytest.skip("so deep a tree ends its session here")
    box.run("import os\nfor _ in range(1000):\n    os.mkdir('d'); os.chdir('d')\nos.chmod('.', 0)")
    box.reset()
    assert box.run("import os\nos.listdir()").value == []


def test_pages_of_the_library_stay_in_the_cache_that_all_share(box: JailExecutor) -> None:
    attack = (Path(__file__).parents[1] / "escapes" / "jail_pages_of_others.py").read_text()
    done = box.run(attack)
    allowed = [line for line in done.stdout.splitlines() if line.startswith("advice")]
    assert allowed == [f"advice {number}" for number in (0, 1, 2, 3, 5)], done  # 4 is POSIX_FADV_DONTNEED


def test_more_names_of_files_than_a_run_may_have_written_are_left_out(box: JailExecutor) -> None:
    names = "{f'{number:x}': 1 for number in range(50_000)}"
    lie = f"from pinjra.wire.messages import Finished\nc = loop._channel\nc.send(Finished(run=c.run, files={names}))\nos._exit(0)"
    assert len(box.run(_LOOP + lie).files) == 10_000


def ready(checkpoint: int | str) -> bytes:
    """Return the word by which an interpreter says that it is ready, and which process is its checkpoint."""
    return f'["g","Ready",{checkpoint}]\n'.encode()


NOTES = [
    ready(1),
    ready(999_999_999),
    ready(-1),
    ready(0) * 50,
    ready("9" * 5000),
    ready('"1"'),
    ready("1,2"),
]


@pytest.mark.parametrize("note", NOTES)
def test_a_forged_note_costs_at_most_the_guests_own_state(note: bytes, box: JailExecutor) -> None:
    box.run("x = 1")
    error = box.run(f"{_LOOP}loop._channel.tell({note!r})\nos._exit(3)").error
    assert error is not None
    assert "exit status 3" in error.message
    left = box.run("globals().get('x')").value
    assert left == (1 if error.rolled_back else None)


def test_a_process_of_the_guest_cannot_be_passed_off_as_the_supervisor(box: JailExecutor) -> None:
    box.run("x = 1")
    note = f"{ready('%d')!r} % os.getppid()"
    error = box.run(f"{_LOOP}loop._channel.tell({note})\nos.kill(os.getpid(), 9)").error
    assert error is not None
    assert "signal 9" in error.message
    assert not error.rolled_back
    assert box.run("1 + 1").value == 2


def test_a_checkpoint_that_the_guest_has_stopped_is_woken_all_the_same(box: JailExecutor) -> None:
    box.run("x = 1")
    error = box.run(f"{_LOOP}os.kill(loop._checkpoint.copy, 19)\nos._exit(3)").error
    assert error is not None
    assert error.rolled_back
    assert box.run("x").value == 1


def test_a_guest_cannot_name_the_interpreter_of_a_branch_as_its_checkpoint(box: JailExecutor) -> None:
    box.run("x = 1")
    with box.fork() as branch:
        other = branch.run("import os\nx = 2\nos.getpid()").value
        error = box.run(f"{_LOOP}loop._channel.tell({ready(other)!r})\nos._exit(3)").error
        assert error is not None
        assert not error.rolled_back
        assert box.run("globals().get('x')").value is None
        assert branch.run("x").value == 2


def test_what_a_branch_leaves_behind_ends_with_it_and_not_the_others(box: JailExecutor) -> None:
    box.run("x = 1")
    leave = "import os, time\nif os.fork() == 0:\n    while True: time.sleep(1)"
    with box.fork() as branch:
        branch.run(leave)
        box.run(leave)
        assert branch.run("x").value == 1
    assert box.run("x").value == 1


def test_descriptors_sent_to_the_supervisor_are_dropped(box: JailExecutor) -> None:
    box.run("x = 1")
    code = (
        f"{_LOOP}import socket, time\na, b = socket.socketpair()\n"
        'word = b\'["g","Ready",%d]\\n\' % loop._checkpoint.copy\n'
        "for _ in range(3000):\n"
        "    try: socket.send_fds(loop._channel._stream, [word], [a.fileno(), b.fileno()] * 4)\n"
        "    except OSError: time.sleep(0.001)  # the kernel has a limit of those on their way\n"
    )
    assert box.run(code).error is None
    assert box.run("x").value == 1
    with box.fork() as branch:  # it has descriptors for another session
        assert branch.run("x").value == 1


def test_files_that_change_under_the_hosts_hands_never_lead_out_of_the_folder(box: JailExecutor) -> None:
    code = (
        "import threading, os\ndef swap():\n    while True:\n        try:\n"
        "            os.mkdir('q'); open('q/passwd', 'w').write('mine'); os.rename('q', 'p'); os.symlink('/etc', 'q')\n"
        "            os.unlink('q'); os.unlink('p/passwd'); os.rmdir('p')\n        except OSError: pass\n"
        "threading.Thread(target=swap, daemon=True).start()"
    )
    box.run(code)
    for _ in range(100):
        for action in (
            box.list_files,
            lambda: box.get_file("q/passwd"),
            lambda: box.put_file("q/new", b"1"),
        ):
            try:
                found = action()
            except (PinjraError, FileNotFoundError):
                continue
            assert not isinstance(found, bytes) or found in (b"", b"mine")
    assert box.run("1 + 1").value == 2


def test_standard_input_is_shared_with_no_other_session(box: JailExecutor) -> None:
    """It is opened in the session: flags set on one description would be seen by whoever shares it."""
    with JailExecutor(["*"], guard=False, spares=0) as other:
        box.run("import fcntl, os\nfcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)")
        flags = "import fcntl, os\nfcntl.fcntl(0, fcntl.F_GETFL) & (os.O_NONBLOCK | os.O_APPEND)"
        assert box.run(flags).value != 0
        assert other.run(flags).value == 0


def test_a_listing_of_very_long_names_is_cut_and_costs_no_session() -> None:
    code = (
        "import os\nfor _ in range(31):\n    os.mkdir('n' * 250); os.chdir('n' * 250)\n"
        "for n in range(9900): open('%05d' % n + '\\x01' * 240, 'w').close()"
    )
    limits = Limits(wall_seconds=60, disk_bytes=64 << 20)
    with JailExecutor(["*"], guard=False, limits=limits, spares=0) as opened:
        if "scratch tmpfs" not in opened.guarantees.isolation:
            pytest.skip("so many files end their session here")
        assert opened.run(code).error is None
        assert 0 < len(opened.list_files()) < 9900
        assert opened.run("1 + 1").value == 2
