"""A hostile tree in a scratch folder that has no quota of the kernel's: seen, bounded, removed."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

import pytest

from pinjra.core.removal import remove
from pinjra.jail.walls import disk_quota as quota

DEPTH = 1500  # beyond the interpreter's recursion limit, the descriptors of a process, and the longest path


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    folder = tmp_path / "deep"
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    return folder


def descriptors_below(folder: Path) -> list[str]:
    """Return what this process has open there, also of what is removed."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return [path for path in found if path.startswith(str(folder))]


def test_a_tree_that_is_too_deep_to_walk_is_beyond_every_quota(deep: Path) -> None:
    assert quota.is_exceeded(str(deep), 1 << 40)
    assert descriptors_below(deep) == []
    remove(str(deep))


def test_a_tree_of_any_depth_is_removed(deep: Path) -> None:
    remove(str(deep))
    assert not deep.exists()
    assert descriptors_below(deep) == []


def test_without_descriptors_an_empty_folder_is_removed_and_another_is_asked_for_again(
    tmp_path: Path,
) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    (full / "a" / "b").mkdir(parents=True)
    (full / "a" / "b" / "f").touch()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for free in range(3):  # a folder, one in it, and its list
        next_one = os.dup(0)
        os.close(next_one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (next_one + free, hard))
        try:
            assert not remove(full)
            assert remove(empty)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert not empty.exists()
        empty.mkdir()
    assert remove(full)
    assert not full.exists()


def test_removing_follows_no_links_and_opens_closed_folders(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").touch()
    folder = tmp_path / "tree"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "link").symlink_to(tmp_path / "outside")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "a" / "b" / "f").touch()
    (folder / "a" / "b").chmod(0)
    (folder / "a").chmod(0o300)
    remove(str(folder))
    assert not folder.exists()
    assert (tmp_path / "outside" / "kept").exists()


def test_bytes_and_entries_count_links_do_not(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(1 << 20))
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(tmp_path)
    assert not quota.is_exceeded(str(tree), 1 << 19)
    (tree / "f").write_bytes(b"x" * (1 << 20))
    assert quota.is_exceeded(str(tree), 1 << 19)
    assert not quota.is_exceeded(str(tree), 1 << 21)
    for number in range(600):
        (tree / str(number)).touch()
    assert quota.is_exceeded(str(tree), 2 << 20)  # 512 entries
    assert not quota.is_exceeded(str(tree), 4 << 20)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_counts_as_too_much(tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir(0o300)
    assert quota.is_exceeded(str(tmp_path), 1 << 40)


def test_removing_may_be_done_bit_by_bit(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("a/b/c", "d"):
        (tree / name).mkdir(parents=True)
        for number in range(20):
            (tree / name / str(number)).touch()
    assert remove(str(tree), seconds=-1) is False
    assert tree.exists()
    assert remove(str(tree)) is True
    assert not tree.exists()
    assert remove(str(tree)) is True
