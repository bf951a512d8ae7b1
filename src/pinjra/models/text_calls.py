"""Text of a model without structured tool calls -> the calls that it wrote as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pinjra.models.base import Completion, FinishReason, ToolCall, ToolSchema, tool_call
from pinjra.models.text_parts import after_thinking

__all__ = ["call_line", "result_line", "with_text_calls"]

_LONGEST = (
    300_000  # characters of a text that is looked at: several times what any model writes to call a tool
)
_PIECES = 200  # tagged or fenced pieces looked at


def with_text_calls(done: Completion, tools: Sequence[ToolSchema]) -> Completion:
    """Return the completion with the calls that its text spells out, where it has no structured ones.

    Tagged (<tool_call>), fenced and bare JSON objects count when they name a tool that was offered. Of the text, what stands
    before them is kept: a conversation shows the calls themselves. What a model only thinks is no call.
    """
    if done.tool_calls or not tools or len(done.text) > _LONGEST:
        return done
    offered = {tool.name for tool in tools}
    said = after_thinking(done.text)
    opening, pieces = _pieces(said)
    calls = [
        ToolCall(id=f"call_{number}", name=name, arguments=arguments)
        for number, (name, arguments) in enumerate(_calls(pieces), start=1)
        if name in offered
    ]
    if not calls:
        return done
    finish: FinishReason = "length" if done.finish_reason == "length" else "tool_calls"
    text = done.text.removesuffix(said) + said.partition(opening)[0] if opening else ""
    return replace(done, text=text, tool_calls=tuple(calls), finish_reason=finish)


def call_line(name: str, arguments: Mapping[str, object]) -> str:
    """Return a call as the text that is read back."""
    return json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False, default=str)


def result_line(name: str, arguments: Mapping[str, object], result: str) -> str:
    """Return what a call gave, in words that are not read back as a call."""
    return f"{name}({', '.join(map(repr, arguments.values()))}) gave {result}"


def _pieces(text: str) -> tuple[str, list[str]]:
    """Return where calls may stand, and the mark that opens the first of them."""
    if tagged := _between(text, "<tool_call>", "</tool_call>"):
        return "<tool_call>", tagged
    if fenced := _fenced(text):
        return "```", fenced
    return "", [text]


def _calls(pieces: Sequence[str]) -> Iterator[tuple[str, dict[str, object]]]:
    for piece in pieces:
        for item in _objects(piece.strip()):
            call = tool_call("", item.get("name"), item.get("arguments", item.get("parameters", {})))
            if not call.problem:  # else it is no call after all: the text says what it is
                yield call.name, call.arguments


def _between(text: str, opening: str, closing: str) -> list[str]:
    """Return what stands between the marks; the last closing one may be missing."""
    pieces: list[str] = []
    at = text.find(opening)
    while at >= 0 and len(pieces) < _PIECES:
        begin = at + len(opening)
        end = text.find(closing, begin)
        pieces.append(text[begin:] if end < 0 else text[begin:end])
        at = -1 if end < 0 else text.find(opening, end + len(closing))
    return pieces


def _fenced(text: str) -> list[str]:
    """Return the bodies of fences that are labelled as calls or not at all."""
    bodies = [piece.partition("\n") for piece in _between(text, "```", "```")]
    return [body for label, _, body in bodies if label.strip() in ("", "json", "tool_call")]


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
