"""What the views show of a run: everything once, nothing that could steer the terminal, the same after a replay."""

from __future__ import annotations

import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pinjra.core import events as e
from pinjra.ui.clean import clean
from pinjra.ui.live import LiveView
from pinjra.ui.machine import JsonView
from pinjra.ui.plain import PlainView

TOP = {"run_id": "r1", "agent": "boss"}
BELOW = {"run_id": "r2", "agent": "helper", "depth": 1, "parent": "r1"}
RUN = [
    e.RunStarted(**TOP, task="count"),
    e.StepStarted(**TOP, step=1),
    e.ModelDelta(**TOP, step=1, text="x = "),
    e.CodeReady(**TOP, step=1, code="x = helper('a')\nprint(x)", thought="ask"),
    e.ToolCalled(**TOP, step=1, call="c1", name="helper", arguments={"task": "a"}),
    e.RunStarted(**BELOW, task="a"),
    e.CodeReady(**BELOW, step=1, code="final_answer(1)"),
    e.StepFinished(**BELOW, step=1, seconds=0.5, input_tokens=3, output_tokens=1),
    e.RunFinished(**BELOW, state="success", output=1, seconds=0.5),
    e.ToolReturned(**TOP, step=1, call="c1", name="helper", value=[1, "b"], seconds=0.6),
    e.OutputText(**TOP, step=1, stream="stdout", text="half "),
    e.OutputText(**TOP, step=1, stream="stdout", text="a line\nrest"),
    e.StepFinished(**TOP, step=1, error="ValueError: no", seconds=2, input_tokens=1200, output_tokens=30),
    e.FinalAnswer(**TOP, value="the answer"),
    e.RunFinished(
        **TOP, state="budget_error", error="tokens: 5", seconds=3, input_tokens=1203, output_tokens=31
    ),
]


def plain(events):
    out = io.StringIO()
    with PlainView(out) as view:
        for event in events:
            view.show(event)
    return out.getvalue()


def live(events, width=80):
    out = io.StringIO()
    with LiveView(Console(file=out, force_terminal=True, width=width, color_system="truecolor")) as view:
        for event in events:
            view.show(event)
    return out.getvalue()


def machine(events, **options):
    out = io.StringIO()
    with JsonView(out, **options) as view:
        for event in events:
            view.show(event)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_plain_view_shows_each_thing_once_in_order():
    assert plain(RUN).splitlines() == [
        "task: count",
        "step 1: ask",
        ">>> x = helper('a')",
        ">>> print(x)",
        "→ helper(task='a')",
        "  helper: task: a",
        "  helper: step 1",
        "  helper: >>> final_answer(1)",
        "  helper: [step 1: 0.5 s, 3 tokens read, 1 written]",
        "  helper: [helper: 0.5 s, 0 tokens read, 0 written]",
        "← helper → [1, 'b'] (0.6 s)",
        "| half a line",
        "| rest",
        "✗ ValueError: no",
        "[step 1: 2.0 s, 1,200 tokens read, 30 written]",
        "answer: the answer",
        "[boss: 3.0 s, 1,203 tokens read, 31 written, ended with budget_error: tokens: 5]",
    ]


def test_the_live_view_shows_the_same_with_colours_and_indents_managed_agents():
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", live(RUN))
    for text in (
        "count",
        "ask",
        "x = helper('a')",
        "→ helper(task='a')",
        "← helper → [1, 'b'] (0.6 s)",
        "half a line",
    ):
        assert text in shown
    assert "    final_answer(1)" in shown
    assert "✗ ValueError: no" in shown
    assert "ended with budget_error: tokens: 5" in shown
    assert "\x1b[" in live(RUN)


def test_json_lines_hold_every_event_with_its_name():
    lines = machine(RUN)
    assert [line["event"] for line in lines] == [type(event).__name__ for event in RUN]
    assert lines[9] == {
        "event": "ToolReturned", "run_id": "r1", "agent": "boss", "depth": 0, "parent": None, "step": 1,
        "call": "c1", "name": "helper", "value": [1, "b"], "error": "", "seconds": 0.6,
    }  # fmt: skip
    assert [line["event"] for line in machine(RUN, only_result=True)] == ["RunFinished"]


