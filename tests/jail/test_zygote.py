"""The zygote's life with its host: what starts, ends, is shared, and is left behind. Real processes throughout."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from pinjra.core.errors import ConfigurationError
from pinjra.jail.plan import JailUnavailable
from pinjra.jail.spawn import client
from pinjra.jail.spawn.client import JailProcess, Zygote
from processes import descendants, is_alive, is_stopped

from .driver import HERE, SPEC, ask, open_zygote

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")
NAMESPACES = [f"{kind} namespace" for kind in ("user", "mount", "pid", "network", "ipc", "uts", "cgroup")]


@pytest.fixture(params=["namespaces", "no namespaces"])
def zygote(request: pytest.FixtureRequest) -> Zygote:
    return open_zygote(NAMESPACES if request.param == "no namespaces" else ())


@pytest.fixture
def session(zygote: Zygote) -> Iterator[JailProcess]:
    session = zygote.take(SPEC)
    yield session
    session.end()


def until(condition: Callable[[], object]) -> bool:
    """Wait for a condition of the kernel's making; False when it does not come true."""
    deadline = time.monotonic() + 300
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.005)
    return True


def _ours(zygote: Zygote, names: Iterable[str]) -> set[str]:
    """Return the names that this zygote has given: others, of other tests too, have theirs."""
    makers = {f"-{process}-" for process in (zygote._process.pid, *descendants(zygote._process.pid))}
    return {name for name in names if "pinjra-" in name and any(maker in name for maker in makers)}


def groups(zygote: Zygote) -> set[str]:
    # os.walk passes over what vanishes; Path.rglob does not.
    return _ours(
        zygote, (os.path.join(at, name) for at, names, _ in os.walk("/sys/fs/cgroup") for name in names)
    )


def folders(zygote: Zygote) -> set[str]:
    return _ours(zygote, os.listdir(tempfile.gettempdir()))


@pytest.mark.usefixtures("no_ready_sessions")
def test_sessions_leave_nothing_behind(zygote: Zygote) -> None:
    zygote.take(SPEC).end()
    own = zygote._process.pid
    before, held = (descendants(own), groups(zygote), folders(zygote)), len(os.listdir("/proc/self/fd"))
    inner = [len(os.listdir(f"/proc/{process}/fd")) for process in sorted(descendants(own))]
    for _ in range(200):
        session = zygote.take(SPEC)
        assert ask(session, "result = open('f', 'w').write('x')")["value"] == 1
        session.end()

    def left() -> list[set[int] | set[str]]:
        # fewer is none of its: what earlier sessions have left for later may be gone meanwhile, and zygotes end when they like
        return [descendants(own) - before[0], groups(zygote) - before[1], folders(zygote) - before[2]]

    until(lambda: not any(left()))
    assert left() == [set(), set(), set()]
    assert len(os.listdir("/proc/self/fd")) <= held
    assert [len(os.listdir(f"/proc/{process}/fd")) for process in sorted(descendants(own))] == inner


def test_ending_a_session_kills_all_that_it_started(zygote: Zygote) -> None:
    own = zygote._process.pid
    before = descendants(own)
    session = zygote.take(SPEC)
    code = (
        "import os, time\nfor _ in range(9):\n    if not os.fork():\n        os.setsid()\n        time.sleep(600)\n"
        "result = 1"
    )
    assert ask(session, code)["value"] == 1
    assert len(descendants(own) - before) >= 10
    session.end()
    assert until(lambda: descendants(own) <= before)


def test_a_deep_tree_ends_its_own_session_and_no_other() -> None:
    zygote = open_zygote(NAMESPACES)
    other, deep = zygote.take(SPEC), zygote.take(SPEC)
    try:
        ask(deep, "import os\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\nresult = 1")
        deep.end()
        answer = ask(other, "result = 2")
        assert answer["value"] == 2, answer
        assert zygote.is_alive()
    finally:
        other.end()


_BOMB = """
import os, time
made = 0
for _ in range(150):
    try:
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        made += 1
    except OSError as error:
        result = made, error.errno
        break
"""


def test_a_fork_bomb_stays_within_its_limit(session: JailProcess, zygote: Zygote) -> None:
    made, errno = ask(session, _BOMB)["value"]
    # Where the uid is shared with the host, its other processes count too, and come and go.
    shared = 0 if {"own uid", "user namespace", "cgroup pids"} & set(zygote.applied) else 40
    assert made <= SPEC.group_processes + shared
    assert errno == 11


