"""All that a run prints, as a file: where it is more than the run may say, and within its share of the quota."""

from __future__ import annotations

from pinjra.worker.whole_output import NAME, WholeOutput


class Folder:
    """Takes pieces; fails from the n-th on."""

    def __init__(self, room: int = 1000) -> None:
        self.content = bytearray()
        self.room = room

    def put(self, name: str, piece: bytes, offset: int) -> None:
        assert (name, offset) == (NAME, len(self.content))
        if not self.room:
            raise OSError("no room")
        self.room -= 1
        self.content += piece


def test_nothing_is_written_where_nothing_is_missing() -> None:
    folder = Folder()
    whole = WholeOutput(folder.put, 64 << 20)
    whole.add(b"text")
    assert (whole.end(is_needed=False), folder.content) == (0, b"")


def test_all_is_there_in_order_where_something_is_missing() -> None:
    folder = Folder()
    whole = WholeOutput(folder.put, None)
    pieces = [bytes([number]) * 300_000 for number in range(10)]
    for piece in pieces:
        whole.add(piece)
    assert whole.end(is_needed=True) == 3_000_000
    assert folder.content == b"".join(pieces)


def test_the_file_ends_with_its_share_of_the_quota_and_says_so() -> None:
    folder = Folder()
    whole = WholeOutput(folder.put, 4000)
    for _time in range(50):
        whole.add(b"x" * 30)
    assert whole.end(is_needed=True) == len(folder.content)
    kept, _, mark = folder.content.partition(b"\n")
    assert (bytes(kept), mark.count(b"did not fit")) == (b"x" * 1000, 1)


def test_a_file_that_could_not_be_written_is_not_told() -> None:
    folder = Folder(room=1)
    whole = WholeOutput(folder.put, 64 << 20)
    for _time in range(3):
        whole.add(b"x" * (1 << 20))
    assert whole.end(is_needed=True) == 0
    assert len(folder.content) == 1 << 20
