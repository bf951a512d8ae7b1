"""Progress bars and colours arrive as they were printed; whoever reads them sees what a terminal shows in the end."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinjra import sandbox
from pinjra.agents.memory.observation import describe_execution
from pinjra.core.safe_text import printable_output, settled
from pinjra.executors.session.output import KeptOutput

BAR = """
import sys
for i in range(3):
    print(f"{i + 1}/3", end="\\r", flush=True)
print("\\n\\x1b[1;31mred\\x1b[0m")
sys.stderr.write("\\r 50%|###   |\\r100%|######|\\n")
sys.stdout.write("half \\x1b[3"); sys.stdout.flush()
sys.stdout.write("2mgreen\\x1b[0m\\r"); sys.stdout.flush()
"""


def test_a_progress_bar_and_colours_arrive_as_such_and_the_model_reads_the_last_state() -> None:
    seen = {"stdout": "", "stderr": ""}

    def keep(stream: str, text: str) -> None:
        seen[stream] += text

    with sandbox("jail") as box:
        box.on_output = keep
        done = box.run(BAR)
    assert done.stdout == "1/3\r2/3\r3/3\n\x1b[1;31mred\x1b[0m\nhalf \x1b[32mgreen\x1b[0m\r"
    assert done.stderr == "\r 50%|###   |\r100%|######|\n"
    assert seen == {"stdout": done.stdout, "stderr": done.stderr}
    assert done.logs == "3/3\nred\nhalf green" + "100%|######|\n"
    assert describe_execution(done) == "Printed:\n3/3\nred\nhalf green\nPrinted to stderr:\n100%|######|"


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("plain\ntext", "plain\ntext"),
        ("100%\r5%", "5%0%"),
        ("long line\r\x1b[Kshort", "short"),
        ("abc\b\bX", "aXc"),
        ("\x1b[38;5;200mpink\x1b[m", "pink"),
        ("done\r", "done"),
        ("a 1\nb 1\n\x1b[2Aa 2\nb 2\n", "a 2\nb 2\n"),
        ("\rall 0 %\n\rpart 50 %\x1b[A\n\r           \x1b[A\rall 100 %\n", "all 100 %\n"),
        ("short\nlonger\x1b[Ax", "shortx\nlonger"),
    ],
)
def test_what_is_read_is_what_a_terminal_shows_in_the_end(printed: str, shown: str) -> None:
    assert settled(printed) == shown


@given(
    st.lists(st.sampled_from(["\x1b[A", "\x1b[2A", *"\x1b[]0;1mKJA\r\n\bx\x07\x9b"]), max_size=40),
    st.integers(1, 7),
)
def test_no_other_command_passes_however_the_pieces_are_cut(parts: list[str], size: int) -> None:
    text = "".join(parts)
    kept = KeptOutput(None)
    for start in range(0, len(text), size):
        kept.add("stdout", text[start : start + size])
    kept.add("stdout", "", is_last=True)
    assert kept.text("stdout") == printable_output(text)
    assert not set(settled(kept.text("stdout"))) & {"\x1b", "\x07", "\x9b", "\r", "\b"}


@given(
    st.lists(
        st.sampled_from(["\x1b[A", "\x1b[2A", "\x1b[0A", "\x1b[99A", "\n", "\r\n", "x", "\r"]), max_size=40
    )
)
def test_nothing_goes_above_its_own_first_line(parts: list[str]) -> None:
    row = 0
    for step in re.findall("\n|\x1b\\[[0-9]*A", printable_output("".join(parts))):
        row += 1 if step == "\n" else -max(int(step[2:-1] or 1), 1)
        assert row >= 0


def test_warnings_of_a_program_are_shown_whatever_words_they_have() -> None:
    with sandbox("jail") as box:
        done = box.run(
            "import warnings\nwarnings.warn('no fork of the page')\nwarnings.warn('use of fork() is')"
        )
    assert "UserWarning: no fork of the page" in done.stderr
    assert "use of fork()" not in done.stderr


WRAPPED = (
    "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')\nprint('wrapped')"
)


@pytest.mark.parametrize("executor", ["jail", "local"])
def test_streams_in_the_place_of_stdout_are_flushed_when_a_run_ends(executor: str) -> None:
    with sandbox(executor, authorized_imports=["sys", "os"]) as box:
        assert [box.run(WRAPPED).stdout for _ in range(3)] == [
            "wrapped\n"
        ] * 3  # what the runs before made is gone
        assert box.run(f"{WRAPPED}\n1 / 0").stdout == "wrapped\n"
        assert box.run("sys.stdout.close()").error is None
        assert box.run("print('on')").stdout == "on\n"
        done = box.run("sys.stdout = open('printed.txt', 'w')\nprint('to a file')")
        assert (done.stdout, done.files["printed.txt"].size) == ("", 10)
        own = "class Own:\n    def flush(self): raise SystemExit\n    def write(self, text): pass\nsys.stdout = Own()\n5"
        assert box.run(own).value == 5
