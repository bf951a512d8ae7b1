"""AnthropicModel: Claude models through Anthropic's own SDK and message form."""

from __future__ import annotations

import base64
import inspect
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, ClassVar

from pinjra.core.optional import optional
from pinjra.models.api import ApiModel, awaited
from pinjra.models.base import ChatMessage, Completion, Question, TokenUsage, tool_call
from pinjra.models.chat_form import FINISH, media_type, turns
from pinjra.models.errors import AuthenticationFailed

_ANSWER_TOOL = "answer"  # structured output is asked for as the input of this tool


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
        **options: Any,
    ) -> None:
        key = api_key or os.environ.get("ANTHROPIC_API_KEY")
        options = {"max_tokens": max_tokens, **options}
        super().__init__(model_id, secrets=(key,), base_url=base_url, options=options)
        self._sdk: Any = optional("anthropic", "pinjra[anthropic]")
        self._check_options(self._sdk.resources.Messages.create)
        if key is not None:
            where = {"api_key": key, "base_url": base_url, "max_retries": 0, **(client_kwargs or {})}
            self._connect(self._sdk.Anthropic, self._sdk.AsyncAnthropic, where)

    async def _ask(self, client: Any, question: Question) -> Completion:
        answer = self._messages(client).create(**self._body(question))
        return _completion_of(await answer if inspect.isawaitable(answer) else answer)

    async def _stream(self, client: Any, question: Question) -> AsyncGenerator[str | Completion]:
        structured = question.response_schema is not None
        given = self._messages(client).stream(**self._body(question))
        async with given if hasattr(given, "__aenter__") else _entered(given) as stream:
            async for event in stream if hasattr(stream, "__aiter__") else awaited(stream):
                if text := _text_of(event, structured):
                    yield text
            done = stream.get_final_message()
            yield _completion_of(await done if inspect.isawaitable(done) else done)

    def _messages(self, client: Any) -> Any:
        if client is None:
            raise AuthenticationFailed(f"{self!r} needs a key: set ANTHROPIC_API_KEY or pass api_key=")
        return client.messages

    def _body(self, question: Question) -> dict[str, Any]:
        system, messages = turns(question.messages, _blocks)
        body: dict[str, Any] = {"model": self.model_id, "messages": messages}
        if system:
            body["system"] = "\n\n".join(system)
        if stops := [s for s in question.stop if s.strip()]:  # the API refuses blank ones; they are cut here
            body["stop_sequences"] = stops
        tools = [(t.name, t.description, t.parameters) for t in question.tools]
        if question.response_schema is not None:
            tools.append((_ANSWER_TOOL, "Give the answer.", question.response_schema))
            body["tool_choice"] = {"type": "tool", "name": _ANSWER_TOOL}
        if tools:
            body["tools"] = [{"name": n, "description": d, "input_schema": dict(s)} for n, d, s in tools]
        return self._request(question, body)

    def _sdk_errors(self) -> tuple[type[Exception], ...]:
        return (self._sdk.AnthropicError,)


@asynccontextmanager
async def _entered(given: AbstractContextManager[Any]) -> AsyncIterator[Any]:
    with given as stream:
        yield stream


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
    finish = FINISH.get(answer.stop_reason or "", "unknown")
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
