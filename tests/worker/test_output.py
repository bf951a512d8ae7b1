"""What the box prints: order, torn characters, and the one limit, which keeps the first and the last part."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinjra.worker.supervisor.output import PrintedOutput

MARK = re.compile(r"\n… (\d+) bytes of output are missing here …\n")


@pytest.fixture
def pipes():
    output, writers = PrintedOutput.branch()
    yield output, writers
    for fd in writers:
        os.close(fd)
    output.close()


def joined(messages, stream="stdout"):
    return "".join(message.text for message in messages if message.stream == stream)


def test_what_is_below_the_limit_comes_whole_and_at_once(pipes):
    output, (out, err) = pipes
    output.start_run(1000)
    os.write(out, b"a\n")
    assert joined(output.take()) == "a\n"
    os.write(err, b"b\n")
    os.write(out, b"c\n")
    rest = output.end_run()
    assert (joined(rest), joined(rest, "stderr")) == ("c\n", "b\n")


def test_a_character_that_is_torn_between_two_reads_stays_whole(pipes):
    output, (out, _err) = pipes
    output.start_run(None)
    os.write(out, "é".encode()[:1])
    assert output.take() == []
    os.write(out, "é".encode()[1:])
    assert joined(output.take()) == "é"


@given(
    st.lists(st.tuples(st.integers(0, 1), st.text(max_size=30), st.integers(1, 60)), max_size=30),
    st.integers(300, 3000),
)
@pytest.mark.slow
def test_the_first_and_the_last_part_are_kept_and_the_rest_is_counted(writes, limit):
    output, writers = PrintedOutput.branch()
    said, seen = {0: "", 1: ""}, []
    output.start_run(limit)
    for stream, text, times in writes:
        said[stream] += text * times
        os.write(writers[stream], (text * times).encode())
        seen += output.take()
    seen += output.end_run()
    # torn characters become longer marks
    assert sum(len(message.text.encode()) for message in seen) <= limit + 6
    for number, stream in enumerate(("stdout", "stderr")):
        text = joined(seen, stream)
        if (mark := MARK.search(text)) is None:
            assert text == said[number]
            continue
        head, tail = text[: mark.start()], text[mark.end() :]
        assert said[number].startswith(head)
        assert said[number].endswith(tail)
        kept = len(head.encode()) + len(tail.encode())
        assert 0 <= len(said[number].encode()) - kept - int(mark[1]) <= 6
    for fd in writers:
        os.close(fd)
    output.close()


def test_what_is_printed_between_two_runs_is_dropped(pipes):
    output, (out, _err) = pipes
    output.start_run(1000)
    os.write(out, b"first")
    assert joined(output.end_run()) == "first"
    os.write(out, b"between")
    assert output.take() == []
    os.write(out, b"before the next")
    output.start_run(1000)
    assert output.end_run() == []


def test_the_last_words_of_an_interpreter_with_a_fault_of_ours_are_kept(pipes):
    output, (_out, err) = pipes
    os.write(err, b"Traceback: our bug")
    output.take()
    death = type("Death", (), {"detail": "exit status 70"})()
    assert output.last_words(death) == ": Traceback: our bug"
