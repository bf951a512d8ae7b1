"""Machines that lack something: the jail works all the same, or says what is missing, what failed, and what can be done."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can make such a machine")

HOST = """
import json, sys
from pinjra.core.errors import PinjraError
from pinjra.executors.registry import executor_class
sys.executable = sys.argv[2] if len(sys.argv) > 2 else sys.executable
found = {}
for name in ("jail", "local"):
    try:
        with executor_class(name)(spares=0) as box:
            box.put_file("a", b"b")
            box.run("while True: pass", wall_seconds=0.2)
            value = box.run("import re\\nre.sub('a', 'b', 'a') + str(len('x' * 5))").value
            found[name] = [value, list(box.guarantees.isolation), box.guarantees.boundary]
    except PinjraError as error:
        found[name] = [type(error).__name__, str(error)]
with open(sys.argv[1], "w") as file:
    json.dump(found, file)
"""
WORKS = "b5"


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Return a folder that any user can reach; pytest's own only its user can."""
    with tempfile.TemporaryDirectory(prefix="poor-machine-") as folder:
        yield Path(folder)


def on(tmp_path: Path, condition: str, *arguments: str, **options: object) -> dict[str, list[object]]:
    """Return what a host finds on a machine that `condition` (a program that runs before it) has made poor."""
    result, host = tmp_path / "result", tmp_path / "host.py"
    result.touch()
    for path, mode in ((tmp_path, 0o777), (result, 0o666)):
        path.chmod(mode)
    host.write_text(HOST)
    host.chmod(0o644)
    code = f"import os, sys\n{condition}\nos.execv(sys.executable, [sys.executable, {str(host)!r}, *sys.argv[1:]])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(result), *arguments],
        capture_output=True, text=True, timeout=120, cwd="/", **options,  # type: ignore[call-overload]
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, list[object]] = json.loads(result.read_text())
    return found


def without(*calls: str) -> str:
    """Return a condition: a kernel that does not have these calls."""
    return f"""
import struct
from pinjra.jail.walls import seccomp
from pinjra.jail.walls.syscalls import NUMBERS
line = lambda code, operand, then=0, otherwise=0: struct.pack("HBBI", code, then, otherwise, operand)
refused = b"".join(line(0x15, NUMBERS[call], 0, 1) + line(6, 0x50000 | 38) for call in {calls!r} if call in NUMBERS)
seccomp.apply(line(0x20, 0) + refused + line(6, 0x7FFF0000))
"""


@pytest.mark.parametrize("call", ["pidfd_open", "pidfd_send_signal", "memfd_create"])
def test_without_a_call_of_the_host_s_the_jail_names_it_and_local_works(call: str, tmp_path: Path) -> None:
    found = on(tmp_path, without(call))
    assert found["jail"][0] == "JailUnavailable"
    assert f"{call}: [Errno 38] Function not implemented" in str(found["jail"][1])
    assert "Choices: " in str(found["jail"][1])
    assert found["local"][0] == WORKS


@pytest.mark.parametrize(
    ("call", "gone"),
    [
        ("setns", "pid namespace"),
        ("sethostname", "uts namespace"),
        ("landlock_add_rule", "landlock files"),
        ("landlock_restrict_self", "landlock scopes"),
    ],
)
def test_what_can_be_made_and_not_used_is_left_out(call: str, gone: str, tmp_path: Path) -> None:
    """A filter, systemd's ProtectHostname=, or sixteen Landlock domains around it already."""
    found = on(tmp_path, without(call))
    if found["jail"][0] != WORKS:  # what is left may be too little
        assert found["jail"][0] == "JailUnavailable"
        assert f"{call}: Function not implemented" in str(found["jail"][1])
    else:
        assert gone not in found["jail"][1]  # type: ignore[operator]
    assert found["local"][0] == WORKS


@as_root
def test_a_process_that_cannot_become_a_session_says_so_and_serves_nobody(tmp_path: Path) -> None:
    """It went on as a second zygote, and answered with the first."""
    found = on(tmp_path, without("chown", "fchownat"))
    assert found["local"][0] == "StartupFailed"
    assert "exit status 1: [Errno 38] Function not implemented: '" in str(found["local"][1])


