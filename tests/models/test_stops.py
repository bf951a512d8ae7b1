"""Stop sequences are cut the same, however the text is split; calls in text are found; secrets are taken out."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinjra.models.base import Completion
from pinjra.models.retry import redact
from pinjra.models.stops import StopCutter
from pinjra.models.text_calls import with_text_calls


@given(
    st.text(alphabet="ab`<", max_size=30),
    st.lists(st.text(alphabet="ab`<", min_size=1, max_size=4), max_size=3),
    st.data(),
)
def test_a_split_text_is_cut_where_the_whole_text_would_be(text, stop, data):
    cutter, shown, rest = StopCutter(stop), "", text
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        piece, rest = rest[:size], rest[size:]
        shown += cutter.feed(piece)
    shown += cutter.end()
    ends = [text.index(mark) for mark in stop if mark in text]
    if len(stop) < 2:
        assert shown == (text[: ends[0]] if ends else text)
    else:  # of several stops the one that is complete first counts, as in a server
        assert text.startswith(shown)
        assert cutter.is_stopped == bool(ends)


@dataclass(frozen=True)
class Tool:
    name: str
    description: str = ""
    parameters: dict = field(default_factory=dict)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "lookup", "arguments": {"word": "a"}}',
        '<tool_call>\n{"name": "lookup", "arguments": {"word": "a"}}\n</tool_call>',
        'I will look.\n```json\n{"name": "lookup", "parameters": {"word": "a"}}\n```',
        '[{"name": "lookup", "arguments": "{\\"word\\": \\"a\\"}"}]',
        '<tool_call>{"name": "lookup", "arguments": {"word": "a"}}',
    ],
)
def test_calls_written_as_text_are_found(text):
    done = with_text_calls(Completion(text=text), [Tool("lookup")])
    assert [(c.name, c.arguments) for c in done.tool_calls] == [("lookup", {"word": "a"})]
    assert done.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"name": "lookup", "arguments": {}}', ""),
        ('I look.\n<tool_call>{"name": "lookup", "arguments": {}}</tool_call>', "I look.\n"),
        (
            '<think>Hm.</think>I look.\n```json\n{"name": "lookup", "arguments": {}}\n```\nDone.',
            "<think>Hm.</think>I look.\n",
        ),
    ],
)
def test_a_call_is_not_shown_twice(text, kept):
    """Else a small model writes each call twice from then on, and then without end."""
    done = with_text_calls(Completion(text=text), [Tool("lookup")])
    assert (done.text, [c.name for c in done.tool_calls]) == (kept, ["lookup"])


@pytest.mark.parametrize(
    "text",
    ['{"name": "other", "arguments": {}}', "lookup(1)", '{"name": "lookup", "arguments": [1]}', "{" * 5000],
)
def test_what_is_no_call_of_an_offered_tool_stays_text(text):
    done = Completion(text=text)
    assert with_text_calls(done, [Tool("lookup")]) == done
    assert with_text_calls(done, []) == done


@pytest.mark.parametrize(
    "secret", ["sk-abcdefghijkl", "hf_abcdefghijklmnop", "Bearer abc.def-ghi_jkl", "sk-proj-abc*******xyz"]
)
def test_what_has_the_shape_of_a_key_is_taken_out(secret):
    assert redact(f"Incorrect API key provided: {secret}. Find it").startswith(
        "Incorrect API key provided: [secret]"
    )
