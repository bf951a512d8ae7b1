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


NO_PIDFD = """
import struct
from pinjra.jail.walls import seccomp
from pinjra.jail.walls.syscalls import NUMBERS
line = lambda code, operand, then=0, otherwise=0: struct.pack("HBBI", code, then, otherwise, operand)
seccomp.apply(line(0x20, 0) + line(0x15, NUMBERS["pidfd_open"], 0, 1) + line(6, 0x50000 | 38) + line(6, 0x7FFF0000))
"""


def test_without_pidfd_open_the_jail_names_it_and_local_works(tmp_path: Path) -> None:
    found = on(tmp_path, NO_PIDFD)
    assert found["jail"][0] == "JailUnavailable"
    assert "pidfd_open: [Errno 38] Function not implemented; Linux 5.3 has it" in str(found["jail"][1])
    assert "Choices: " in str(found["jail"][1])
    assert found["local"][0] == WORKS


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
        found = on(place, NO_TEMPORARY_FOLDER)
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


NO_PROC = """
from pinjra.jail.walls.libc import syscall
from pinjra.jail.walls.namespaces import unshare
unshare(["mount namespace"])
syscall("mount", b"none", b"/", b"", 16384 | (1 << 18), None)
syscall("mount", b"none", b"/proc", b"tmpfs", 1, b"mode=755")
"""


@as_root
def test_without_proc_the_jail_names_it_and_local_works(tmp_path: Path) -> None:
    found = on(tmp_path, NO_PROC)
    assert found["jail"][0] == "JailUnavailable"
    assert "no /proc is mounted: mount -t proc proc /proc" in str(found["jail"][1])
    assert found["local"][0] == WORKS


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
