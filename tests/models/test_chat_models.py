"""The models that speak the OpenAI form, each through its real SDK against a server on loopback."""

from __future__ import annotations

import json
import os
import traceback
from dataclasses import dataclass

import pytest

from pinjra.core.errors import ConfigurationError
from pinjra.models.base import ChatMessage, Completion, ModelDelta, TokenUsage, ToolCall
from pinjra.models.errors import AuthenticationFailed, ProviderFailed, RateLimited, RequestRefused
from pinjra.models.registry import from_dict, load_model

KEY = "zebra-umbrella-9471"
PNG = b"\x89PNG\r\n\x1a\n0000"
ASK = [ChatMessage(role="user", content="Hello?")]


@dataclass(frozen=True)
class Tool:
    name: str = "lookup"
    description: str = "Looks a word up."
    parameters: object = None


TOOL = Tool(parameters={"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]})


# litellm leaves its sockets to the garbage collector and mixes versions of pydantic models.
litellm_only = pytest.mark.filterwarnings("ignore")


KINDS = {
    "openai": ("openai:tiny", "api_key", "api_base"),
    "hf": ("hf:tiny", "token", "base_url"),
    "litellm": ("litellm:openai/tiny", "api_key", "api_base"),
}


@pytest.fixture(
    params=[
        pytest.param(f"{kind}{how}", marks=litellm_only if kind == "litellm" else ())
        for kind in KINDS
        for how in ("", " on a loop")
    ]
)
def model(request, stand_in, awaited):
    kind, _, loop = request.param.partition(" on a ")
    if kind == "litellm":
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    if kind in ("litellm", "openai"):
        pytest.importorskip(kind, exc_type=ImportError)
    name, key, address = KINDS[kind]
    where = {key: KEY, address: stand_in.url + "/v1"}
    made = load_model(name, retry_wait_seconds=0, attempts=3, max_tokens=50, **where)
    return awaited(made) if loop else made


def completion(content="Hi there", finish="stop", **message):
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "tiny",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
    }


def events(*deltas, finish="stop"):
    def event(choices, **more):
        form = {
            "id": "c1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "tiny",
            "choices": choices,
            **more,
        }
        return f"data: {json.dumps(form)}\n\n"

    out = [event([{"index": 0, "delta": {"role": "assistant", **d}, "finish_reason": None}]) for d in deltas]
    out.append(event([{"index": 0, "delta": {}, "finish_reason": finish}]))
    out.append(event([], usage={"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}))
    return [*out, "data: [DONE]\n\n"]


CALLS = [
    {"id": "call_7", "type": "function", "function": {"name": "lookup", "arguments": '{"word": "pinjra"}'}},
]


def test_an_answer_comes_with_its_tokens_and_is_cut_at_the_stop(model, stand_in):
    stand_in.answers = [stand_in.Answer(completion("x = 1\n<end> more"))]
    done = model.generate(ASK, stop=["<end>"], temperature=0.25)
    assert done == Completion(text="x = 1\n", usage=TokenUsage(input_tokens=11, output_tokens=3))
    (asked,) = stand_in.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers.get("authorization", asked.headers.get("Authorization")) == f"Bearer {KEY}"
    assert asked.body["model"] == "tiny"
    assert asked.body["messages"] == [{"role": "user", "content": "Hello?"}]
    assert (asked.body["stop"], asked.body["temperature"], asked.body["max_tokens"]) == (["<end>"], 0.25, 50)


def test_tool_calls_go_both_ways(model, stand_in):
    stand_in.answers = [stand_in.Answer(completion(None, "tool_calls", tool_calls=CALLS))]
    history = [
        *ASK,
        ChatMessage(
            role="assistant",
            content="",
            tool_calls=(ToolCall(id="call_1", name="lookup", arguments={"word": "a"}),),
        ),
        ChatMessage(role="tool", content="first letter", tool_call_id="call_1"),
    ]
    done = model.generate(history, tools=[TOOL])
    assert done.tool_calls == (ToolCall(id="call_7", name="lookup", arguments={"word": "pinjra"}),)
    assert (done.text, done.finish_reason) == ("", "tool_calls")
    body = stand_in.asked[0].body
    assert body["tools"][0]["function"]["parameters"] == TOOL.parameters
    assert json.loads(body["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {"word": "a"}
    assert body["messages"][2]["tool_call_id"] == "call_1"


def test_a_schema_and_an_image_reach_the_provider(model, stand_in):
    stand_in.answers = [stand_in.Answer(completion('{"thought": "", "code": "1"}'))]
    schema = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}
    model.generate([ChatMessage(role="user", content="See", images=(PNG,))], response_schema=schema)
    body = stand_in.asked[0].body
    form = body["response_format"]
    # huggingface_hub turns the form into the one that its own servers take.
    assert schema in (form.get("json_schema", {}).get("schema"), form.get("value"))
    text, image = body["messages"][0]["content"]
    assert text["text"] == "See"
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")


def test_a_stream_brings_pieces_and_then_the_whole(model, stand_in):
    stand_in.answers = [stand_in.Answer(events=events({"content": "one "}, {"content": "two"}))]
    *deltas, done = model.stream(ASK)
    assert [d.text for d in deltas] == ["one ", "two"]
    assert done == Completion(text="one two", usage=TokenUsage(input_tokens=11, output_tokens=3))
    assert stand_in.asked[0].body["stream_options"] == {"include_usage": True}


def test_a_streamed_stop_split_over_pieces_is_not_shown(model, stand_in):
    stand_in.answers = [
        stand_in.Answer(events=events({"content": "a `"}, {"content": "``"}, {"content": "rest"}))
    ]
    *deltas, done = model.stream(ASK, stop=["```"])
    assert "".join(d.text for d in deltas) == "a " == done.text
    assert done.finish_reason == "stop"


def test_streamed_tool_calls_are_put_together(model, stand_in):
    first = {
        "index": 0,
        "id": "call_7",
        "type": "function",
        "function": {"name": "lookup", "arguments": '{"wo'},
    }
    second = {"index": 0, "function": {"arguments": 'rd": "x"}'}}
    stand_in.answers = [
        stand_in.Answer(events=events({"tool_calls": [first]}, {"tool_calls": [second]}, finish="tool_calls"))
    ]
    *_, done = model.stream(ASK, tools=[TOOL])
    assert done.tool_calls == (ToolCall(id="call_7", name="lookup", arguments={"word": "x"}),)
    assert done.finish_reason == "tool_calls"


def test_a_provider_that_recovers_is_asked_again(model, stand_in):
    down = stand_in.Answer({"error": {"message": "overloaded"}}, status=503)
    slow_down = stand_in.Answer({"error": {"message": "slow down"}}, status=429, headers={"retry-after": "0"})
    stand_in.answers = [down, slow_down, stand_in.Answer(completion())]
    assert model.generate(ASK).text == "Hi there"
    assert len(stand_in.asked) == 3


def test_a_stream_is_opened_again_when_the_provider_was_down(model, stand_in):
    stand_in.answers = [stand_in.Answer({"error": {"message": "down"}}, status=500)]
    stand_in.answers.append(stand_in.Answer(events=events({"content": "up"})))
    assert [type(item) for item in model.stream(ASK)] == [ModelDelta, Completion]


@pytest.mark.parametrize(
    ("status", "error", "times"),
    [
        (401, AuthenticationFailed, 1),
        (400, RequestRefused, 1),
        (429, RateLimited, 3),
        (500, ProviderFailed, 3),
    ],
)
def test_a_failure_says_whose_fault_it_is_and_no_secret(model, stand_in, status, error, times):
    echo = {"error": {"message": f"no good: {KEY} and Bearer abcdefgh12345678", "type": "x", "code": "y"}}
    stand_in.answers = [stand_in.Answer(echo, status=status)]
    with pytest.raises(error) as caught:
        model.generate(ASK)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert KEY not in shown
    assert "abcdefgh12345678" not in shown
    assert caught.value.__context__ is None
    assert len(stand_in.asked) == times


def test_secrets_among_the_options_are_kept_out_of_errors_too(stand_in):
    pytest.importorskip("openai")
    model = load_model(
        "openai:m",
        api_base=stand_in.url,
        api_key=KEY,
        extra_headers={"x-gateway": "walrus-555-lamp"},
        extra_body={"aws_secret_access_key": "marmot-777-desk"},
    )
    said = {"error": {"message": "no: walrus-555-lamp marmot-777-desk"}}
    stand_in.answers = [stand_in.Answer(said, status=400)]
    with pytest.raises(RequestRefused) as caught:
        model.generate(ASK)
    assert "no: [secret] [secret]" in str(caught.value)


def test_a_server_that_is_not_there_is_the_providers_fault(model, stand_in):
    stand_in.close()
    with pytest.raises(ProviderFailed):
        model.generate(ASK)


def test_tool_arguments_that_are_no_object_are_told(model, stand_in):
    bad = [{"id": "c", "type": "function", "function": {"name": "lookup", "arguments": '{"word": '}}]
    stand_in.answers = [stand_in.Answer(completion(None, "tool_calls", tool_calls=bad))]
    (call,) = model.generate(ASK, tools=[TOOL]).tool_calls
    assert call.problem.startswith("the arguments of 'lookup' are no JSON")
    assert (call.arguments, call.written) == ({}, '{"word": ')


def test_neither_repr_nor_saved_form_nor_a_copy_holds_the_key(model, stand_in):
    import copy

    model.options["extra_headers"] = {"x-key": KEY}
    form = model.to_dict()
    assert KEY not in repr(model) + json.dumps(form)
    assert copy.deepcopy(model) is model
    import pickle  # noqa: TID251 (of our own, to see what is in it)

    data = pickle.dumps(model)
    assert KEY.encode() not in data
    assert repr(pickle.loads(data)) == repr(model)
    again = from_dict(form, **{"token" if form["kind"] == "hf" else "api_key": KEY})
    assert again.to_dict() == form
    stand_in.answers = [stand_in.Answer(completion())]
    assert again.generate(ASK).text == "Hi there"


def test_an_image_of_an_unknown_format_is_refused_before_anything_is_sent(model, stand_in):
    with pytest.raises(RequestRefused, match="PNG, JPEG, GIF or WebP"):
        model.generate([ChatMessage(role="user", content="", images=(b"BM6",))])
    assert stand_in.asked == []


def test_a_missing_key_is_named_at_the_first_request(monkeypatch):
    pytest.importorskip("openai")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(AuthenticationFailed, match="set OPENAI_API_KEY or pass api_key="):
        load_model("openai:gpt-x").generate(ASK)
    with pytest.raises(AuthenticationFailed, match="set HF_TOKEN"):
        load_model("hf:").generate(ASK)


def test_reasoning_models_are_not_sent_a_stop_but_their_text_is_cut(stand_in):
    pytest.importorskip("openai")
    stand_in.answers = [stand_in.Answer(completion("a<end>b"))]
    done = load_model("openai:o4-mini", api_base=stand_in.url, api_key=KEY).generate(ASK, stop=["<end>"])
    assert done.text == "a"
    assert "stop" not in stand_in.asked[0].body


@pytest.mark.parametrize("name", ["nobody:x", "gpt-4", "openai:", "qwen9"])
def test_an_unknown_name_lists_the_choices(name):
    with pytest.raises(ConfigurationError, match=r"write one of hf:…, openai:…, .*qwen2\.5-coder-1\.5b"):
        load_model(name)


def test_addresses_are_saved_without_user_and_password():
    pytest.importorskip("openai")
    model = load_model("openai:m", api_base="http://me:secret@host:1/v1?key=secret", api_key=KEY)
    assert model.to_dict()["options"] == {"base_url": "http://host:1/v1"}
    assert "secret" not in repr(model)


UNREADABLE = {
    "a page of a proxy": b"<html>Sign in</html>",
    "half of one": b'{"choices": [{"mess',
    "no object": b"[]",
    "calls that are none": completion(tool_calls=5),
    "counts that are none": completion() | {"usage": {"prompt_tokens": "5", "completion_tokens": -1}},
}


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE)
def test_an_answer_that_cannot_be_read_is_the_providers_fault_and_asked_for_again(model, stand_in, answer):
    stand_in.answers = [stand_in.Answer(answer), stand_in.Answer(completion("fine"))]
    done = model.generate(ASK)
    assert done.text in ("fine", "Hi there")
    assert isinstance(done.usage.total_tokens, int)


def test_a_key_is_found_however_a_server_writes_it_back(stand_in):
    pytest.importorskip("openai")
    key = 'quo"te\\and/slash-77'
    model = load_model("openai:m", api_base=stand_in.url, api_key=key, attempts=1)
    stand_in.answers = [stand_in.Answer({"error": {"message": f"no: {key} {json.dumps(key)}"}}, status=401)]
    with pytest.raises(AuthenticationFailed) as caught:
        model.generate(ASK)
    assert "slash-77" not in str(caught.value)
