"""Text of a model without structured tool calls -> the calls that it wrote as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pinjra.models.base import Completion, ToolCall, ToolSchema
from pinjra.models.chat_form import parse_arguments
from pinjra.models.errors import CompletionInvalid

__all__ = ["with_text_calls"]

_TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
_FENCED = re.compile(r"```(?:json|tool_call)?\s*\n(.*?)(?:```|\Z)", re.DOTALL)


def with_text_calls(done: Completion, tools: Sequence[ToolSchema]) -> Completion:
    """Return the completion with the calls that its text spells out, where it has no structured ones.

    Tagged (<tool_call>), fenced and bare JSON objects count when they name a tool that was offered; text is kept.
    """
    if done.tool_calls or not tools:
        return done
    offered = {tool.name for tool in tools}
    calls = [
        ToolCall(id=f"call_{number}", name=name, arguments=arguments)
        for number, (name, arguments) in enumerate(_calls(done.text), start=1)
        if name in offered
    ]
    return replace(done, tool_calls=tuple(calls), finish_reason="tool_calls") if calls else done


def _calls(text: str) -> Iterator[tuple[str, dict[str, object]]]:
    pieces = _TAGGED.findall(text) or _FENCED.findall(text) or [text]
    for piece in pieces:
        for item in _objects(piece.strip()):
            name = item.get("name")
            given = item.get("arguments", item.get("parameters", {}))
            if isinstance(name, str):
                try:
                    yield name, parse_arguments(name, given)
                except CompletionInvalid:
                    continue  # not a call after all: the text says what it is


def _objects(piece: str) -> Iterator[dict[str, object]]:
    """Yield the JSON objects that `piece` consists of: one, a list, or several one after the other."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(piece):
        try:
            value, at = decoder.raw_decode(piece, at)
        except (ValueError, RecursionError):
            return
        yield from (
            item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)
        )
        while at < len(piece) and piece[at] in " \t\r\n,;":
            at += 1
