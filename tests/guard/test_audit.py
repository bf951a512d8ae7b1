"""The audit hook: what is refused while guest code runs on this thread, and that nothing is while none does."""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

import pytest

from pinjra.guard.audit import guest_running, host_section, is_guest_running
from pinjra.guard.errors import RefusedOperation


@pytest.mark.parametrize(
    "act",
    [
        lambda d: (d / "new").open("w"),
        lambda d: (d / "file").open("a"),
        lambda d: (d / "file").open("r+"),
        lambda d: (d / "file").read_bytes(),
        lambda d: pathlib.Path("/etc/passwd").read_text(),
        lambda d: os.listdir(os.fsencode(d)),
        lambda d: os.fdopen(0, closefd=False),
        lambda d: os.open(d / "file", os.O_RDONLY),
        lambda d: (d / "file").unlink(),
        lambda d: (d / "file").rename(d / "other"),
        lambda d: (d / "file").chmod(0o777),
        lambda d: (d / "sub").mkdir(),
        lambda d: os.symlink("/etc/passwd", d / "link"),
        lambda d: os.link(d / "file", d / "link"),
        lambda d: os.truncate(d / "file", 0),
        lambda d: os.utime(d / "file"),
        lambda d: os.listdir(d),
        lambda d: list(os.scandir(d)),
        lambda d: list(pathlib.Path(d).glob("*")),
        lambda d: shutil.copy(d / "file", d / "copy"),
        lambda d: tempfile.mkdtemp(dir=d),
        lambda d: os.system("true"),
        lambda d: subprocess.run(["true"], check=False),
        lambda d: os.fork(),
        lambda d: os.posix_spawn("/bin/true", ["true"], {}),
        lambda d: os.kill(os.getpid(), 0),
        lambda d: os.putenv("A", "b"),
        lambda d: os.chdir(d),
        lambda d: socket.socket(),
        lambda d: socket.getaddrinfo("localhost", 1),
        lambda d: __import__("sqlite3").connect(":memory:"),
        lambda d: __import__("ctypes").CDLL(None),
        lambda d: __import__("gc").get_objects(),
        lambda d: __import__("pickle").loads(b"cos\ngetenv\n(VHOME\ntR."),
        lambda d: sys.settrace(None),
        lambda d: sys.setprofile(None),
        pytest.param(
            lambda d: threading.Thread(target=print).start(),
            marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="this Python raises no event for it"),
        ),
    ],
)
def test_an_act_on_the_host_is_refused_while_guest_code_runs(act, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("kept")
    modules = set(sys.modules)
    with guest_running(), pytest.raises(RefusedOperation) as refused:
        act(tmp_path)
    assert "refused while guest code runs" in str(refused.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]
    assert (tmp_path / "file").read_text() == "kept"
    assert modules <= set(sys.modules)


def test_libraries_may_read_their_own_files() -> None:
    with guest_running():
        assert pathlib.Path(os.__file__).read_text(encoding="utf-8")
        assert os.listdir(os.path.dirname(os.__file__))


def test_a_link_out_of_a_readable_folder_is_followed_before_it_is_judged(tmp_path: pathlib.Path) -> None:
    (tmp_path / "ok").write_text("fine")
    (tmp_path / "link").symlink_to("/etc/passwd")
    with guest_running((os.path.realpath(tmp_path),)):
        assert (tmp_path / "ok").read_text() == "fine"
        with pytest.raises(RefusedOperation):
            (tmp_path / "link").read_text()
        with pytest.raises(RefusedOperation):
            pathlib.Path(str(tmp_path) + "/../../../../../../etc/passwd").read_text()


def test_host_code_in_between_is_not_hindered(tmp_path: pathlib.Path) -> None:
    with guest_running():
        with host_section():
            assert not is_guest_running()
            (tmp_path / "tool").write_text("x")
        assert is_guest_running()
        with pytest.raises(RefusedOperation):
            (tmp_path / "tool").unlink()
    (tmp_path / "tool").unlink()


def test_other_threads_of_the_host_go_on(tmp_path: pathlib.Path) -> None:
    begin, done = threading.Event(), threading.Event()

    def host_thread() -> None:
        begin.wait()
        (tmp_path / "host").write_text("x")
        done.set()

    thread = threading.Thread(target=host_thread)
    thread.start()
    with guest_running():
        begin.set()
        assert done.wait(10)
    thread.join()
    assert (tmp_path / "host").read_text() == "x"


def test_runs_may_be_nested_and_leave_nothing_on() -> None:
    with guest_running():
        with guest_running():
            pass
        assert is_guest_running()
    assert not is_guest_running()


@pytest.mark.parametrize("gate", ["eval('1')", "compile('1', '', 'eval')", "exec('1')", "keeps.__code__"])
def test_a_gate_used_from_a_guests_own_frame_is_refused(gate: str) -> None:
    import builtins

    guest = {
        "__builtins__": {n: getattr(builtins, n) for n in ("eval", "exec", "compile")},
        "keeps": lambda: None,
    }
    code = compile(gate, "<guest>", "eval")
    with guest_running(), pytest.raises(RefusedOperation):
        eval(code, guest)
