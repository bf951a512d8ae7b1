"""The jail executor: what a guest with all of Python tries, what its limits do, what is promised and left behind."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pinjra.core.errors import ConfigurationError, ExecutorClosed
from pinjra.core.execution import Cause, ErrorKind
from pinjra.core.limits import Limits
from processes import descendants, is_alive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")
if sys.platform == "linux":
    from pinjra.executors.jail import JailExecutor
    from pinjra.jail.plan import JailUnavailable

NAMESPACES = [f"{kind} namespace" for kind in ("user", "mount", "pid", "network", "ipc", "uts", "cgroup")]
LEFT = Limits(processes=8, wall_seconds=500, cpu_seconds=500)
LIMITS = Limits(memory_bytes=512 << 20, disk_bytes=8 << 20, wall_seconds=5, cpu_seconds=5, processes=16)
OPEN = ["os", "socket", "subprocess", "ctypes", "signal", "time", "pinjra.jail.walls.libc"]


@pytest.fixture(scope="module", params=["namespaces", "no namespaces"])
def without(request: pytest.FixtureRequest) -> list[str]:
    try:
        JailExecutor(spares=0).close()
    except JailUnavailable as problem:  # the machine's fault; anything else is ours
        pytest.skip(str(problem))
    return NAMESPACES if request.param == "no namespaces" else []


@pytest.fixture(scope="module")
def box(without: list[str]) -> Iterator[JailExecutor]:
    with JailExecutor(OPEN, limits=LIMITS, guard=False, without=without, spares=0) as executor:
        yield executor


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        "import os\nos.listdir('/root')",
        "open('HERE', 'a')",
        "import socket\nsocket.create_connection(('127.0.0.1', 1), 1)",
        "import subprocess\nsubprocess.run(['/usr/bin/id'])",
        "import os, signal\nos.kill(HOST, signal.SIGKILL)",
    ],
)
def test_plain_python_cannot_reach_the_host(box: JailExecutor, code: str) -> None:
    done = box.run(code.replace("HERE", __file__).replace("HOST", str(os.getpid())))
    assert done.error is not None
    assert done.error.type in {"PermissionError", "FileNotFoundError", "ProcessLookupError", "OSError"}


@pytest.mark.parametrize(
    ("code", "kind", "cause"),
    [
        (
            "from pinjra.jail.walls.libc import syscall\nsyscall('unshare', 0x10000000)",
            ErrorKind.CRASHED,
            Cause.SECCOMP,
        ),
        ("import ctypes\nctypes.string_at(0)", ErrorKind.CRASHED, Cause.SIGNAL),
        ("import os\nos._exit(3)", ErrorKind.CRASHED, Cause.EXIT),
        ("while True: pass", ErrorKind.LIMIT, None),
    ],
)
def test_a_step_that_kills_its_interpreter_is_undone(
    box: JailExecutor, code: str, kind: ErrorKind, cause: Cause | None
) -> None:
    assert box.run("kept = 'as it was'").error is None
    done = box.run(f"kept = 'changed'\n{code}")
    assert done.error is not None
    assert done.error.kind == kind
    assert done.error.rolled_back
    assert cause is None or done.error.cause == cause
    assert box.run("kept").value == "as it was"


def test_a_step_that_is_undone_leaves_the_random_numbers_as_they_were(box: JailExecutor) -> None:
    numbers = random.Random(7)
    assert box.run("import os, random\nrandom.seed(7)\nrandom.random()").value == numbers.random()
    assert box.run("random.random()\nos._exit(3)").error is not None
    assert box.run("random.random()").value == numbers.random()


def test_a_step_that_is_undone_leaves_open_files_where_they_were(box: JailExecutor) -> None:
    """Copies of a process share the positions: a file read in steps had lost what the undone one had read."""
    box.put_file("numbers", b"".join(b"%05d\n" % number for number in range(20_000)))
    assert (
        box.run("import os\nf, log = open('numbers'), open('log', 'w', 1)\nf.readline()").value == "00000\n"
    )
    assert box.run("f.read()\nlog.write('undone\\n')\nos._exit(3)").error is not None
    assert box.run("log.write('again!\\n')\nlen(f.read())").value == 19_999 * 6
    assert box.get_file("log") == b"again!\n"


def test_processes_that_guest_code_forks_have_random_numbers_of_their_own(box: JailExecutor) -> None:
    code = """