def test_a_huge_allocation_is_a_memory_error(session: JailProcess) -> None:
    assert ask(session, "x = bytearray(1 << 30)")["error"] == "MemoryError: "


def test_memory_of_many_processes_together_is_bounded_where_groups_are_delegated(zygote: Zygote) -> None:
    if "cgroup memory" not in zygote.applied:
        pytest.skip("no memory cgroup is delegated here")
    session = zygote.take(SPEC)
    code = (
        "import os\nfor _ in range(4):\n    if not os.fork():\n        x = bytearray(200 << 20)\n"
        "        os.read(os.pipe()[0], 1)\nresult = os.wait()[1]"
    )
    assert ask(session, code).get("value") in (9, None)
    assert session.end()["memory_kills"] > 0


def test_the_scratch_folder_has_a_quota_of_bytes(session: JailProcess, zygote: Zygote) -> None:
    code = "f = open('big', 'wb')\nfor _ in range(100):\n    f.write(bytes(1 << 20))\n    f.flush()\nresult = 'no quota'"
    outcome = ask(session, code)
    assert outcome["errno"] == (28 if zygote.scratch else 27)  # no space, or file too large


def test_the_scratch_folder_has_a_quota_of_files(zygote: Zygote) -> None:
    if not zygote.scratch:
        pytest.skip("without a mount namespace files are not counted; `missing` says so")
    session = zygote.take(SPEC)
    assert ask(session, "for i in range(100000):\n    open(f'f{i}', 'w').close()")["errno"] == 28
    session.end()


def test_a_scratch_folder_without_a_quota_of_the_kernels_is_watched() -> None:
    session = open_zygote(NAMESPACES).take(SPEC)
    code = "import time\nfor i in range(4):\n    open(f'big{i}', 'wb').write(bytes(8 << 20))\ntime.sleep(60)"
    assert ask(session, code)["error"] == "the session died"
    assert session.end()["note"] == f"disk: the scratch folder holds more than {SPEC.disk_bytes} bytes"


def test_sessions_do_not_see_each_other(zygote: Zygote) -> None:
    one, other = zygote.take(SPEC), zygote.take(SPEC)
    mine = ask(one, "import os\nopen('mine', 'w').write('x')\nresult = os.path.abspath('mine'), os.getpid()")[
        "value"
    ]
    assert ask(other, f"result = open({mine[0]!r}).read()")["errno"] in (2, 13)
    if "pid namespace" not in zygote.applied:
        assert ask(other, f"import os\nos.kill({mine[1]}, 0)")["errno"] in (1, 3)
    assert (
        ask(one, "import random\nresult = random.random()")["value"]
        != ask(other, "import random\nresult = random.random()")["value"]
    )
    one.end()
    other.end()


def test_threads_share_one_zygote() -> None:
    answers: list[object] = []

    def work() -> None:
        session = open_zygote().take(SPEC)
        answers.append((ask(session, "result = 6 * 7")["value"], session.zygote))
        session.end()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(42, open_zygote())] * 8


