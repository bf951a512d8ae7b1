"""Folders of this machine in a box: what is seen, what may be changed, what lies behind them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from pinjra import ConfigurationError, Mount, sandbox
from pinjra.executors.base import PythonExecutor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")

WITHOUT = [f"{kind} namespace" for kind in ("user", "mount", "pid", "network", "ipc", "uts", "cgroup")]
KINDS = {"jail": ("jail", {}), "local": ("local", {})}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "below").mkdir(parents=True)
    (folder / "a.csv").write_text("1\n2\n")
    (folder / "a.csv").chmod(0o600)
    (tmp_path / "secret").write_text("outside")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to("../secret")
    (folder / "root").symlink_to("/")
    (tmp_path / "results").mkdir()
    return folder


def value(box: PythonExecutor, code: str) -> object:
    done = box.run(code)
    assert done.error is None, done.error
    return done.value


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_read_by_its_name(kind: str, data: Path) -> None:
    with sandbox(kind, mounts={"data": data}, guard=False) as box:
        assert value(box, "open('data/a.csv').read()") == "1\n2\n"
        assert value(box, "import os\nsorted(os.listdir('data'))") == ["a.csv", "below", "out", "root", "up"]
        assert box.list_files() == {}
        for attempt in (
            "open('data/b', 'w')",
            "os.remove('data/a.csv')",
            "os.mkdir('data/c')",
            "open('data/a.csv', 'a')",
        ):
            assert box.run(attempt).error is not None
        box.reset()
        assert value(box, "open('data/a.csv').read()") == "1\n2\n"
    assert (data / "a.csv").read_text() == "1\n2\n"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_in_a_writable_folder_is_there_afterwards(kind: str, data: Path) -> None:
    results = data.parent / "results"
    with sandbox(kind, mounts={"out": Mount(str(results), writable=True)}, guard=False) as box:
        value(box, "import os\nos.makedirs('out/sub')\nopen('out/sub/x', 'w').write('done')")
        box.reset()
        box.run("x")
    assert (results / "sub" / "x").read_text() == "done"
    assert (results / "sub" / "x").stat().st_uid == os.getuid()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["data/out", "data/up", "data/root/etc/shadow", "out/made", "out/../../secret"]
)
def test_a_link_in_a_folder_leads_nowhere_else(kind: str, name: str, data: Path) -> None:
    mounts = {"data": Mount(str(data)), "out": Mount(str(data.parent / "results"), writable=True)}
    with sandbox(kind, mounts=mounts, guard=False) as box:
        done = box.run(
            f"import os\nos.symlink({str(data.parent / 'secret')!r}, 'out/made')\nopen({name!r}).read()"
        )
        assert done.error is not None
        assert done.value is None
        tried = box.run(f"import os\nos.link({str(data.parent / 'secret')!r}, 'out/hard')")
        assert tried.error is not None


def test_nothing_in_a_folder_is_executed(data: Path) -> None:
    (data / "run").write_text("#!/bin/sh\necho ran\n")
    (data / "run").chmod(0o6755)
    with sandbox("jail", mounts={"data": data}, programs="*") as box:
        done = box.exec(["data/run"])
        assert done.error is not None
        assert done.stdout == ""


def test_one_file_can_be_shown(data: Path) -> None:
    with sandbox("jail", mounts={"one.csv": data / "a.csv"}, guard=False) as box:
        assert value(box, "open('one.csv').read()") == "1\n2\n"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_anew_at_a_path_is_what_the_next_box_has(kind: str, tmp_path: Path) -> None:
    """The view, and sessions that were opened in advance, held what had been there: results were lost, old data was read."""
    code = "import mine\nopen('out/sum', 'w').write(open('one.csv').read() + mine.WORD)"
    for number in range(3):
        for name in ("out", "src"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
            (tmp_path / name).mkdir()
        (tmp_path / "src" / "mine.py").write_text(f"WORD = 'word {number}'")
        (tmp_path / "new").write_text(f"{number}, ")
        (tmp_path / "new").rename(tmp_path / "one.csv")
        mounts = {"one.csv": tmp_path / "one.csv", "out": Mount(str(tmp_path / "out"), writable=True)}
        with sandbox(
            kind, mounts=mounts, python_path=[str(tmp_path / "src")], authorized_imports=["mine"]
        ) as box:
            assert box.run(code).error is None
        assert (tmp_path / "out" / "sum").read_text() == f"{number}, word {number}"


def test_a_deleted_link_takes_nothing_with_it(data: Path) -> None:
    mount = Mount(str(data), writable=True)
    with sandbox("jail", mounts={"data": mount}, guard=False) as box:
        box.run("import os\nos.remove('data')")
        box.reset()
        assert value(box, "open('data/a.csv').read()") == "1\n2\n"
    assert (data / "a.csv").exists()


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/etc/ssl", "/proc", "/dev", "/root", "/home", "/var", "/run", "~", "~/.ssh"]
)
def test_what_shows_too_much_is_refused_unless_it_is_called_dangerous(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"mounts= for 'all': .*dangerous=True"):
        sandbox("jail", mounts={"all": path})


def test_what_is_called_dangerous_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a").write_text("mine")
    with sandbox("jail", mounts={"home": Mount("~", dangerous=True)}, guard=False) as box:
        assert value(box, "open('home/a').read()") == "mine"


@pytest.mark.parametrize("without", [[], WITHOUT], ids=["namespaces", "no namespaces"])
def test_the_machine_s_own_mounts_are_as_before(without: list[str], data: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    owner = data.stat().st_uid
    with sandbox("jail", mounts={"data": Mount(str(data), writable=True)}, without=without) as box:
        box.run("1")
        assert Path("/proc/self/mountinfo").read_text() == before
        assert data.stat().st_uid == owner
