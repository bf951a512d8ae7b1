"""AmazonBedrockModel: models behind Amazon Bedrock's Converse API, through boto3."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Mapping
from typing import Any, ClassVar

from pinjra.core.errors import ConfigurationError
from pinjra.core.optional import optional
from pinjra.models.api import ApiModel
from pinjra.models.base import ChatMessage, Completion, Question, TokenUsage, tool_call
from pinjra.models.chat_form import FINISH, media_type, turns

# Sampling options in our spelling -> in Bedrock's; they go into `inferenceConfig`.
_INFERENCE = {"max_tokens": "maxTokens", "temperature": "temperature", "top_p": "topP"}
_REQUEST = (
    "additionalModelRequestFields",
    "guardrailConfig",
    "inferenceConfig",
    "performanceConfig",
    "requestMetadata",
)


class AmazonBedrockModel(ApiModel):
    """A chat model of Amazon Bedrock. Credentials are boto3's own (environment, profile, role).

    Args:
        model_id: As Bedrock spells it ("us.amazon.nova-pro-v1:0").
        client: A `bedrock-runtime` client of boto3, already made.
        client_kwargs: Arguments of `boto3.client("bedrock-runtime", …)` (`region_name`, …).
        options: `max_tokens`, `temperature`, `top_p`, and what Converse takes besides (`guardrailConfig`, …).

    Raises:
        MissingDependency: boto3 is not installed and no client was given (the operator's fault).
    """

    kind: ClassVar[str] = "bedrock"

    def __init__(
        self,
        model_id: str = "us.amazon.nova-pro-v1:0",
        client: Any = None,
        client_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model_id, options={"client": client, **options})
        unknown = [name for name in self.options if name not in (*_INFERENCE, *_REQUEST)]
        if unknown:
            known = ", ".join((*_INFERENCE, *_REQUEST))
            raise ConfigurationError(
                f"AmazonBedrockModel has no parameter {unknown[0]!r}; there are: {known}"
            )
        if self._client is None:
            sdk: Any = optional("boto3", "boto3")
            self._client = sdk.client("bedrock-runtime", **(client_kwargs or {}))

    async def _ask(self, client: Any, question: Question) -> Completion:
        return _completion_of(client.converse(**self._body(question)))

    async def _stream(self, client: Any, question: Question) -> AsyncGenerator[str | Completion]:
        done = await self._ask(client, question)  # one piece: Converse's stream needs a permission of its own
        yield done.text
        yield done

    def _body(self, question: Question) -> dict[str, Any]:
        system, messages = turns(question.messages, _blocks)
        body = self._request(question, {"modelId": self.model_id, "messages": messages})
        inference = {_INFERENCE[name]: body.pop(name) for name in list(body) if name in _INFERENCE}
        if question.stop:
            inference["stopSequences"] = [stop for stop in question.stop if stop.strip()][:4]
        if system:
            body["system"] = [{"text": text} for text in system]
        if inference := {**inference, **body.get("inferenceConfig", {})}:
            body["inferenceConfig"] = inference
        if question.tools:
            specs = [
                {"name": t.name, "description": t.description, "inputSchema": {"json": dict(t.parameters)}}
                for t in question.tools
            ]
            body["toolConfig"] = {"tools": [{"toolSpec": spec} for spec in specs]}
        return body

    def _sdk_errors(self) -> tuple[type[Exception], ...]:
        # not there: a client of the user's own, without boto3
        loaded = sys.modules.get("botocore.exceptions")
        return (loaded.BotoCoreError, loaded.ClientError) if loaded else ()


def _blocks(message: ChatMessage) -> list[dict[str, Any]]:
    text = [{"text": message.content}] if message.content else []
    if message.role == "tool" and message.tool_call_id is not None:
        return [{"toolResult": {"toolUseId": message.tool_call_id, "content": text}}]
    images = [
        {"image": {"format": media_type(image).partition("/")[2], "source": {"bytes": image}}}
        for image in message.images
    ]
    calls = [
        {"toolUse": {"toolUseId": c.id, "name": c.name, "input": c.arguments}} for c in message.tool_calls
    ]
    return [*text, *images, *calls]


def _completion_of(answer: Mapping[str, Any]) -> Completion:
    """Return Converse's answer as ours."""
    blocks = answer.get("output", {}).get("message", {}).get("content") or []
    uses = [block["toolUse"] for block in blocks if "toolUse" in block]
    usage = answer.get("usage", {})
    return Completion(
        text="".join(block.get("text", "") for block in blocks),
        tool_calls=tuple(tool_call(use.get("toolUseId"), use.get("name"), use.get("input")) for use in uses),
        usage=TokenUsage(
            input_tokens=usage.get("inputTokens", 0), output_tokens=usage.get("outputTokens", 0)
        ),
        finish_reason=FINISH.get(answer.get("stopReason", ""), "unknown"),
    )
