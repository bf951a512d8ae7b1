"""`pinjra shell`: what is typed or piped is run statement by statement, in one session."""

from __future__ import annotations

import base64
import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pinjra.cli.shell import is_whole, programs

from .test_commands import pinjra


def asking(text: str):
    lines = iter(text.split("\n"))

    def ask(_: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    return ask


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("1 + 1\nx = 2", ["1 + 1", "x = 2"]),
        ("[1,\n 2]", ["[1,\n 2]"]),
        ('"""a\n\nb"""', ['"""a\n\nb"""']),
        ("1 + \\\n1", ["1 + \\\n1"]),
        ("if x:\n  y\n\nz", ["if x:\n  y\n", "z"]),
        ("def f():\n  return 1\nf()", ["def f():\n  return 1", "f()"]),
        ("if x:\n  y\nelse:\n  z\n\n", ["if x:\n  y\nelse:\n  z\n"]),
        ("try:\n  y\nexcept E:\n  z\nw", ["try:\n  y\nexcept E:\n  z", "w"]),
        ("@d\ndef f():\n  pass\n\n", ["@d\ndef f():\n  pass\n"]),
        ("f(\n1\n)", ["f(\n1\n)"]),
        ("for i in range(2): i", ["for i in range(2): i"]),
        ("\n\n# note\n1", ["# note", "1"]),
        ("%files\n!ls -l", ["%files", "!ls -l"]),
        ("x = 'open\n1", ["x = 'open", "1"]),
        ("d[1:\n2]", ["d[1:\n2]"]),
        ("(1, ", ["(1, "]),
    ],
)
def test_lines_are_put_together_to_whole_statements(typed: str, expected: list[str]) -> None:
    assert list(programs(asking(typed))) == expected


def test_a_pasted_program_is_whole_when_its_last_line_is() -> None:
    assert is_whole("x = 1\ny = 2")
    assert not is_whole("x = 1\nfor i in range(3):\n    print(i)")
    assert is_whole("x = 1\nfor i in range(3):\n    print(i)\n")


