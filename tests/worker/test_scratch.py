"""Files of the scratch folder, also where guest code has laid links."""

import os

import pytest

from pinjra.core.errors import ConfigurationError
from pinjra.core.file_names import check_file_name
from pinjra.wire.messages import Done, GetFile, ListFiles, PutFile
from pinjra.worker.scratch.files import ScratchError
from pinjra.worker.scratch.preopened_folder import Folder
from pinjra.worker.scratch.walked_folder import Scratch


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    made = Scratch(str(folder), 1000)
    yield made
    made.remove()


def test_files_go_in_and_out_over_the_worker(host):
    host.send(PutFile(request=1, name="a/b.txt", blobs=(b"in",)))
    assert host.next(Done).problem == ""
    assert host.run("open('c', 'w').write('out!')\nopen('a/b.txt').read()") == "in"
    host.send(ListFiles(request=2))
    assert host.next(Done).files == {"a/b.txt": 2, "c": 4}
    host.send(GetFile(request=3, name="c", size=100))
    assert host.next(Done).blobs == (b"out!",)
    host.send(GetFile(request=4, name="none", size=100))
    assert host.next(Done).problem == "not-found"


@pytest.fixture(params=[Scratch, Folder])
def files(request, tmp_path):
    return request.param(str(tmp_path), 1000)


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/passwd", "a//b", "", "a/../../x", "nul\0", "./x", "x" * 256, "a/" * 32 + "b", "\ud800"],
)
def test_a_name_that_is_no_plain_relative_path_is_refused_everywhere(files, name):
    for act in (lambda: files.get(name, 0, 10), lambda: files.put(name, b"")):
        with pytest.raises(ScratchError, match="plain relative path") as caught:
            act()
        assert caught.value.kind == "refused"
    with pytest.raises(ConfigurationError, match="plain relative path"):
        check_file_name(name)


def test_a_file_is_written_and_read_in_pieces_within_the_quota_everywhere(files):
    files.put("a/b", b"1234")
    files.put("a/b", b"56", 4)
    assert files.get("a/b", 0, 10) == b"123456"
    assert (files.get("a/b", 2, 3), files.get("a/b", 9, 3)) == (b"345", b"")
    assert files.sizes() == {"a/b": 6}
    refused = {
        "quota": lambda: files.put("c", bytes(995)),
        "refused": lambda: files.put("a/b", b"7", 5),
        "not-found": lambda: files.get("a/c", 0, 10),
    }
    for kind, act in refused.items():
        with pytest.raises(ScratchError) as caught:
            act()
        assert caught.value.kind == kind


def test_a_link_is_not_followed_out_of_the_folder(scratch, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    os.symlink(tmp_path / "secret", tmp_path / "scratch" / "link")
    os.symlink(tmp_path, tmp_path / "scratch" / "folder")
    for name in ("link", "folder/secret"):
        with pytest.raises(ScratchError):
            scratch.get(name, 0, 10)
        with pytest.raises(ScratchError):
            scratch.put(name, b"overwritten")
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert scratch.sizes() == {}


def test_a_pipe_with_the_name_of_a_file_does_not_block(scratch, tmp_path):
    os.mkfifo(tmp_path / "scratch" / "pipe")
    with pytest.raises(ScratchError):
        scratch.get("pipe", 0, 10)
    with pytest.raises(ScratchError):
        scratch.put("pipe", b"x")


def test_the_quota_counts_all_files_together(scratch):
    scratch.put("a", b"x" * 600)
    with pytest.raises(ScratchError, match="does not fit into 1000 bytes") as caught:
        scratch.put("b", b"x" * 600)
    assert caught.value.kind == "quota"


def test_clear_empties_the_folder_and_leaves_what_links_point_to(scratch, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_bytes(b"")
    scratch.put("a/b/c", b"1")
    os.symlink(tmp_path / "outside", tmp_path / "scratch" / "link")
    scratch.clear()
    assert os.listdir(tmp_path / "scratch") == []
    assert (tmp_path / "outside" / "kept").exists()


def test_each_piece_of_a_file_counts_for_the_quota(scratch):
    scratch.put("a", b"x" * 600)
    scratch.put("a", b"x" * 300, 600)
    with pytest.raises(ScratchError, match="does not fit into 1000 bytes"):
        scratch.put("a", b"x" * 300, 900)
    assert scratch.sizes() == {"a": 900}
    scratch.put("a", b"x" * 100, 900)
