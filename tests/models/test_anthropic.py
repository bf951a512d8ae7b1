"""AnthropicModel through Anthropic's SDK against a server on loopback that speaks its protocol."""

from __future__ import annotations

import json
import traceback
from dataclasses import dataclass, field

import pytest

from pinjra.models.api import REMOVE_PARAMETER
from pinjra.models.base import ChatMessage, Completion, TokenUsage, ToolCall
from pinjra.models.errors import AuthenticationFailed, ProviderFailed
from pinjra.models.registry import load_model

pytest.importorskip("anthropic")

KEY = "zebra-umbrella-9471"
SCHEMA = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}


@dataclass(frozen=True)
class Tool:
    name: str = "lookup"
    description: str = "Looks a word up."
    parameters: dict = field(
        default_factory=lambda: {"type": "object", "properties": {"word": {"type": "string"}}}
    )


@pytest.fixture(params=["thread", "loop"])
def model(request, stand_in, awaited):
    where = {"api_key": KEY, "base_url": stand_in.url}
    made = load_model("anthropic:claude-tiny", retry_wait_seconds=0, attempts=2, **where)
    return awaited(made) if request.param == "loop" else made


def message(*content, stop_reason="end_turn"):
    return {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "claude-tiny",
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 4, "cache_read_input_tokens": 90},
    }


def events(block, deltas, stop_reason="end_turn"):
    start = message(stop_reason=None)
    forms = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": d} for d in deltas),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason, "stop_sequence": None},
            "usage": {"output_tokens": 4},
        },
        {"type": "message_stop"},
    ]
    return [f"event: {f['type']}\ndata: {json.dumps(f)}\n\n" for f in forms]


def test_a_parameter_that_is_never_sent_is_not_sent(stand_in):
    stand_in.answers = [stand_in.Answer(message({"type": "text", "text": "yes"}))]
    where = {"api_key": KEY, "base_url": stand_in.url}
    model = load_model("anthropic:claude-tiny", temperature=REMOVE_PARAMETER, **where)
    model.generate([ChatMessage(role="user", content="So?")], temperature=0.5)
    assert "temperature" not in stand_in.asked[0].body


def test_turns_take_the_form_that_the_api_wants(model, stand_in):
    stand_in.answers = [stand_in.Answer(message({"type": "text", "text": "yes<end>no"}))]
    done = model.generate(
        [
            ChatMessage(role="system", content="Be brief."),
            ChatMessage(role="user", content="Look", images=(b"GIF89a..",)),
            ChatMessage(
                role="assistant", content="", tool_calls=(ToolCall(id="t1", name="lookup", arguments={}),)
            ),
            ChatMessage(role="tool", content="found", tool_call_id="t1"),
            ChatMessage(role="user", content="So?"),
        ],
        stop=["<end>", "\n"],
        temperature=0.5,
        tools=[Tool()],
    )
    usage = TokenUsage(input_tokens=100, output_tokens=4)
    assert done == Completion(text="yes", usage=usage)
    body = stand_in.asked[0].body
    assert (body["system"], body["stop_sequences"], body["temperature"]) == ("Be brief.", ["<end>"], 0.5)
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][0]["content"][1]["source"]["media_type"] == "image/gif"
    result, question = body["messages"][2]["content"]
    assert (result["type"], result["tool_use_id"], question["text"]) == ("tool_result", "t1", "So?")
    assert body["tools"][0]["input_schema"]["type"] == "object"
    assert stand_in.asked[0].path == "/v1/messages"


def test_a_schema_is_kept_by_a_forced_tool_whose_input_is_the_text(model, stand_in):
    used = {"type": "tool_use", "id": "t", "name": "answer", "input": {"code": "1"}}
    stand_in.answers = [stand_in.Answer(message(used, stop_reason="tool_use"))]
    done = model.generate([ChatMessage(role="user", content="?")], response_schema=SCHEMA)
    assert (done.text, done.tool_calls, done.finish_reason) == ('{"code": "1"}', (), "stop")
    assert stand_in.asked[0].body["tool_choice"] == {"type": "tool", "name": "answer"}


def test_a_stream_brings_pieces_and_then_the_whole(model, stand_in):
    pieces = [{"type": "text_delta", "text": t} for t in ("one ", "two")]
    stand_in.answers = [stand_in.Answer(events=events({"type": "text", "text": ""}, pieces))]
    *deltas, done = model.stream([ChatMessage(role="user", content="?")])
    assert [d.text for d in deltas] == ["one ", "two"]
    assert done == Completion(text="one two", usage=TokenUsage(input_tokens=100, output_tokens=4))


def test_streamed_tool_calls_and_structured_answers(model, stand_in):
    pieces = [{"type": "input_json_delta", "partial_json": t} for t in ('{"wo', 'rd": "x"}')]
    call = {"type": "tool_use", "id": "t9", "name": "lookup", "input": {}}
    answer = {**call, "name": "answer"}
    stand_in.answers = [
        stand_in.Answer(events=events(call, pieces, "tool_use")),
        stand_in.Answer(events=events(answer, pieces, "tool_use")),
    ]
    ask = [ChatMessage(role="user", content="?")]
    *_, done = model.stream(ask, tools=[Tool()])
    assert done.tool_calls == (ToolCall(id="t9", name="lookup", arguments={"word": "x"}),)
    *_, done = model.stream(ask, response_schema=SCHEMA)
    assert (json.loads(done.text), done.tool_calls) == ({"word": "x"}, ())


@pytest.mark.parametrize(
    ("status", "error", "times"), [(401, AuthenticationFailed, 1), (529, ProviderFailed, 2)]
)
def test_a_failure_says_whose_fault_it_is_and_no_secret(model, stand_in, status, error, times):
    body = {"type": "error", "error": {"type": "x", "message": f"no: {KEY}"}}
    stand_in.answers = [stand_in.Answer(body, status=status)]
    with pytest.raises(error) as caught:
        model.generate([ChatMessage(role="user", content="?")])
    assert KEY not in "".join(traceback.format_exception(caught.value)) + repr(model) + json.dumps(
        model.to_dict()
    )
    assert len(stand_in.asked) == times


def test_a_missing_key_is_named(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(AuthenticationFailed, match="set ANTHROPIC_API_KEY or pass api_key="):
        load_model("anthropic:claude-tiny").generate([ChatMessage(role="user", content="?")])
