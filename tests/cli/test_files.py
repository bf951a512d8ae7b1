"""`--file`, `--out` and `--stdin` of the command line."""

from __future__ import annotations

import json
from pathlib import Path

from .test_commands import pinjra


def test_exec_takes_files_and_saves_what_comes_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1\n")
    code = "open('b.txt', 'w').write(open('a.csv').read() * 2)\nclass T:\n    def _repr_svg_(self): return '<svg/>'\ndisplay(T())"
    done = pinjra(
        "exec",
        "-c",
        code,
        "--executor",
        "local",
        "--file",
        str(tmp_path / "a.csv"),
        "--out",
        str(tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "b.txt").read_text() == "1\n1\n"
    assert (tmp_path / "out" / "artifact-1.svg").read_text() == "<svg/>"
    assert f"saved: {tmp_path / 'out' / 'b.txt'}" in done.stderr


def test_a_pipe_is_the_program_s_standard_input(tmp_path: Path) -> None:
    program = tmp_path / "prog.py"
    program.write_text("int(input()) + int(input())")
    done = pinjra("exec", str(program), "--executor", "local", "--json", stdin="1\n2\n")
    assert json.loads(done.stdout)["value"] == 3


def test_the_end_of_standard_input_is_an_error_of_the_program() -> None:
    done = pinjra("exec", "-c", "input()", "--executor", "local", "--json", stdin="")
    assert json.loads(done.stdout)["error"]["type"] == "EOFError"


def test_standard_input_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x\n")
    done = pinjra("exec", "-c", "print(input())", "--executor", "local", "--stdin", str(tmp_path / "data"))
    assert done.stdout == "x\n"


def test_a_file_that_is_not_there_is_a_wrong_use() -> None:
    assert pinjra("exec", "-c", "1", "--file", "no-such-file").returncode == 2
