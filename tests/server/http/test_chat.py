"""OpenAI's chat completions, by the `openai` client and by our own model that speaks it."""

from __future__ import annotations

import importlib
import json

import pytest
from remote_standins import calls

from pinjra import CodeAgent
from pinjra.models import LlamaCppModel, OpenAIModel
from pinjra.models.errors import RequestRefused, WeightsUnavailable
from pinjra.server.http.settings import TenantSettings, load_settings
from pinjra.server.models import LoadedModels
from pinjra.server.runs.making import AgentMaker

from .conftest import ALICE, start, stop

openai = pytest.importorskip("openai")

# Models of the service: one says what it was asked, one calls a tool, one writes an agent's code, one fails.
MODELS = """
import json
from pinjra.core.errors import ConfigurationError
from pinjra.models import Completion, ScriptedModel, ToolCall
from pinjra.models.errors import ProviderFailed, RequestRefused

def said(messages):
    return json.dumps([[m.role, m.content, len(m.images)] for m in messages])

echo = ScriptedModel(said, model_id="echo")
calls = ScriptedModel(lambda _: Completion(text="", tool_calls=(ToolCall(id="c1", name="add", arguments={"a": 1}),),
                      finish_reason="tool_calls"))
coder = ScriptedModel(lambda _: "Thought: easy.\\n<code>\\nfinal_answer(6 * 7)\\n</code>")

def fail(messages):
    raise RequestRefused("it is too long") if messages[-1].content == "long" else ProviderFailed("it is down")

failing = ScriptedModel(fail)

def nothing():
    raise ConfigurationError("it is not here")
"""