def test_a_pipe_is_run_statement_by_statement_in_one_session(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("3\n4\n")
    text = "rows = [int(x) for x in open('a.csv')]\ndef f(r):\n    return sum(r)\nf(rows)\n1 / 0\n"
    text += "open('b', 'w').write('out')\n%files\n"
    done = pinjra(
        "shell",
        "--executor",
        "local",
        "--file",
        str(tmp_path / "a.csv"),
        "--out",
        str(tmp_path / "out"),
        stdin=text,
    )
    assert done.stdout.split() == ["7", "3", "4", "a.csv", "3", "b"]
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert ">>>" not in done.stdout
    assert (tmp_path / "out" / "b").read_text() == "out"
    assert done.returncode == 1


def test_commands_put_run_get_and_reset(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("5")
    (tmp_path / "prog.py").write_text("n = int(open('data').read())\nopen('twice', 'w').write(str(2 * n))\n")
    text = f"%put {tmp_path / 'data'}\n%run {tmp_path / 'prog.py'}\nn\n%get twice\n%reset\nn\n%fils\n%quit\n'not reached'\n"
    done = pinjra("shell", "--executor", "local", "--out", str(tmp_path / "out"), stdin=text)
    assert done.stdout.split("\n")[:4] == ["data", "2", "5", str(tmp_path / "out" / "twice")]
    assert (tmp_path / "out" / "twice").read_text() == "10"
    assert "NameError" in done.stderr
    assert "there is no %fils; did you mean '%files'?" in done.stderr or "%files" in done.stderr
    assert "not reached" not in done.stdout


def test_a_program_that_is_run_has_its_arguments(tmp_path: Path) -> None:
    spaced = tmp_path / "my prog.py"
    spaced.write_text("import sys\nlen(sys.argv)")
    text = f"%run {spaced}\n%run '{spaced}' 'a b' -c\nsys.argv[1:]\n"
    done = pinjra("shell", "--executor", "local", "--imports", "sys", stdin=text)
    assert (done.stdout, done.stderr) == ("1\n3\n['a b', '-c']\n", "")


def test_it_says_that_there_is_nothing_to_save(tmp_path: Path) -> None:
    text = "%save\n1\n%save\nopen('a', 'w').write('hi')\n%save\n"
    done = pinjra("shell", "--executor", "local", "--out", str(tmp_path), stdin=text)
    nothing = "nothing to save: the last run wrote and showed nothing\n"
    saved = f"saved: {tmp_path / 'a'}\n"
    assert done.stderr == nothing + nothing + saved + saved


def test_a_limit_ends_the_step_and_not_the_session() -> None:
    done = pinjra("shell", "--executor", "local", "--wall", "1", stdin="x = 1\nwhile True:\n    x = 2\n\nx\n")
    assert done.stdout == "1\n"
    assert done.returncode == 3


def test_the_nothing_that_is_piped_is_a_success() -> None:
    done = pinjra("shell", "--executor", "local", stdin="")
    assert (done.returncode, done.stdout) == (0, "")


def test_at_a_terminal_it_prompts_and_ends_with_the_end_of_input(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pinjra", "shell", "--executor", "local"],
        stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    try:
        assert ">>> " in read_until(ours, ">>> ")
        os.write(ours, b"20 + 22\r")
        assert "42" in read_until(ours, "42")
        os.write(ours, b"%quit\r")
        assert process.wait(300) == 0
    finally:
        process.kill()
        os.close(ours)


def read_until(terminal: int, words: str) -> str:
    text, end = "", time.monotonic() + 300
    while words not in text and time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            text += os.read(terminal, 4096).decode("utf-8", "replace")
    return text


def test_exec_of_a_language_needs_no_second_option() -> None:
    done = pinjra("exec", "--language", "bash", "-c", "echo $((6 * 7))")
    if "jail" in done.stderr and done.returncode == 2:
        pytest.skip(done.stderr)
    assert (done.stdout, done.returncode) == ("42\n", 0)


def test_a_command_without_what_it_wants_says_what() -> None:
    done = pinjra("shell", "--executor", "local", stdin="%put\n%get\n%run\n!ls\n")
    *wants, program = done.stderr.splitlines()
    assert wants == [
        f"pinjra: {name}" for name in ("%put wants a PATH", "%get wants a NAME", "%run wants a PATH")
    ]
    assert program.endswith("(here: --program)")


def test_no_command_names_an_option_that_it_does_not_have() -> None:
    done = pinjra("doctor", "--live", "local", "--set", "foo=1")
    assert "LocalPythonExecutor has no parameter 'foo'" in done.stderr
    assert "(here:" not in done.stderr


def test_messages_name_the_option_that_gives_what_is_missing() -> None:
    assert "(here: --imports)" in pinjra("exec", "--executor", "local", "-c", "import numpy").stderr
    assert "(here: --mount)" in pinjra("exec", "-c", "1", "--mount", "data=/no/such").stderr


def test_json_holds_the_bytes_of_files_or_their_paths(tmp_path: Path) -> None:
    code = "open('a', 'w').write('hi')\nclass T:\n    def _repr_svg_(self): return '<svg/>'\ndisplay(T())"
    form = json.loads(pinjra("exec", "--executor", "local", "-c", code, "--json").stdout)
    assert form["files"] == {"a": {"bytes": 2, "base64": "aGk="}}
    assert base64.b64decode(form["artifacts"][0]["base64"]) == b"<svg/>"
    out = str(tmp_path / "out")
    form = json.loads(pinjra("exec", "--executor", "local", "-c", code, "--json", "--out", out).stdout)
    assert Path(form["files"]["a"]["path"]).read_text() == "hi"
    assert Path(form["artifacts"][0]["path"]).read_bytes() == b"<svg/>"
