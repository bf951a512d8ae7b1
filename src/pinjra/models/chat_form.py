"""Our chat messages <-> the OpenAI form of chat completions, which most providers and local servers speak."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from pinjra.core.images import image_type
from pinjra.models.base import (
    ChatMessage,
    Completion,
    FinishReason,
    JsonSchema,
    ToolCall,
    ToolOffer,
    tool_call,
    tool_call_of,
    usage_of,
)
from pinjra.models.errors import CompletionInvalid, ProviderFailed, RequestRefused

_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")  # providers refuse a conversation with a name that no tool may have
# why an answer has ended, in the words of all providers
FINISH: dict[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos_token", "stop_sequence", "end_turn"), "stop"),
    **dict.fromkeys(("length", "max_tokens"), "length"),
    **dict.fromkeys(("tool_calls", "function_call", "tool_use"), "tool_calls"),
    **dict.fromkeys(("content_filter", "refusal", "content_filtered", "guardrail_intervened"), "refused"),
}


def media_type(image: bytes) -> str:
    """Return an encoded image's media type by its first bytes.

    Raises:
        RequestRefused: It is none of PNG, JPEG, GIF, WebP (the caller's fault).
    """
    if found := image_type(image):
        return found
    raise RequestRefused(f"an image must be PNG, JPEG, GIF or WebP; this one begins with {image[:8]!r}")


def message_form(message: ChatMessage) -> dict[str, Any]:
    """Return one message in the OpenAI form."""
    form: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.images:
        form["content"] = [{"type": "text", "text": message.content}] if message.content else []
        for image in message.images:
            url = f"data:{media_type(image)};base64,{base64.b64encode(image).decode('ascii')}"
            form["content"].append({"type": "image_url", "image_url": {"url": url}})
    if message.tool_calls:
        form["tool_calls"] = [
            {
                "id": c.id,
                "type": "function",
                "function": {
                    "name": _NO_NAME.sub("_", c.name)[:64] or "unnamed",
                    "arguments": json.dumps(c.arguments),
                },
            }
            for c in message.tool_calls
        ]
    if message.tool_call_id is not None:
        form["tool_call_id"] = message.tool_call_id
    return form


def turns(
    messages: Sequence[ChatMessage], blocks: Callable[[ChatMessage], list[dict[str, Any]]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the system's texts, and the other messages as alternating turns of blocks.

    Neighbours of one role are joined, and tool results are the user's.
    """
    made: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        if message.role == "system":
            continue
        if made and made[-1]["role"] == role:
            made[-1]["content"] += blocks(message)
        else:
            made.append({"role": role, "content": blocks(message)})
    return [m.content for m in messages if m.role == "system" and m.content], made


def tool_form(tool: ToolOffer) -> dict[str, Any]:
    """Return one tool in the OpenAI form."""
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def schema_form(schema: JsonSchema) -> dict[str, Any]:
    """Return the `response_format` that holds the answer to a JSON schema."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema), "strict": True}}


def completion_of(answer: Any) -> Completion:
    """Return an SDK's chat completion object as ours; tool calls that are none tell why.

    Raises:
        CompletionInvalid: It holds no choice (the model's fault).
        ProviderFailed: It is no completion at all, but a page of a proxy, say.
    """
    if not hasattr(answer, "choices"):
        raise ProviderFailed(f"the answer cannot be read: it is a {type(answer).__name__}")
    choices = getattr(answer, "choices", None) or [None]
    message = getattr(choices[0], "message", None)
    if message is None:
        raise CompletionInvalid("the answer holds no choice")
    calls = tuple(tool_call_of(call) for call in getattr(message, "tool_calls", None) or ())
    said = ChatMessage.from_dict({"role": "assistant", "content": getattr(message, "content", None)}).content
    reason = getattr(choices[0], "finish_reason", None)
    return _completion(said, calls, getattr(answer, "usage", None), reason)


class Accumulator:
    """Collects the chunks of a streamed chat completion."""

    def __init__(self) -> None:
        self._text = ""
        self._usage: Any = None
        self._finish: str | None = None
        self._calls: dict[int, dict[str, str]] = {}

    def add(self, chunk: Any) -> str:
        """Take one chunk; return the text it adds."""
        self._usage = getattr(chunk, "usage", None) or self._usage
        choices = getattr(chunk, "choices", None)
        if not choices:
            return ""
        self._finish = choices[0].finish_reason or self._finish
        delta = choices[0].delta
        for position, part in enumerate(getattr(delta, "tool_calls", None) or ()):
            self._add_call(position, part)
        text = getattr(delta, "content", None) or ""
        self._text += text
        return text

    def _add_call(self, position: int, part: Any) -> None:
        index = getattr(part, "index", None)
        call = self._calls.setdefault(
            position if index is None else index, {"id": "", "name": "", "arguments": ""}
        )
        call["id"] = getattr(part, "id", None) or call["id"]
        function = getattr(part, "function", None)
        call["name"] = getattr(function, "name", None) or call["name"]
        arguments = getattr(function, "arguments", None) or ""
        call["arguments"] += arguments if isinstance(arguments, str) else json.dumps(arguments)

    def finish(self) -> Completion:
        """Return the whole completion. Raises as `completion_of` does."""
        calls = tuple(tool_call(c["id"], c["name"], c["arguments"]) for _, c in sorted(self._calls.items()))
        return _completion(self._text, calls, self._usage, self._finish)


def _completion(text: str, calls: tuple[ToolCall, ...], usage: Any, reason: str | None) -> Completion:
    tokens = usage_of(usage, "prompt_tokens", "completion_tokens")
    finish = "tool_calls" if calls and reason != "length" else FINISH.get(reason or "", "unknown")
    return Completion(text=text, tool_calls=calls, usage=tokens, finish_reason=finish)


def request_form(
    messages: Sequence[ChatMessage],
    stop: Sequence[str],
    tools: Sequence[ToolOffer],
    response_schema: JsonSchema | None,
) -> dict[str, Any]:
    """Return the body of a request, without model and sampling options."""
    body: dict[str, Any] = {"messages": [message_form(m) for m in messages]}
    if stop:
        body["stop"] = list(stop)
    if tools:
        body["tools"] = [tool_form(t) for t in tools]
    if response_schema is not None:
        body["response_format"] = schema_form(response_schema)
    return body