import os, random
reader, writer = os.pipe()
for _ in range(2):
    child = os.fork()
    if not child:
        os.write(writer, repr(random.random()).encode().ljust(32))
        os._exit(0)
    os.waitpid(child, 0)
{random.random(), *map(float, os.read(reader, 64).split())}
"""
    assert len(box.run(code).value) == 3


def test_a_step_that_has_filled_the_memory_and_is_undone_says_so(without: list[str]) -> None:
    limits = Limits(memory_bytes=128 << 20, wall_seconds=500, cpu_seconds=500)
    with JailExecutor(guard=False, limits=limits, without=without) as box:
        box.run("rows = []")
        error = box.run("while True: rows.append('x' * 10**6)").error
        assert error is not None and (error.cause, error.rolled_back) == (Cause.MEMORY, True)
        assert box.run("rows").value == []
        error = box.run("rows.append(1)\nbytearray(1 << 40)").error
        assert error is not None and (error.cause, error.rolled_back) == (Cause.MEMORY, False)
        assert box.run("rows").value == [1]


def test_a_step_that_leaves_as_many_processes_as_it_may_takes_no_rollback_away(without: list[str]) -> None:
    """There was no room for the copy behind it; that none was made later, and the state lost without a word, was the fault."""
    fork = "import os, time\nwhile True:\n    if not os.fork():\n        time.sleep(10_000)"
    with JailExecutor(guard=False, limits=LEFT, without=without, spares=0) as box:
        box.run("kept = 'before'")
        done = box.run(fork)
        assert done.error is not None and done.error.cause == Cause.PROCESSES
        pid = box._connection.messages.transport.pid
        while sum(map(is_alive, descendants(pid))) > 2:  # what it left is being killed
            os.sched_yield()
        done = box.run("kept = 'after'\nos._exit(1)")
        assert done.error is not None and done.error.rolled_back
        assert box.run("kept").value == "before"


def test_the_processor_time_of_children_that_are_killed_is_told(without: list[str]) -> None:
    code = "import os, time\nfor _ in range(2):\n    if not os.fork():\n        while True: pass\ntime.sleep(600)"
    limits = Limits(cpu_seconds=1, wall_seconds=500)
    with JailExecutor(guard=False, limits=limits, without=without) as box:
        done = box.run(code)
    assert done.error is not None and done.error.cause == Cause.CPU
    assert done.usage.cpu_seconds is not None and done.usage.cpu_seconds >= 1


def test_a_huge_allocation_ends_in_a_memory_error(box: JailExecutor) -> None:
    done = box.run("x = bytearray(1 << 30)")
    assert done.error is not None
    assert done.error.type == "MemoryError"


def test_a_file_larger_than_the_quota_cannot_be_written(without: list[str]) -> None:
    with JailExecutor(limits=LIMITS, guard=False, without=without, spares=0) as box:
        done = box.run("with open('big', 'wb') as f:\n    for _ in range(16): f.write(bytes(1 << 20))")
    assert done.error is not None
    assert done.error.type == "OSError"


def test_files_go_in_and_out_of_the_scratch_folder(box: JailExecutor) -> None:
    box.put_file("in/a.txt", b"from the host")
    assert box.run("open('in/a.txt').read()").value == "from the host"
    box.run("open('out.txt', 'w').write('from the guest')")
    assert box.get_file("out.txt") == b"from the guest"
    assert set(box.list_files()) >= {"in/a.txt", "out.txt"}


def test_the_environment_holds_nothing_of_the_host(
    monkeypatch: pytest.MonkeyPatch, box: JailExecutor
) -> None:
    assert "PATH" not in box.run("import os\nlist(os.environ)").value


def test_guarantees_name_what_is_applied_and_what_is_not(box: JailExecutor, without: list[str]) -> None:
    promised = box.guarantees
    assert promised.boundary == "kernel"
    assert "seccomp" in promised.isolation
    assert "landlock files" in promised.isolation or "mount namespace" in promised.isolation
    for name in without:
        assert f"{name}: left out on purpose" in promised.missing
    assert all(
        (promised.memory, promised.wall, promised.disk, promised.processes, promised.network, promised.files)
    )


def test_the_guard_is_on_unless_it_is_switched_off(without: list[str]) -> None:
    with JailExecutor(limits=LIMITS, without=without, spares=0) as executor:
        done = executor.run("import ctypes")
        assert done.error is not None
        assert done.error.kind == ErrorKind.REFUSED
        assert executor.guarantees.operations == "guard"


def test_what_cannot_be_given_is_not_started() -> None:
    with pytest.raises(JailUnavailable, match=r"cannot give 'pid namespace' here .*left out on purpose"):
        JailExecutor(without=NAMESPACES, require=["pid namespace"])
    with pytest.raises(ConfigurationError, match="is no mechanism or property of the jail"):
        JailExecutor(require=["walls"])


def test_a_closed_executor_says_so() -> None:
    executor = JailExecutor(limits=LIMITS, spares=0)
    executor.close()
    executor.close()
    with pytest.raises(ExecutorClosed):
        executor.run("1")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can read; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_folder_that_the_sessions_user_cannot_reach_is_reported(tmp_path: Path, without: list[str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's sessions have another user")
    tmp_path.chmod(0o700)
    with JailExecutor(limits=LIMITS, python_path=[str(tmp_path)], without=without, spares=0) as executor:
        start = f"{tmp_path}: the session's user cannot read it"
        assert any(text.startswith(start) for text in executor.guarantees.missing)


def test_a_closed_folder_above_is_reported_where_the_session_sees_it(
    open_folder: Path, without: list[str]
) -> None:
    below = open_folder / "below"
    below.mkdir(mode=0o755)
    (below / "ours.py").write_text("ANSWER = 42")
    open_folder.chmod(0o700)
    with JailExecutor(
        ["ours"], limits=LIMITS, preload=(), python_path=[str(below)], without=without, spares=0
    ) as executor:
        is_reported = any(text.startswith(f"{below}: ") for text in executor.guarantees.missing)
        assert (executor.run("import ours").error is None) is not is_reported


def test_modules_of_the_operator_are_shown_when_named(open_folder: Path, without: list[str]) -> None:
    (open_folder / "ours.py").write_text("ANSWER = 42")
    imports = ["ours"]
    with JailExecutor(
        imports, limits=LIMITS, preload=(), python_path=[str(open_folder)], without=without, spares=0
    ) as seen:
        assert seen.run("import ours\nours.ANSWER").value == 42
    with JailExecutor(imports, limits=LIMITS, preload=(), without=without, spares=0) as unseen:
        done = unseen.run("import ours")
        assert done.error is not None
        assert done.error.type == "ModuleNotFoundError"


def test_an_unprivileged_user_gets_the_same_walls() -> None:
    code = (
        "import json, os, sys\n"
        "if os.geteuid() == 0:\n    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "from pinjra.executors.jail import JailExecutor\n"
        "with JailExecutor(['os'], guard=False, spares=0) as box:\n"
        "    seen = [box.run(code) for code in ('6 * 7', 'open(\"/etc/passwd\")', 'import os\\nos.fork()')]\n"
        "    print(json.dumps([seen[0].value, seen[1].error.type, 'capabilities dropped' in box.guarantees.isolation]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd="/")
    if "ModuleNotFoundError" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("the unprivileged user cannot read this checkout or interpreter")
    assert done.returncode == 0, done.stderr
    value, refusal, is_dropped = json.loads(done.stdout)
    assert (value, is_dropped) == (42, True)
    assert refusal in ("FileNotFoundError", "PermissionError")


def test_an_image_or_figure_that_is_the_value_arrives_as_an_artifact() -> None:
    pytest.importorskip("PIL")
    pytest.importorskip("matplotlib")
    limits = replace(LIMITS, wall_seconds=60)  # matplotlib's import takes 5 s where many processes run
    with JailExecutor(["PIL.*", "matplotlib.*"], limits=limits, spares=0) as executor:
        image = executor.run("from PIL import Image\nImage.new('RGB', (4, 4))")
        figure = executor.run(
            "import matplotlib.pyplot as plt\nfigure = plt.figure()\nplt.plot([1, 2])\nfigure"
        )
    for done in (image, figure):
        assert done.error is None
        assert [artifact.media_type for artifact in done.artifacts] == ["image/png"]
        assert done.artifacts[0].data.startswith(b"\x89PNG")


FULL = {
    "bytes": "x = []\ntry:\n while True: x.append(bytes(1000))\nexcept MemoryError: pass",
    "instances": "class A: pass\nx = []\ntry:\n while True: x.append(A())\nexcept MemoryError: pass",
    "texts": "x = {}\ntry:\n while True: x[len(x)] = str(len(x))\nexcept MemoryError: pass",
    "more than half": "x = [bytes(1000) for _ in range(150_000)]",
}


@pytest.mark.parametrize("fill", FULL.values(), ids=FULL.keys())
def test_variables_that_take_most_of_the_box_can_be_used_and_freed(fill):
    """Whatever touched them wrote to pages that a sleeping copy had too, and the box was full: undone, again and again."""
    with JailExecutor(limits=Limits(memory_bytes=256 << 20, wall_seconds=120)) as box:
        box.run("kept = 1")
        done = box.run(fill)
        assert done.error is None
        assert "almost half of the memory: if the next step is killed" in done.notes[0]
        assert box.run("sum(1 for _ in x) > 1000").value is True
        assert box.run("del x").error is None
        assert box.run("kept").notes == ()
        assert box.run("while True: pass", wall_seconds=0.2).error.rolled_back
        assert box.run("kept + len([0] * 20_000_000)").value == 20_000_001