SETTINGS = f"""
[tenants.alice]
token = "{ALICE}"

[models]
echo = "python:models_of_the_test:echo"
calls = "python:models_of_the_test:calls"
coder = "python:models_of_the_test:coder"
failing = "python:models_of_the_test:failing"
nowhere = "python:models_of_the_test:nothing"
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "models_of_the_test.py").write_text(MODELS)
    (folder / "settings.toml").write_text(SETTINGS)
    process, url = start(folder / "settings.toml", python_path=folder)
    yield f"{url}/openai/v1"
    assert stop(process) == 0


@pytest.fixture
def client(address):
    with openai.OpenAI(base_url=address, api_key=ALICE, max_retries=0) as made:
        yield made


def test_the_openai_client_lists_models_and_asks_one(client):
    assert [model.id for model in client.models.list()] == ["echo", "calls", "coder", "failing", "nowhere"]
    assert client.models.retrieve("echo").owned_by == "pinjra"
    done = client.chat.completions.create(
        model="echo",
        messages=[{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hello"}],
    )
    assert json.loads(done.choices[0].message.content) == [["system", "be brief", 0], ["user", "hello", 0]]
    assert (done.choices[0].finish_reason, done.usage.total_tokens > 0) == ("stop", True)


def test_a_stream_has_the_same_text_in_pieces_and_the_tokens_last(client):
    asked = {"model": "echo", "messages": [{"role": "user", "content": "a b c"}]}
    whole = client.chat.completions.create(**asked)
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    texts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(texts) == whole.choices[0].message.content
    assert len([text for text in texts if text]) > 1
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage == whole.usage


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_tool_call_arrives(client, is_stream):
    tool = {
        "type": "function",
        "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
    }
    asked = {"model": "calls", "messages": [{"role": "user", "content": "1"}], "tools": [tool]}
    if is_stream:
        chunks = list(client.chat.completions.create(**asked, stream=True))
        calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
        reason = chunks[-1].choices[0].finish_reason
    else:
        choice = client.chat.completions.create(**asked).choices[0]
        calls, reason = choice.message.tool_calls, choice.finish_reason
    assert [(c.id, c.function.name, json.loads(c.function.arguments)) for c in calls] == [
        ("c1", "add", {"a": 1})
    ]
    assert reason == "tool_calls"


def test_a_conversation_with_tools_and_a_picture_goes_to_the_model(client):
    picture = "data:image/png;base64,iVBORw0KGgo="
    done = client.chat.completions.create(
        model="echo",
        stop=["never"],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": picture}}]},
            {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "done"},
        ],
    )  # fmt: skip
    assert json.loads(done.choices[0].message.content) == [
        ["user", "see", 1],
        ["assistant", "", 0],
        ["tool", "done", 0],
    ]


def test_our_own_model_and_an_agent_speak_it(address):
    model = OpenAIModel("coder", base_url=address, api_key=ALICE)
    assert CodeAgent(tools=[], model=model, verbosity_level=0).run("six times seven") == 42
    assert "".join(
        getattr(p, "text", "") for p in list(model.stream([{"role": "user", "content": "x"}]))[:-1]
    ).startswith("Thought")


def test_each_failure_has_its_class(client, address):
    ask = client.chat.completions.create
    with pytest.raises(openai.NotFoundError, match="there are: echo"):
        ask(model="gpt", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.BadRequestError, match="too long"):
        ask(model="failing", messages=[{"role": "user", "content": "long"}])
    with pytest.raises(openai.InternalServerError, match="down"):
        ask(model="failing", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.BadRequestError, match="messages"):
        ask(model="echo", messages=[])
    with pytest.raises(RequestRefused):
        OpenAIModel("failing", base_url=address, api_key=ALICE).generate(
            [{"role": "user", "content": "long"}]
        )
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=address, api_key="wrong").models.list()


def test_an_address_of_a_picture_is_not_fetched(client):
    parts = [{"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}}]
    with pytest.raises(openai.BadRequestError, match="not fetched"):
        client.chat.completions.create(model="echo", messages=[{"role": "user", "content": parts}])


def test_tokens_are_counted(client, address):
    client.chat.completions.create(model="calls", messages=[{"role": "user", "content": "one two three"}])
    own = {"Authorization": f"Bearer {ALICE}"}
    text = calls.get(address.removesuffix("/openai/v1") + "/metrics", headers=own).text
    assert 'pinjra_model_tokens_total{kind="read",model="calls",tenant="alice"}' in text


@pytest.mark.model
def test_the_embedded_model_answers(tmp_path):
    name = "qwen2.5-coder-0.5b"
    try:
        LlamaCppModel(name)
    except WeightsUnavailable as error:
        pytest.skip(str(error))
    (tmp_path / "settings.toml").write_text("")
    process, url = start(tmp_path / "settings.toml", "--model", name)
    try:
        with openai.OpenAI(base_url=f"{url}/openai/v1", api_key="none", timeout=300) as client:
            asked = {
                "model": name,
                "messages": [{"role": "user", "content": "Write only the digit 7."}],
                "max_tokens": 8,
            }
            whole = client.chat.completions.create(**asked)
            pieces = list(client.chat.completions.create(**asked, stream=True))
        assert "7" in whole.choices[0].message.content
        assert "".join(p.choices[0].delta.content or "" for p in pieces) == whole.choices[0].message.content
        assert 0 < whole.usage.completion_tokens <= 8
    finally:
        assert stop(process) == 0


def test_agents_and_clients_share_one_model(monkeypatch, tmp_path):
    (tmp_path / "counted_models.py").write_text(
        "from pinjra.models.scripted import ScriptedModel\nmade = []\n"
        "def make():\n    made.append(ScriptedModel([]))\n    return made[-1]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    place = "python:counted_models:make"
    settings = load_settings([], {"agents": {"one": {"model": place}, "two": {"model": place}}})
    models, quota = LoadedModels(), TenantSettings(token="-" * 16)
    agents = [AgentMaker(settings, models).make(name, quota) for name in ("one", "two")]
    assert agents[0].model is agents[1].model is models.get(place)
    assert len(importlib.import_module("counted_models").made) == 1
