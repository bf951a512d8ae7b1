"""Folders of makers that were killed, and of those that live."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pinjra.core.temporary_folders import make_folder, sweep

_MAKE = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from pinjra.core.temporary_folders import make_folder
print(make_folder("kept-")[0], flush=True)
input()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def made_by(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """Return a process that has made a folder and lives, and the folder, which is as old as that it might be swept."""
    command = [sys.executable, "-c", _MAKE, str(place)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    (folder / "file").write_text("of the guest")
    os.utime(folder, (0, 0))
    return process, folder


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_folder_is_removed_when_its_maker_was_killed_and_not_before(place: Path) -> None:
    process, folder = made_by(place)
    try:
        sweep("kept-", shutil.rmtree)
        assert folder.is_dir()
    finally:
        end(process)
    sweep("kept-", shutil.rmtree)
    assert not folder.exists()


def test_what_is_young_or_has_another_name_or_is_a_link_stays(place: Path) -> None:
    young, lock = make_folder("kept-")
    os.close(lock)
    other = place / "other"
    other.mkdir()
    os.utime(other, (0, 0))
    (place / "kept-link").symlink_to(other)
    (place / "kept-file").touch()
    sweep("kept-", shutil.rmtree)
    assert sorted(os.listdir(place)) == sorted(["other", "kept-link", "kept-file", os.path.basename(young)])
    assert other.is_dir()