def test_a_zygote_that_others_were_asked_for_since_ends_with_its_last_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A host with a folder for each task has a configuration for each task: their zygotes were all kept until its end."""
    monkeypatch.setattr(client, "_kept", [])
    monkeypatch.setattr(client, "_MOST_KEPT", 1)
    sessions = [open_zygote(texts=(("/note", str(number)),)).take(SPEC) for number in range(3)]
    pids = [session.zygote._process.pid for session in sessions if session.zygote is not None]
    assert [ask(session, "result = 6 * 7")["value"] for session in sessions] == [42] * 3
    for session in sessions:
        session.end()
    assert [is_alive(pid) for pid in pids] == [False, False, True]
    assert open_zygote(texts=(("/note", "2"),))._process.pid == pids[2]


def test_a_process_that_the_host_forks_gets_a_zygote_of_its_own(zygote: Zygote) -> None:
    mine = zygote.take(SPEC)
    code = (
        "import os, sys\nfrom tests.jail.driver import *\nz = open_zygote()\ns = z.take(SPEC)\n"
        "if not os.fork():\n    other = open_zygote()\n    t = other.take(SPEC)\n"
        "    ok = other is not z and ask(t, 'result = 1')['value'] == 1\n    t.end()\n    sys.exit(0 if ok else 9)\n"
        "ok = os.waitstatus_to_exitcode(os.wait()[1]) == 0 and ask(s, 'result = 2')['value'] == 2\ns.end()\n"
        "sys.exit(0 if ok else 8)"
    )
    assert _python(code).returncode == 0
    assert ask(mine, "result = 1")["value"] == 1
    mine.end()


def test_a_host_that_ignores_the_death_of_its_children_is_served() -> None:
    code = (
        "import signal, sys\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nfrom tests.jail.driver import *\n"
        "s = open_zygote().take(SPEC)\nr = ask(s, 'result = 5')['value']\ns.end()\nsys.exit(r)"
    )
    assert _python(code).returncode == 5


def _python(code: str, **options: object) -> subprocess.CompletedProcess[str]:
    root = Path(HERE).parent.parent
    return subprocess.run([sys.executable, "-c", code], cwd=root, timeout=300, text=True, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize("without", [[], NAMESPACES], ids=["namespaces", "no namespaces"])
@pytest.mark.parametrize("end", ["exit", "SIGKILL"])
def test_everything_below_a_host_dies_with_it(end: str, without: list[str]) -> None:
    code = (
        "import os, sys, time\nfrom tests.jail.driver import *\n"
        f"s = open_zygote({without!r}).take(SPEC)\n"
        "ask(s, 'import os, time\\nfor i in range(3):\\n    if not os.fork(): time.sleep(600)')\n"
        "print('ready', flush=True)\nsys.stdin.readline()"
    )
    root = Path(HERE).parent.parent
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as host:
        assert host.stdin and host.stdout
        host.stdout.readline()
        below = descendants(host.pid)
        assert len(below) >= 5
        if end == "SIGKILL":
            host.kill()
        else:
            host.stdin.write(b"\n")
            host.stdin.flush()
        host.wait(300)
    assert until(lambda: not any(map(is_alive, below)))


def test_the_zygote_holds_nothing_of_the_hosts_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import os, sys\nos.environ['SECRET'] = 's3cret'\nfrom tests.jail.driver import *\n"
        "from tests.processes import descendants\n"
        "open_zygote()\n"
        "found = [open(f'/proc/{p}/environ').read() for p in descendants(os.getpid())]\n"
        "sys.exit(3 if any('s3cret' in text for text in found) or not found else 0)"
    )
    assert _python(code).returncode == 0


def test_what_cannot_be_had_is_said_before_anything_runs() -> None:
    with pytest.raises(
        JailUnavailable, match=r"cannot give 'namespaces' here \(mount namespace: left out on purpose"
    ):
        open_zygote(NAMESPACES, require=("namespaces",))


def test_an_unknown_mechanism_is_the_callers_fault() -> None:
    with pytest.raises(ConfigurationError, match="'gvisor' is no mechanism or property of the jail"):
        open_zygote(require=("gvisor",))


def test_the_home_that_a_killed_zygote_lent_its_modules_is_removed_by_the_next() -> None:
    left = Path(tempfile.mkdtemp(prefix="pinjra-home-"))
    (left / "fonts.json").write_text("{}")
    os.utime(left, (0, 0))
    open_zygote(preload=("colorsys",))
    assert not left.exists()


def test_a_dead_zygote_is_replaced() -> None:
    first = open_zygote(preload=("json",))
    session = first.take(SPEC)
    os.kill(first._process.pid, signal.SIGKILL)
    assert session.stream.recv(1) == b""
    session.end()
    second = open_zygote(preload=("json",))
    assert second is not first
    session = second.take(SPEC)
    assert ask(session, "result = 3")["value"] == 3
    session.end()


def test_the_death_of_a_session_is_seen_and_its_status_told(zygote: Zygote) -> None:
    session = zygote.take(SPEC)
    session.stream.shutdown(socket.SHUT_WR)
    assert session.stream.recv(1) == b""
    how = session.end()
    assert json.dumps(how) == '{"status": 0, "memory_kills": 0, "note": ""}'


@pytest.mark.parametrize(
    "make",
    ["JailExecutor(spares=0)", f"JailExecutor(spares=0, without={NAMESPACES!r})", "LocalPythonExecutor()"],
)
def test_a_session_that_is_stopped_between_runs_dies_with_its_host(make: str) -> None:
    """A checkpoint that is stopped sees no end of its socket: the death of its parent must continue it."""
    code = (
        "import sys\nfrom pinjra.executors.jail import JailExecutor\nfrom pinjra.executors.local import LocalPythonExecutor\n"
        f"box = {make}\nbox.run('x = 1')\nprint('ready', flush=True)\nsys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as host:
        assert host.stdin and host.stdout
        host.stdout.readline()
        assert until(lambda: len([p for p in descendants(host.pid) if is_stopped(p)]) >= 2)
        below = descendants(host.pid)
        host.kill()
        host.wait(300)
    assert until(lambda: not any(map(is_alive, below)))