GIVES_UP = """
import os, sys
from pinjra import sandbox
box = sandbox(sys.argv[1], spares=0)
box.run("x = 1")
if sys.argv[2] == "root":
    os.setgroups([]); os.setresgid(4244, 4244, 4244); os.setresuid(4244, 4244, 4244)
else:
    from pinjra.jail.walls import landlock
    landlock.apply(["/"], [], ["/dev/null"], network=False)
box.run("x = 2\\nwhile True: pass", wall_seconds=0.2)
print(box.run("x").value)
pid = box._connection.messages.transport.pid
box.close()
print(pid > 0, os.path.exists(f"/proc/{pid}"))
with sandbox(sys.argv[1], spares=0) as box:
    print(box.run("1").value)
"""


@as_root
@pytest.mark.parametrize("what", ["root", "signals"])
@pytest.mark.parametrize("name", ["jail", "local"])
def test_a_host_that_gives_up_rights_can_end_what_it_has_opened(name: str, what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GIVES_UP, name, what], capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("1\nTrue False\n1\n", "")


@as_root
@pytest.mark.parametrize(
    "most", [1, 2, 3]
)  # for the host; its zygote; the zygote's first process, or the session's
def test_no_more_processes_is_an_error_with_its_cause_and_no_unconfined_session(
    most: int, tmp_path: Path
) -> None:
    limit = f"import resource\nresource.setrlimit(resource.RLIMIT_NPROC, ({most}, {most}))\n"
    another = "os.setgroups([]); os.setresgid(4243, 4243, 4243); os.setresuid(4243, 4243, 4243)\n"
    found = on(tmp_path, limit + another)
    for name in ("jail", "local"):
        assert found[name][0] == "StartupFailed", found[name]
        assert "Resource temporarily unavailable" in str(found[name][1])


@pytest.mark.parametrize("most", [10, 11, 12, 13, 14])
def test_no_more_descriptors_is_an_error_that_leaves_nothing(most: int, tmp_path: Path) -> None:
    limit = f"import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, ({most}, {most}))\n"
    found = on(tmp_path, limit, env={"TMPDIR": str(tmp_path), "PATH": os.environ["PATH"]})
    assert {found[name][0] for name in ("jail", "local")} <= {"StartupFailed", WORKS}, found
    assert {path.name for path in tmp_path.iterdir()} == {"result", "host.py"}


def test_a_temporary_folder_without_locks_does(tmp_path: Path) -> None:
    found = on(tmp_path, without("flock"), env={"TMPDIR": str(tmp_path), "PATH": os.environ["PATH"]})
    assert [found[name][0] for name in ("jail", "local")] == [WORKS, WORKS]
    assert {path.name for path in tmp_path.iterdir()} == {"result", "host.py"}


@pytest.mark.parametrize("confined", [True, False])
def test_blocked_signals_do_not_matter(confined: bool, tmp_path: Path) -> None:
    block = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
    found = on(tmp_path, block if confined else block + without("pidfd_open"))
    assert found["local"][0] == WORKS
    assert found["jail"][0] == (WORKS if confined else "JailUnavailable")


PLACE = """
import os, sys
from pinjra.executors.jail import JailExecutor
with JailExecutor(["os"], without=["mount namespace"], spares=0) as box:
    print(box.run("import os; os.path.dirname(os.path.dirname(os.getcwd()))").value)
"""