EVIL = "\x1b]0;owned\x07\x1b[2Jclear\x9b31m\r\x08[bold red]markup[/]\u202ereversed\ud800"


@pytest.mark.parametrize("show", [plain, live])
def test_nothing_a_guest_writes_steers_the_terminal(show):
    evil = [
        e.RunStarted(**{**TOP, "agent": EVIL}, task=EVIL),
        e.ModelDelta(**TOP, step=1, text=EVIL),
        e.PlanMade(**TOP, plan=EVIL),
        e.CodeReady(**TOP, step=1, code=f"x = '{EVIL}'", thought=EVIL),
        e.ToolCalled(**TOP, step=1, call="c", name=EVIL, arguments={EVIL: EVIL}),
        e.ToolReturned(**TOP, step=1, call="c", name=EVIL, error=EVIL),
        e.OutputText(**TOP, step=1, stream="stderr", text=EVIL + "\n"),
        e.StepFinished(**TOP, step=1, error=EVIL),
        e.FinalAnswer(**TOP, value=EVIL),
        e.RunFinished(**{**TOP, "agent": EVIL}, state="error", error=EVIL),
    ]
    shown = show(evil)
    # what rich itself writes: colours, cursor, line ends
    ours = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", shown)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", ours)
    assert "\x1b[2J" not in shown
    assert "[bold red]" in ours.replace("\n", "")


@given(st.text(alphabet=st.characters()))
def test_cleaned_text_has_no_control_character_and_plain_text_stays(text):
    cleaned = clean(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", cleaned)
    assert clean(cleaned) == cleaned
    if text.isprintable():
        assert cleaned == text or re.search("[\u200b-\u200f\u2060-\ufeff]", text)


def test_a_value_whose_repr_fails_is_shown_all_the_same():
    class Bad:
        def __repr__(self):
            raise RuntimeError("no")

    event = e.ToolReturned(**TOP, call="c", name="t", value=Bad())
    assert plain([event]) == "← t → <Bad: its repr raised RuntimeError> (0.0 s)\n"


def test_the_cost_is_shown_where_prices_were_given():
    events = [
        e.StepFinished(**TOP, step=1, seconds=2, input_tokens=1200, output_tokens=30, money=0.00123),
        e.RunFinished(**TOP, state="success", seconds=3, input_tokens=1200, output_tokens=30, money=1.5),
    ]
    assert plain(events).splitlines() == [
        "[step 1: 2.0 s, 1,200 tokens read, 30 written, cost 0.0012]",
        "[boss: 3.0 s, 1,200 tokens read, 30 written, cost 1.50]",
    ]
    assert "cost 1.50" in live(events)
    assert [line["money"] for line in machine(events)] == [0.00123, 1.5]
    assert "cost" not in plain(RUN)


def test_text_that_comes_in_pieces_is_masked_for_machines_too(monkeypatch):
    """Of two halves of a secret neither was known for one."""
    monkeypatch.setenv("SOME_TOKEN", "two words-of-it")
    words = ["Authorization:", "Bearer", "abcdefgh12345678", "and", "two", "words-of-it", ""]
    said = [e.ModelDelta(**TOP, step=1, text=word + " ") for word in words]
    printed = [
        e.OutputText(**TOP, step=1, stream="stdout", text=line)
        for line in ("-----BEGIN PRIVATE KEY-----\n", "MIIEvQIBADAN\n", "-----END PRIVATE KEY-----\n", "end")
    ]
    lines = machine([*said, *printed, RUN[-1]])
    assert "".join(line["text"] for line in lines if line["event"] == "ModelDelta") == (
        "Authorization: Bearer [secret] and [secret]  "
    )
    assert "".join(line["text"] for line in lines if line["event"] == "OutputText") == "[secret]\nend"
    assert lines[-1]["event"] == "RunFinished"
