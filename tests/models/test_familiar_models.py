"""Models as users of other libraries write and configure them."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251 (of our own objects)
from types import SimpleNamespace
from typing import Any

import pytest

from pinjra import (
    REMOVE_PARAMETER,
    AmazonBedrockModel,
    ChatMessage,
    CodeAgent,
    InferenceClientModel,
    LiteLLMModel,
    MessageRole,
    MLXModel,
    Model,
    OpenAIModel,
    ScriptedModel,
    TokenUsage,
    ToolCallingAgent,
    VLLMModel,
    tool,
)
from pinjra.core.errors import ConfigurationError
from pinjra.models.adapted import adapted, message_of
from pinjra.models.stop_support import takes_stop

CODE = "Thought: easy.\n<code>\nfinal_answer(6 * 7)\n</code>"


def run(model: Any, **options: Any) -> object:
    with CodeAgent([], model, executor_type="local", verbosity_level=0, **options) as agent:
        return agent.run("What is it?")


class Plain(Model):
    """As the other library's guide has it."""

    def generate(self, messages, stop_sequences=None, **kwargs):
        self.seen, self.stop = messages, stop_sequences
        return ChatMessage(
            MessageRole.ASSISTANT, CODE, token_usage=TokenUsage(input_tokens=3, output_tokens=2)
        )


class Narrow(Model):
    def generate(self, messages, stop_sequences=None):
        assert "What is it?" in str(messages)
        return ChatMessage(role="assistant", content=[{"type": "text", "text": CODE}])


class Duck:
    model_id = "duck"

    def __call__(self, messages, stop_sequences=("x",)):
        return {"role": "assistant", "content": CODE}


def function(messages, stop_sequences=None):
    """A bare function."""
    return CODE


class ObjectAnswer(Model):
    def generate(self, messages, stop_sequences=None, **kwargs):
        return SimpleNamespace(content=CODE, tool_calls=None)


@pytest.mark.parametrize(
    "model",
    [Plain(), Narrow(), Duck(), function, ObjectAnswer()],
    ids=["plain", "narrow", "call", "function", "object"],
)
def test_a_model_of_any_familiar_shape_drives_an_agent(model: Any) -> None:
    assert run(model) == 42


def test_it_reads_messages_by_key_and_by_attribute_and_counts_tokens() -> None:
    model = Plain()
    with CodeAgent([], model, executor_type="local", verbosity_level=0) as agent:
        result: Any = agent.run("What is it?", return_full_result=True)
    last = model.seen[-1]
    assert last["role"] == last.role == "user"
    assert last.content[0] == {"type": "text", "text": last["content"][0]["text"]}
    assert result.token_usage == TokenUsage(input_tokens=3, output_tokens=2)


def test_flat_messages_are_texts() -> None:
    model = Plain(flatten_messages_as_text=True)
    run(model)
    assert model.seen[-1].content.startswith("New task:")


def test_a_model_of_the_familiar_shape_calls_tools() -> None:
    @tool
    def double(number: int) -> int:
        """Doubles.

        Args:
            number: Which.
        """
        return 2 * number

    class Calls(Model):
        turn = 0

        def generate(self, messages, tools_to_call_from=None, stop_sequences=None):
            self.turn += 1
            name, arguments = (
                ("double", {"number": 4}) if self.turn == 1 else ("final_answer", '{"answer": "eight"}')
            )
            function = SimpleNamespace(name=name, arguments=arguments)
            assert "double" in [each.name for each in tools_to_call_from]
            return ChatMessage(
                "assistant", None, tool_calls=[SimpleNamespace(id="1", type="function", function=function)]
            )

    assert ToolCallingAgent([double], Calls(), verbosity_level=0).run("x") == "eight"


@pytest.mark.parametrize("given", [None, 5, object()])
def test_an_answer_that_is_none_is_an_observation(given: object) -> None:
    answers = iter([given, CODE])
    assert run(lambda messages, stop_sequences=None: next(answers)) == 42


def test_our_models_take_familiar_arguments() -> None:
    model = ScriptedModel(["one <end> two"])
    done = model(
        [{"role": MessageRole.USER, "content": [{"type": "text", "text": "Hello"}]}], stop_sequences=["<end>"]
    )
    assert (done.content, done.role, done.token_usage.output_tokens) == ("one ", "assistant", 1)
    (request,) = model.requests
    assert request.messages == (ChatMessage("user", "Hello"),)


def test_chat_messages_come_from_and_go_to_dicts() -> None:
    data = {
        "role": "assistant",
        "content": "x",
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
    }
    message = ChatMessage.from_dict(
        data, raw={"id": 7}, token_usage=TokenUsage(input_tokens=1, output_tokens=2)
    )
    assert message.raw == {"id": 7}
    assert message.tool_calls[0].arguments == {"a": 1}
    form = message.dict()
    assert form["tool_calls"] == [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    ]
    assert form["token_usage"] == {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    assert message_of(form).content == "x"


@pytest.mark.parametrize(
    "model",
    [
        "o1",
        "o3-mini",
        "openai/o4-mini-2025-04-16",
        "gpt-5",
        "gpt-5.1-mini",
        "xai/grok-4",
        "grok-4-fast",
        "grok-3-mini-beta",
    ],
)
def test_models_that_refuse_stop_are_known(model: str) -> None:
    assert not takes_stop(model)


@pytest.mark.parametrize(
    "model",
    ["gpt-4o", "gpt-4.1", "openai/gpt-oss-120b", "grok-3", "Qwen/Qwen3-32B", "olmo-2", "claude-sonnet-4-5"],
)
def test_other_models_get_stop(model: str) -> None:
    assert takes_stop(model)


def completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }


def test_a_model_that_refuses_stop_is_asked_again_without_and_cut_here(stand_in: Any) -> None:
    said = {
        "error": {
            "message": "Unsupported parameter: 'stop' is not supported with this model.",
            "type": "invalid_request_error",
        }
    }
    stand_in.answers = [stand_in.Answer(said, status=400), stand_in.Answer(completion("one<end>two"))]
    model = OpenAIModel("new-model", stand_in.url, "k", retry_wait_seconds=0)
    assert model.generate([ChatMessage("user", "x")], stop=["<end>"]).text == "one"
    assert model.generate([ChatMessage("user", "x")], stop=["<end>"]).text == "one"
    assert ["stop" in asked.body for asked in stand_in.asked] == [True, False, False]


def test_roles_are_converted_and_parameters_removed(stand_in: Any) -> None:
    stand_in.answers = [stand_in.Answer(completion("x"))]
    model = OpenAIModel(
        "m",
        stand_in.url,
        "k",
        custom_role_conversions={"system": "developer"},
        stop=REMOVE_PARAMETER,
        temperature=0.5,
    )
    model.generate([ChatMessage("system", "s"), ChatMessage("user", "u")], stop=["a"])
    (asked,) = stand_in.asked
    assert [m["role"] for m in asked.body["messages"]] == ["developer", "user"]
    assert "stop" not in asked.body
    assert asked.body["temperature"] == 0.5


def test_a_parameter_that_is_never_sent_is_kept_from_amazon_too() -> None:
    asked: list[dict[str, Any]] = []
    client = SimpleNamespace(converse=lambda **body: asked.append(body) or {})
    model = AmazonBedrockModel("m", client=client, temperature=REMOVE_PARAMETER, max_tokens=5)
    model.generate([ChatMessage("user", "u")], temperature=0.5)
    assert asked[0]["inferenceConfig"] == {"maxTokens": 5}


def test_without_retry_a_request_is_made_once(stand_in: Any) -> None:
    stand_in.answers = [stand_in.Answer({"error": "busy"}, status=500)]
    with pytest.raises(Exception, match="500"):
        OpenAIModel("m", stand_in.url, "k", retry=False, retry_wait_seconds=0).generate(
            [ChatMessage("user", "u")]
        )
    assert len(stand_in.asked) == 1


def test_a_client_of_ones_own_is_used() -> None:
    answer = SimpleNamespace(
        choices=[
            SimpleNamespace(message=SimpleNamespace(content="hi", tool_calls=None), finish_reason="stop")
        ],
        usage=None,
    )
    client = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=lambda **body: answer)))
    assert OpenAIModel("m", client=client)([ChatMessage("user", "u")]).content == "hi"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: OpenAIModel("m", api_key="k", temprature=1), "no parameter 'temprature': perhaps you mean 'temperature'"),
        (lambda: InferenceClientModel("m", token="k", max_token=1), "no parameter 'max_token': perhaps you mean 'max_tokens'"),
        (lambda: OpenAIModel("m", api_key="k", client_kwargs={"tmeout": 1}), "client_kwargs of OpenAIModel: .*tmeout"),
        (lambda: OpenAIModel("m", api_key="k", requests_per_minute=0), "requests_per_minute must be above 0"),
        (lambda: AmazonBedrockModel("m", client=object(), maxtokens=1), "no parameter 'maxtokens'"),
        (lambda: VLLMModel("org/m"), "vllm serve org/m"),
        (lambda: MLXModel("org/m"), "mlx_lm.server --model org/m"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_when_the_model_is_made(make: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        make()


def test_bedrock_speaks_converse() -> None:
    asked: list[dict[str, Any]] = []

    def converse(**body: Any) -> dict[str, Any]:
        asked.append(body)
        use = {"toolUse": {"toolUseId": "t1", "name": "final_answer", "input": {"answer": 5}}}
        content = [{"text": "I call."}, use]
        return {
            "output": {"message": {"content": content}},
            "stopReason": "tool_use",
            "usage": {"inputTokens": 9, "outputTokens": 4},
        }

    model = AmazonBedrockModel(
        "us.amazon.nova-lite-v1:0", client=SimpleNamespace(converse=converse), max_tokens=100
    )
    assert ToolCallingAgent([], model, verbosity_level=0).run("x") == 5
    (body,) = asked
    assert body["modelId"] == "us.amazon.nova-lite-v1:0"
    assert body["inferenceConfig"]["maxTokens"] == 100
    assert body["system"][0]["text"]
    assert [turn["role"] for turn in body["messages"]] == ["user"]
    assert body["toolConfig"]["tools"][0]["toolSpec"]["name"] == "final_answer"


def test_models_are_copied_without_their_keys() -> None:
    model = OpenAIModel("m", "http://127.0.0.1:1/v1", "very-secret-key", temperature=0.5)
    assert copy.deepcopy(model) is model
    data = pickle.dumps(model)
    assert b"very-secret-key" not in data
    assert pickle.loads(data).options == {"temperature": 0.5}


def test_our_own_models_are_left_as_they_are() -> None:
    model = ScriptedModel([])
    assert adapted(model) is model


def test_a_litellm_model_without_its_id_is_refused_instead_of_another_being_asked() -> None:
    with pytest.raises(TypeError, match="'model_id'"):
        LiteLLMModel(model_name="bedrock/anthropic.claude-3-sonnet-20240229-v1:0")  # type: ignore[call-arg]
