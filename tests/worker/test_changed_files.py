"""What a run wrote is told, whether its folder was empty for long, was empty just now, or had files."""

import os
import shutil
import time
from pathlib import Path

import pytest

from pinjra.worker.interpreter.changed_files import FileStates


def write(name, text="x"):
    return lambda folder: (
        Path(folder, name).parent.mkdir(exist_ok=True),
        Path(folder, name).write_text(text),
    )


@pytest.fixture(params=["empty for long", "empty just now", "with a file", "with a folder"])
def states(request, tmp_path):
    if request.param == "with a file":
        write("old.txt", "old")(tmp_path)
    if request.param == "with a folder":
        Path(tmp_path, "sub").mkdir()
    if request.param == "empty for long":
        while time.time_ns() - os.stat(tmp_path).st_ctime_ns < 150_000_000:
            os.sched_yield()
    found = FileStates(str(tmp_path))
    for _ in range(2):
        found.begin_run()
        assert found.changed() == {}
    return found, tmp_path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (write("a.txt", "four"), {"a.txt": 4}),
        (write("sub/b.txt", "b"), {"sub/b.txt": 1}),
        (write("old.txt", "other"), {"old.txt": 5}),
        (write(".hidden"), {}),
        (lambda folder: os.symlink("/etc/passwd", folder / "link"), {}),
        (lambda folder: Path(folder, "empty").mkdir(), {}),
        (lambda folder: folder.chmod(0o500), {}),
        (shutil.rmtree, {}),
    ],
)
def test_what_was_written_is_told_and_nothing_else(states, change, told):
    found, folder = states
    found.begin_run()
    change(folder)
    assert found.changed() == told


def test_what_came_between_two_runs_is_not_told(states):
    found, folder = states
    write("from_the_host.txt")(folder)
    found.begin_run()
    assert found.changed() == {}
    write("from_the_host.txt", "changed")(folder)
    assert found.changed() == {"from_the_host.txt": 7}
