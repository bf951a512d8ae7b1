"""The embedded model for real: the 0.5B weights in this process, and behind llama.cpp's own HTTP server."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import pytest

from pinjra.core.errors import ConfigurationError
from pinjra.models.base import ChatMessage, Completion, ModelDelta
from pinjra.models.catalog import SMALL_NAME, find
from pinjra.models.errors import RequestRefused, WeightsUnavailable
from pinjra.models.registry import from_dict, load_model
from pinjra.models.weights import located

xllamacpp = pytest.importorskip("xllamacpp")
HERE = located(find(SMALL_NAME))
needs_weights = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.skipif(HERE is None, reason=f"the weights are not here: pinjra models pull {SMALL_NAME}"),
]
SUM = [
    ChatMessage(role="system", content="You write Python."),
    ChatMessage(role="user", content="Print the sum of the numbers from 1 to 10."),
]
BEGUN = ChatMessage(role="assistant", content="```python\n")
SCHEMA = {
    "type": "object",
    "properties": {"thought": {"type": "string"}, "code": {"type": "string"}},
    "required": ["thought", "code"],
}


@dataclass(frozen=True)
class Tool:
    name: str = "get_weather"
    description: str = "Tells the weather of a city."
    parameters: dict = field(
        default_factory=lambda: {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        }
    )


@pytest.fixture(scope="module")
def model():
    model = load_model(SMALL_NAME, max_tokens=120, context_tokens=2048)
    yield model
    model.close()


@pytest.fixture(scope="module")
def served(model):
    """Give the address and key of llama.cpp's OpenAI-compatible server with the same weights."""
    parameters = model._parameters()
    parameters.api_keys = ["test-key-of-the-server"]
    server = xllamacpp.Server(parameters)
    yield server.listening_address + "/v1"
    del server


class TestEmbedded:
    pytestmark = needs_weights

    def test_a_begun_reply_is_continued_and_ends_at_the_stop(self, model):
        done = model.generate([*SUM, BEGUN], stop=["```"])
        assert "```" not in done.text
        compile(done.text, "reply", "exec")
        assert "print" in done.text
        assert done.finish_reason == "stop"
        assert done.usage.input_tokens > 20
        assert 0 < done.usage.output_tokens < 120

    def test_the_same_question_has_the_same_answer_streamed_or_not(self, model):
        *deltas, done = model.stream([*SUM, BEGUN], stop=["```"])
        assert len(deltas) > 3
        assert all(isinstance(d, ModelDelta) for d in deltas)
        assert (
            "".join(d.text for d in deltas) == done.text == model.generate([*SUM, BEGUN], stop=["```"]).text
        )

    def test_a_schema_is_enforced(self, model):
        answer = json.loads(model.generate(SUM, response_schema=SCHEMA).text)
        assert set(answer) == {"thought", "code"}

    def test_a_tool_call_in_the_text_becomes_a_call(self, model):
        done = model.generate(
            [ChatMessage(role="user", content="What is the weather in Paris?")], tools=[Tool()]
        )
        assert [(c.name, c.arguments) for c in done.tool_calls] == [("get_weather", {"city": "Paris"})]

    def test_an_abandoned_stream_stops_and_the_next_request_works(self, model):
        items = model.stream([ChatMessage(role="user", content="Count to one thousand.")])
        assert isinstance(next(items), ModelDelta)
        items.close()
        assert model.generate([*SUM, BEGUN], stop=["```"]).text

    def test_threads_share_the_model(self, model):
        answers: list[Completion] = []
        threads = [
            threading.Thread(target=lambda: answers.append(model.generate([*SUM, BEGUN], stop=["```"])))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({a.text for a in answers}) == 1
        assert len(answers) == 3

    def test_a_prompt_longer_than_the_context_is_the_callers_fault(self, model):
        with pytest.raises(RequestRefused, match="exceeds the available context size"):
            model.generate([ChatMessage(role="user", content="word " * 5000)])

    def test_nobody_is_answered_at_the_hidden_port(self, model):
        model.load()
        address = model._server.listening_address
        for path in ("/v1/chat/completions", "/v1/models", "/props", "/slots"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(urllib.request.Request(address + path, data=b"{}"), timeout=5)
            assert caught.value.code in (401, 404)
            caught.value.close()

    def test_a_closed_model_loads_again(self, model):
        model.close()
        assert model.generate([*SUM, BEGUN], stop=["```"]).text


class TestServed:
    pytestmark = needs_weights

    def test_the_openai_model_speaks_to_llama_cpps_server(self, served):
        pytest.importorskip("openai")
        remote = load_model("openai:qwen", api_base=served, api_key="test-key-of-the-server", max_tokens=80)
        *deltas, done = remote.stream([*SUM], stop=["<end>"], temperature=0)
        assert "".join(d.text for d in deltas) == done.text
        assert "sum" in done.text
        assert done.usage.output_tokens > 5
        structured = remote.generate(SUM, response_schema=SCHEMA, temperature=0)
        assert structured.finish_reason == "length" or set(json.loads(structured.text)) == {"thought", "code"}

    def test_the_inference_client_speaks_to_llama_cpps_server(self, served):
        remote = load_model("hf:qwen", base_url=served, token="test-key-of-the-server", max_tokens=60)
        done = remote.generate(SUM, temperature=0)
        assert "sum" in done.text
        assert done.usage.input_tokens > 20


def test_images_are_refused_by_a_text_only_model(tmp_path):
    weights = tmp_path / "any.gguf"
    weights.write_bytes(b"GGUF")
    with pytest.raises(RequestRefused, match="reads text only"):
        load_model(str(weights)).generate([ChatMessage(role="user", content="?", images=(b"\x89PNG",))])


def test_missing_weights_say_how_to_fetch_them(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(WeightsUnavailable, match=f"pinjra models pull {SMALL_NAME}"):
        load_model(SMALL_NAME)
    with pytest.raises(ConfigurationError, match=r"there is no file '.*none.gguf'"):
        load_model(str(tmp_path / "none.gguf"))


def test_the_saved_form_makes_the_same_model(tmp_path):
    weights = tmp_path / "any.gguf"
    weights.write_bytes(b"GGUF")
    form = load_model(str(weights), temperature=0.5, seed=7).to_dict()
    assert from_dict(form).to_dict() == form