@pytest.mark.parametrize("mode", [0o1777, 0o700])
def test_scratch_folders_of_the_host_s_lie_where_tmpdir_says(mode: int, tmp_path: Path) -> None:
    """... unless it is root's alone: a session of root's is another user."""
    tmp_path.chmod(mode)
    done = subprocess.run(
        [sys.executable, "-c", PLACE],
        capture_output=True, text=True, timeout=120, env={"TMPDIR": str(tmp_path), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    if "JailUnavailable" in done.stderr:
        pytest.skip(done.stderr[-300:])
    assert done.returncode == 0, done.stderr[-2000:]
    assert (done.stdout.strip() == str(tmp_path)) == (mode == 0o1777 or os.getuid() != 0)
    assert not list(tmp_path.iterdir())


def test_a_folder_whose_name_is_no_text_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    (folder / "own.py").write_text("x = 5")
    tmp_path.chmod(0o755)
    from pinjra.executors.jail import JailExecutor

    with JailExecutor(["own"], python_path=[folder], spares=0) as box:
        assert box.run("import own\nown.x").value == 5


@pytest.mark.parametrize("mask", [0o027, 0o077, 0o777])
def test_a_umask_does_not_matter(mask: int, tmp_path: Path) -> None:
    found = on(tmp_path, f"os.umask({mask})")
    assert [found[name][0] for name in ("jail", "local")] == [WORKS, WORKS]


@pytest.mark.parametrize("closed", [(0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_closed_standard_descriptors_do_not_matter(closed: tuple[int, ...], tmp_path: Path) -> None:
    found = on(tmp_path, "\n".join(f"os.close({fd})" for fd in closed))
    assert [found[name][0] for name in ("jail", "local")] == [WORKS, WORKS]


NO_CAPABILITIES = "from pinjra.jail.walls.capabilities import drop_all; drop_all()"
OWN_NAMESPACE = """
from pinjra.jail.walls.namespaces import unshare
unshare(["user namespace"])
for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
    open(f"/proc/self/{name}", "w").write(text)
"""


@as_root
def test_root_without_capabilities_runs_as_an_unprivileged_user_does(tmp_path: Path) -> None:
    found = on(tmp_path, NO_CAPABILITIES)
    for name in ("jail", "local"):
        assert found[name][0] == WORKS, found[name]
        assert {"landlock files", "landlock scopes", "capabilities dropped", "seccomp"} <= set(found[name][1])  # type: ignore[call-overload]
        assert "unprivileged uid" not in found[name][1]  # type: ignore[operator]
        assert found[name][2] == "kernel"


@pytest.mark.parametrize("outside", ["this user", pytest.param("nobody", marks=as_root)])
def test_root_of_a_user_namespace_of_its_own_runs_as_an_unprivileged_user_does(
    outside: str, tmp_path: Path
) -> None:
    become = "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
    condition = "uid, gid = os.getuid(), os.getgid()\n" + OWN_NAMESPACE
    if outside == "nobody":
        condition = (
            become + "from pinjra.jail.walls.capabilities import allow_uid_map; allow_uid_map()\n" + condition
        )
    try:
        found = on(tmp_path, condition)
    except AssertionError as error:
        if "unshare: Operation not permitted" in str(error):
            pytest.skip("this kernel gives no user namespaces")
        raise
    for name in ("jail", "local"):
        assert found[name][0] == WORKS, found[name]
        assert found[name][2] == "kernel"


NO_TEMPORARY_FOLDER = """
from pinjra.jail.walls.libc import syscall
from pinjra.jail.walls.namespaces import unshare
unshare(["mount namespace"])
syscall("mount", b"none", b"/", b"", 16384 | (1 << 18), None)
for folder in (b"/tmp", b"/var/tmp", b"/usr/tmp"):
    if os.path.isdir(folder):
        syscall("mount", b"none", folder, b"tmpfs", 1, b"mode=755")
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
"""


@as_root
def test_without_a_writable_temporary_folder_it_works_or_says_so(tmp_path: Path) -> None:
    for needed in (sys.prefix, sys.base_prefix, __file__):
        if Path(needed).resolve().is_relative_to("/tmp") or Path(needed).resolve().is_relative_to("/var/tmp"):
            pytest.skip(f"{needed} lies in the temporary folder that this test hides")
    place = Path("/run") / f"pinjra-test-{os.getpid()}"  # what lies in /tmp is not to be seen there
    place.mkdir()
    try:
        environment = {"PATH": os.environ["PATH"]}
        found = on(place, NO_TEMPORARY_FOLDER, env=environment)
        with_another = on(place, NO_TEMPORARY_FOLDER, env=environment | {"TMPDIR": str(place)})
    finally:
        for path in place.iterdir():
            path.unlink()
        place.rmdir()
    if found["jail"][0] != WORKS:
        assert found["jail"][0] == "JailUnavailable"
        assert "a scratch folder here (no mount namespace, and No usable temporary directory" in str(
            found["jail"][1]
        )
    assert found["local"][0] == "StartupFailed"
    assert "No usable temporary directory" in str(found["local"][1])
    assert [with_another[name][0] for name in ("jail", "local")] == [WORKS, WORKS]


NO_MOUNTS_OF_OTHERS = """
from pinjra.jail.walls.libc import syscall
from pinjra.jail.walls.namespaces import unshare
unshare(["mount namespace"])
syscall("mount", b"none", b"/", b"", 16384 | (1 << 18), None)
"""
NO_PROC = 'syscall("mount", b"none", b"/proc", b"tmpfs", 1, b"mode=755")'
PART_OF_PROC = 'syscall("mount", b"proc", b"/proc", b"proc", 0, b"subset=pid")'


@as_root
@pytest.mark.parametrize("condition", [NO_PROC, PART_OF_PROC])
def test_without_the_whole_of_proc_the_jail_names_it_and_local_works(condition: str, tmp_path: Path) -> None:
    found = on(tmp_path, NO_MOUNTS_OF_OTHERS + condition)
    assert found["jail"][0] == "JailUnavailable"
    assert "no whole /proc is mounted: mount -t proc proc /proc" in str(found["jail"][1])
    assert found["local"][0] == WORKS


NO_DEV = 'syscall("mount", b"none", b"/dev", b"tmpfs", 0, b"mode=755")\n'
ONLY_NULL = NO_DEV + "os.mknod('/dev/null', 0o020666, os.makedev(1, 3))\nos.chmod('/dev/null', 0o666)\n"


@as_root
def test_devices_that_are_not_there_are_not_shown_but_the_null_device_is_needed(tmp_path: Path) -> None:
    found = on(tmp_path, NO_MOUNTS_OF_OTHERS + ONLY_NULL)
    assert [found[name][0] for name in ("jail", "local")] == [WORKS, WORKS]
    found = on(tmp_path, NO_MOUNTS_OF_OTHERS + NO_DEV)
    assert found["jail"][0] == "JailUnavailable"
    assert "/dev/null: [Errno 2]" in str(found["jail"][1])
    assert found["local"][0] == "StartupFailed"


def interpreter(tmp_path: Path, text: str) -> str:
    """Return a program that stands in for an interpreter and its loader."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return str(program)


LOADER = 'if [ -z "$LD_LIBRARY_PATH" ]; then echo "libpython3.so: cannot open shared object file" >&2; exit 127; fi'


def test_an_interpreter_that_needs_a_library_path_gets_it_and_a_guest_does_not(tmp_path: Path) -> None:
    python = interpreter(tmp_path, f'{LOADER}\nexec {sys.executable} "$@"')
    found = on(tmp_path, "", python, env={"LD_LIBRARY_PATH": str(tmp_path), "PATH": os.environ["PATH"]})
    assert found["jail"][0] == WORKS, found["jail"]


@pytest.mark.parametrize("executable", [None, "", "/nonexistent"])
@pytest.mark.parametrize("name", ["jail", "local"])
def test_a_program_that_does_not_say_where_its_python_is(name: str, executable: str | None) -> None:
    code = f"import sys\nsys.executable = {executable!r}\nfrom pinjra import sandbox\nsandbox({name!r}, spares=0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert f"StartupFailed: cannot start {executable!r} (sys.executable): " in done.stderr


@pytest.mark.parametrize("name", ["jail", "local"])
def test_a_python_without_ctypes_is_named(name: str) -> None:
    code = (
        f"import sys\nsys.modules['_ctypes'] = None\nfrom pinjra import sandbox\nsandbox({name!r}, spares=0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (
        "MissingDependency: ctypes is not installed: use a Python that was built with libffi" in done.stderr
    )


def test_the_words_of_a_loader_that_fails_are_shown(tmp_path: Path) -> None:
    python = interpreter(tmp_path, LOADER)
    found = on(tmp_path, "", python, env={"PATH": os.environ["PATH"]})
    for name in ("jail", "local"):
        assert found[name][0] == "StartupFailed"
        assert "libpython3.so: cannot open shared object file" in str(found[name][1])
        assert "127" in str(found[name][1])


def test_a_session_that_cannot_be_made_is_an_error_and_never_an_unconfined_one() -> None:
    from pinjra.core.errors import StartupFailed
    from pinjra.executors.local import LocalPythonExecutor
    from pinjra.jail.spawn.client import zygote_for

    with LocalPythonExecutor(["wave"], spares=0) as box:
        zygote = zygote_for(box._config)._process.pid
        limits = resource.prlimit(zygote, resource.RLIMIT_NOFILE)
        resource.prlimit(zygote, resource.RLIMIT_NOFILE, (8, limits[1]))
        try:
            with pytest.raises(StartupFailed, match="Too many open files"):
                LocalPythonExecutor(["wave"], spares=0)
        finally:
            resource.prlimit(zygote, resource.RLIMIT_NOFILE, limits)
        with LocalPythonExecutor(["wave"], spares=0) as other:
            assert other.guarantees.boundary == "kernel"
