"""Files of this machine into a box, and what a run wrote out of it; standard input."""

from __future__ import annotations

import copy
import io
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from pinjra import Limits, sandbox
from pinjra.core.errors import ConfigurationError
from pinjra.core.files import describe_files, given_files
from pinjra.core.guest_files import GuestFile, write_file
from pinjra.executors.base import PythonExecutor
from pinjra.executors.jail import JailExecutor
from pinjra.executors.parameters import constructor_parameters
from pinjra.executors.registry import BUILTIN, create_executor, executor_class
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.file_pieces import with_progress
from pinjra.wire.messages import PutFile

JAIL = [] if JailExecutor.diagnose() else ["jail"]


@pytest.fixture
def box():
    with sandbox("local", imports="standard") as box:
        yield box


def test_files_are_there_by_name_before_the_first_run(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"1\n")
    with sandbox("local", files=[tmp_path / "a.csv", {"sub/b.bin": b"\x00"}]) as box:
        assert box.run("open('a.csv').read(), open('sub/b.bin', 'rb').read()").value == ("1\n", b"\x00")
        assert box.run("open('c').read()", files=[{"c": b"3"}]).value == "3"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["no-such.csv"], "there is no file .no-such"),
        ([{"../x": b""}], "plain relative path"),
        ([{"a": b"x" * 60}, {"b": b"x" * 60}], "120 bytes are more than Limits"),
        ([{"a": b""}, {"a": b""}], "given twice"),
        ("a.csv", "files is a list"),
        ([{"a": "text"}], "bytes or a Path, not str"),
        ([3], "not int"),
    ],
)
def test_files_that_cannot_go_in_are_refused_before_anything_is_sent(files, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        given_files(files, 100)
    with pytest.raises(ConfigurationError, match=words):
        sandbox("local", files=files, limits=Limits(disk_bytes=100))


def test_a_run_tells_which_files_are_new_or_changed(box: PythonExecutor) -> None:
    box.put_files([{"same": b"1", "other": b"22"}])
    done = box.run(
        "import os\nos.makedirs('d/e')\nopen('d/e/new', 'w').write('x')\nopen('other', 'w').write('333')\n"
        "open('.hidden', 'w').write('x')\nos.symlink('/etc/passwd', 'link')"
    )
    assert done.error is None
    assert {name: file.size for name, file in done.files.items()} == {"d/e/new": 1, "other": 3}
    assert done.files["other"].read() == b"333"
    assert box.run("1").files == {}


def test_a_program_finds_no_files_that_a_library_keeps_for_itself() -> None:
    pytest.importorskip("matplotlib")
    with sandbox("jail", authorized_imports=["matplotlib"]) as other:
        code = "import glob\nimport matplotlib.pyplot as plt\nplt.plot([1])\nplt.savefig('a.png')\nglob.glob('*')"
        done = other.run(code)
        assert (done.error, done.value, list(done.files)) == (None, ["a.png"], ["a.png"])


def test_files_of_a_failed_run_are_told(box: PythonExecutor) -> None:
    assert set(box.run("open('a', 'w').close()\n1 / 0").files) == {"a"}


def test_files_are_saved_below_the_folder(box: PythonExecutor, tmp_path: Path) -> None:
    done = box.run("import os\nos.mkdir('d')\nopen('d/a', 'w').write('A')\nopen('b', 'w').write('B')")
    assert sorted(done.save(tmp_path / "out")) == [tmp_path / "out" / "b", tmp_path / "out" / "d" / "a"]
    assert done.files["b"].save(tmp_path / "copy").read_bytes() == b"B"
    assert done.files["d/a"].save(tmp_path) == tmp_path / "d" / "a"


def test_a_copy_of_an_execution_has_the_files_themselves(box: PythonExecutor) -> None:
    done = copy.deepcopy(box.run("open('a', 'w').write('A')"))
    box.run("open('a', 'w').write('B')")
    assert (done.value, done.files["a"].read()) == (1, b"A")


@pytest.mark.parametrize("name", ["../../x", "/x", "./x", "..", "a/../../x"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    written = write_file(folder, name, b"1")
    assert folder in written.resolve().parents
    assert os.listdir(tmp_path) == ["out"]


def test_control_characters_do_not_get_into_names(tmp_path: Path) -> None:
    assert write_file(tmp_path, "a\x1b[2Jb", b"").name == "a_[2Jb"


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system cannot refuse links")
@pytest.mark.parametrize("name", ["link", "folder/x"])
def test_a_link_on_the_host_is_not_followed(tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    (tmp_path / "elsewhere").mkdir()
    target.write_text("kept")
    out = tmp_path / "out"
    out.mkdir()
    (out / "link").symlink_to(target)
    (out / "folder").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="link"):
        GuestFile(name=name, size=1, pieces=lambda: [b"1"]).save(out)
    assert target.read_text() == "kept"
    assert os.listdir(tmp_path / "elsewhere") == []


def test_the_words_for_a_prompt_have_names_sizes_and_the_first_lines_of_texts() -> None:
    given = given_files([{"t.csv": b"a,b\n1,2\n" + b"9\n" * 100, "x.bin": b"a\n"}], None)
    words = describe_files(given).splitlines()
    assert words[2:] == [
        "- t.csv (208 bytes)",
        "    a,b",
        "    1,2",
        "    9",
        "    9",
        "    9",
        "- x.bin (2 bytes)",
    ]


def test_standard_input_is_read_and_then_ends(box: PythonExecutor) -> None:
    assert box.run("input(), input()", stdin="ü\nb").value == ("ü", "b")
    assert box.run("import sys\nsys.stdin.buffer.read()", stdin=b"\xff").value == b"\xff"
    assert [line.rstrip() for line in box.run("list(sys.stdin)", stdin="1\n2\n").value] == ["1", "2"]
    assert box.run("sys.stdin.name, sys.stdin.mode, sys.stdin.buffer.name", stdin="").value == (
        "<stdin>",
        "r",
        "<stdin>",
    )
    for stdin in ("", "one line\n"):
        error = box.run("while True:\n    input()", stdin=stdin).error
        assert error is not None
        assert error.type == "EOFError"


def test_files_are_a_parameter_of_every_executor_s_constructor(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"1\n")
    for name in BUILTIN:
        assert "files" in constructor_parameters(executor_class(name)).kinds, name
    with create_executor("local", executor_kwargs={"files": [tmp_path / "a.csv"]}) as box:
        assert box.run("open('a.csv').read()").value == "1\n"
        box.reset()
        assert box.list_files() == {}
    with pytest.raises(ConfigurationError, match=r"no file .*none"):
        create_executor("local", executor_kwargs={"files": [tmp_path / "none"]})


@pytest.mark.parametrize("executor", [*JAIL, "local"])
def test_a_large_file_takes_no_more_memory_here_than_a_piece(executor: str, tmp_path: Path) -> None:
    program = f"""
import resource
from functools import partial
from pathlib import Path
from pinjra import Limits, sandbox

path = Path({str(tmp_path / "big")!r})
with path.open("wb") as file:
    for number in range(192):
        file.write(bytes([number]) * (1 << 20))
limits = Limits(disk_bytes=1 << 29, memory_bytes=1 << 30)
code = "import os\\nos.rename('big', 'moved')\\nos.path.getsize('moved')"
with sandbox({executor!r}, limits=limits, imports="standard") as box:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    box.put_file("big", path)
    done = box.run(code)
    saved = done.files["moved"].save(path.parent / "saved")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(done.value == 192 << 20, saved.stat().st_size == 192 << 20, (after - before) >> 10)
"""
    line = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    is_whole, is_saved, grown_mib = line.stdout.split()
    assert (is_whole, is_saved) == ("True", "True")
    assert int(grown_mib) < 48  # a few pieces of 4 MiB, as bytes and as messages
    assert (tmp_path / "big").read_bytes() == (tmp_path / "saved").read_bytes()


def test_a_progress_bar_is_drawn_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    pieces = [bytes(4 << 20)] * 3
    for size, is_shown in ((12 << 20, True), (9_000_000, False)):
        monkeypatch.setattr(sys, "stderr", Terminal())
        assert list(with_progress(pieces, "big.bin", size)) == pieces
        assert ("big.bin" in sys.stderr.getvalue()) is is_shown


def test_a_file_that_the_guest_changes_while_it_is_written_is_not_mixed(box: PythonExecutor) -> None:
    assert isinstance(box, SessionExecutor)
    session = box

    def put(offset: int, data: bytes) -> None:
        session._ask(partial(PutFile, name="a", offset=offset, blobs=(data,)), "a")

    put(0, b"12")
    put(2, b"34")
    assert box.get_file("a") == b"1234"
    with pytest.raises(ConfigurationError, match="changed while"):
        put(3, b"x")


@pytest.mark.parametrize("executor", [*JAIL, "local"])
def test_what_is_printed_beyond_the_limit_is_a_file_also_of_a_run_that_was_killed(executor: str) -> None:
    with sandbox(executor, limits=Limits(output_bytes=1000)) as box:
        done = box.run(
            "print('x' * 5000)\nimport os\nos._exit(3)" if executor == "jail" else "print('x' * 5000)"
        )
        assert "bytes of output are missing here" in done.stdout
        assert done.files["printed-output.txt"].read() == b"x" * 5000 + b"\n"
        assert "all that was printed is in the file 'printed-output.txt'" in done.notes
        assert box.run("print('y')").files == {}


@pytest.mark.skipif(not JAIL, reason="no jail on this machine")
def test_a_link_in_the_way_of_the_printed_file_is_not_followed(tmp_path: Path) -> None:
    with sandbox("jail", limits=Limits(output_bytes=1000)) as box:
        done = box.run(
            "import os\nos.symlink('b', 'printed-output.txt')\nopen('b', 'w').close()\nprint('x' * 5000)"
        )
        assert (done.error, set(done.files), done.files["b"].read()) == (None, {"b"}, b"")


def test_of_very_many_files_a_thousand_are_told_with_a_note(box: PythonExecutor) -> None:
    done = box.run("for number in range(1100): open(f'f{number}', 'w').close()")
    assert (done.error, len(done.files)) == (None, 1000)
    assert done.notes == ("of the files that were written 1,000 are named; all of them are there",)
    assert len(box.list_files()) == 1100
