"""AnthropicModel: Claude models through Anthropic's own SDK and message form."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from pinjra.core.errors import MissingDependency
from pinjra.models.api import ApiModel
from pinjra.models.base import ChatMessage, Completion, FinishReason, Question, TokenUsage, tool_call
from pinjra.models.chat_form import media_type, turns
from pinjra.models.errors import AuthenticationFailed

__all__ = ["AnthropicModel"]

_ANSWER_TOOL = "answer"  # structured output is asked for as the input of this tool
_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "refused",
}


class AnthropicModel(ApiModel):
    """A chat model of Anthropic.

    Args:
        api_key: ANTHROPIC_API_KEY unless given.
        base_url: Of a gateway, where it is not Anthropic's own.
        max_tokens: Of one answer; the API demands a number.
        options: Sent with each request: `temperature`, `thinking`, …

    Raises:
        MissingDependency: The `anthropic` package is not installed (the operator's fault).
    """

    kind: ClassVar[str] = "anthropic"

    def __init__(
        self,
        model_id: str,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        max_tokens: int = 8192,
        client_kwargs: Mapping[str, Any] | None = None,
        attempts: int = 4,
        retry_wait_seconds: float = 1.0,
        **options: Any,
    ) -> None:
        key = api_key or os.environ.get("ANTHROPIC_API_KEY")
        super().__init__(
            model_id,
            secrets=(key,),
            base_url=base_url,
            attempts=attempts,
            retry_wait_seconds=retry_wait_seconds,
            options={"max_tokens": max_tokens, **options},
        )
        self._sdk = _import_anthropic()
        self._check_options(self._sdk.resources.Messages.create)
        if key is not None and self._client is None:
            where = {"api_key": key, "base_url": base_url, "max_retries": 0, **(client_kwargs or {})}
            self._client = self._sdk.Anthropic(**where)
            if "http_client" not in where:  # a client for threads
                self._connect_awaited = partial(self._sdk.AsyncAnthropic, **where)

    def _ask(self, question: Question) -> Completion:
        return _completion_of(self._connected().messages.create(**self._body(question)))

    def _stream(self, question: Question) -> Iterator[str | Completion]:
        structured = question.response_schema is not None
        with self._connected().messages.stream(**self._body(question)) as stream:
            for event in stream:
                if text := _text_of(event, structured):
                    yield text
            yield _completion_of(stream.get_final_message())

    async def _aask(self, client: Any, question: Question) -> Completion:
        return _completion_of(await client.messages.create(**self._body(question)))

    async def _astream(self, client: Any, question: Question) -> AsyncIterator[str | Completion]:
        structured = question.response_schema is not None
        async with client.messages.stream(**self._body(question)) as stream:
            async for event in stream:
                if text := _text_of(event, structured):
                    yield text
            yield _completion_of(await stream.get_final_message())

    def _connected(self) -> Any:
        if self._client is None:
            raise AuthenticationFailed(f"{self!r} needs a key: set ANTHROPIC_API_KEY or pass api_key=")
        return self._client

    def _body(self, question: Question) -> dict[str, Any]:
        system = "\n\n".join(m.content for m in question.messages if m.role == "system")
        others = [m for m in question.messages if m.role != "system"]
        body: dict[str, Any] = {
            **self.options,
            **question.options,
            "model": self.model_id,
            "messages": turns(others, _blocks),
        }
        if system:
            body["system"] = system
        if stops := [s for s in question.stop if s.strip()]:  # the API refuses blank ones; they are cut here
            body["stop_sequences"] = stops
        if question.temperature is not None:
            body["temperature"] = question.temperature
        tools = [(t.name, t.description, t.parameters) for t in question.tools]
        if question.response_schema is not None:
            tools.append((_ANSWER_TOOL, "Give the answer.", question.response_schema))
            body["tool_choice"] = {"type": "tool", "name": _ANSWER_TOOL}
        if tools:
            body["tools"] = [{"name": n, "description": d, "input_schema": dict(s)} for n, d, s in tools]
        return body

    def _sdk_errors(self) -> tuple[type[Exception], ...]:
        return (self._sdk.AnthropicError,)


def _text_of(event: Any, structured: bool) -> str:
    if event.type == "text":
        return str(event.text)
    return str(event.partial_json) if structured and event.type == "input_json" else ""


def _blocks(message: ChatMessage) -> list[dict[str, Any]]:
    """Return one message as content blocks."""
    blocks: list[dict[str, Any]] = []
    if message.content:
        blocks.append({"type": "text", "text": message.content})
    for image in message.images:
        data = base64.b64encode(image).decode("ascii")
        source = {"type": "base64", "media_type": media_type(image), "data": data}
        blocks.append({"type": "image", "source": source})
    for call in message.tool_calls:
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
    if message.role == "tool" and message.tool_call_id is not None:
        return [{"type": "tool_result", "tool_use_id": message.tool_call_id, "content": blocks}]
    return blocks


def _completion_of(answer: Any) -> Completion:
    """Return Anthropic's message as ours; the structured answer's input becomes the text."""
    text, calls = "", []
    for block in answer.content:
        if block.type == "text":
            text += block.text
        elif block.type == "tool_use" and block.name == _ANSWER_TOOL:
            text += json.dumps(block.input)
        elif block.type == "tool_use":
            calls.append(tool_call(block.id, block.name, block.input))
    finish = _FINISH.get(answer.stop_reason or "", "unknown")
    return Completion(
        text=text,
        tool_calls=tuple(calls),
        usage=_usage_of(answer.usage),
        finish_reason="stop" if finish == "tool_calls" and not calls else finish,
    )


def _usage_of(usage: Any) -> TokenUsage:
    # input_tokens leaves out what was read from or written to the prompt cache.
    cached = (getattr(usage, "cache_read_input_tokens", 0) or 0) + (
        getattr(usage, "cache_creation_input_tokens", 0) or 0
    )
    return TokenUsage(input_tokens=usage.input_tokens + cached, output_tokens=usage.output_tokens)


def _import_anthropic() -> Any:
    try:
        import anthropic
    except ImportError:
        raise MissingDependency("the anthropic package", "pip install 'pinjra[anthropic]'") from None
    return anthropic
