"""All that a run prints, as a file: where it is more than the run may say, and within its share of the quota."""

from __future__ import annotations

import pytest

from pinjra.worker.run_output import FILE_NAME, RunOutput
from pinjra.worker.scratch.walked_folder import Scratch


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def told(said):
    """What is said of the file."""
    return {message.file: message.file_bytes for message in said if message.file}


def run_output(folder, *, limit=1000, quota=None):
    return RunOutput(limit, Scratch(str(folder), quota))


@pytest.mark.parametrize("limit", [None, 8 << 20])
def test_nothing_is_written_where_nothing_is_missing(folder, limit) -> None:
    output = run_output(folder, limit=limit)
    for _time in range(3):
        output.add(0, b"x" * (1 << 20))
    assert (told(output.end()), list(folder.iterdir())) == ({}, [])


def test_all_is_there_in_order_where_something_is_missing(folder) -> None:
    output = run_output(folder)
    pieces = [bytes([number]) * 300_000 for number in range(10)]
    for number, piece in enumerate(pieces):
        output.add(number % 2, piece)
    assert told(output.end()) == {FILE_NAME: 3_000_000}
    assert (folder / FILE_NAME).read_bytes() == b"".join(pieces)


def test_the_file_ends_with_its_share_of_the_quota_and_says_so(folder) -> None:
    output = run_output(folder, quota=4000)
    for _time in range(50):
        output.add(0, b"x" * 30)
    said = told(output.end())
    content = (folder / FILE_NAME).read_bytes()
    assert said == {FILE_NAME: len(content)}
    kept, _, mark = content.partition(b"\n")
    assert (kept, mark.count(b"did not fit")) == (b"x" * 1000, 1)


def test_a_file_that_something_else_has_written_to_is_not_told(folder) -> None:
    output = run_output(folder)
    output.add(0, b"x" * (1 << 20))
    with (folder / FILE_NAME).open("ab") as file:
        file.write(b"the guest's")
    output.add(0, b"x" * (1 << 20))
    output.add(0, b"x" * (1 << 20))
    assert told(output.end()) == {}
