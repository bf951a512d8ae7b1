"""ScriptedModel answers in order, records, and behaves as a server does at stop sequences."""

from __future__ import annotations

import pytest

from pinjra.models.base import ChatMessage, Completion, Model, ModelDelta, TokenUsage
from pinjra.models.errors import ModelExhausted, ProviderFailed
from pinjra.models.scripted import ScriptedModel

ASK = [ChatMessage(role="user", content="two words")]


def test_completions_come_in_order_and_requests_are_recorded():
    model = ScriptedModel(["one", Completion(text="two", usage=TokenUsage(input_tokens=7, output_tokens=8))])
    assert isinstance(model, Model)
    assert model.generate(ASK).text == "one"
    second = model.generate(ASK, stop=["x"], temperature=0.5)
    assert (second.text, second.usage.total_tokens) == ("two", 15)
    assert [r.temperature for r in model.requests] == [None, 0.5]
    assert model.requests[0].messages == tuple(ASK)


def test_text_is_cut_at_the_first_stop_sequence():
    assert (
        ScriptedModel(["print(1)\n``` and then <end>"]).generate(ASK, stop=["<end>", "```"]).text
        == "print(1)\n"
    )


def test_a_stream_ends_with_the_whole_completion_and_loses_no_character():
    text = "  a b\n\n  c d \n"
    *deltas, done = ScriptedModel([text]).stream(ASK)
    assert all(isinstance(d, ModelDelta) for d in deltas)
    assert "".join(d.text for d in deltas) == text == done.text
    assert done.usage == TokenUsage(input_tokens=2, output_tokens=4)


def test_an_exception_in_the_script_is_raised_and_the_next_request_goes_on():
    model = ScriptedModel([ProviderFailed("down"), "up"])
    with pytest.raises(ProviderFailed, match="down"):
        model.generate(ASK)
    assert model.generate(ASK).text == "up"


def test_a_function_answers_from_the_messages():
    model = ScriptedModel(lambda messages: messages[-1].content.upper())
    assert [model.generate(ASK).text for _ in range(3)] == ["TWO WORDS"] * 3


def test_one_request_too_many_is_named():
    model = ScriptedModel(["one"])
    model.generate(ASK)
    with pytest.raises(ModelExhausted, match="the script has 1 completions; this is request 2"):
        model.generate(ASK)
