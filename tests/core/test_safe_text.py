import pytest

from pinjra.core.safe_text import cut_middle


@pytest.mark.parametrize("length", [0, 1, 2, 3, 10])
def test_of_a_long_text_head_and_tail_are_left_however_little_that_is(length):
    head, mark, tail = cut_middle("abcdefghijklmnop", length).split("\n")
    assert (
        len(head + tail) == length
        and "abcdefghijklmnop".startswith(head)
        and "abcdefghijklmnop".endswith(tail)
    )
    assert mark == f"… [{16 - length} characters left out; print less to see them] …"


def test_a_text_that_fits_stays_as_it_is():
    assert cut_middle("abc", 3) == "abc"
