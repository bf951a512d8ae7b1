"""A model's text -> what it is made of: without its thinking, the JSON objects in it, and the calls that these spell out.

A model's text is nobody's friend: whatever reads it looks at each character a bounded number of times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from pinjra.models.base import Completion, FinishReason, ToolCall, ToolOffer, tool_call

# characters of a text that is looked at: several times what any model writes to call a tool
_LONGEST = 300_000
_PIECES = 200  # tagged or fenced pieces looked at
THINKING_TAGS = "think|thinking|thought|reasoning"
_THINKING = re.compile(rf"<(/?)({THINKING_TAGS})>|\[(/?)(THINK)\]", re.IGNORECASE)
_ATTEMPTS = 200  # braces tried as the start of an object in one text; a call is among the first
_WORK = 4  # characters read in all, as a multiple of the text's length


def with_text_calls(done: Completion, tools: Sequence[ToolOffer]) -> Completion:
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
        replace(call, id=f"call_{number}")
        for number, call in enumerate(_calls(pieces), start=1)
        if call.name in offered
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


def _calls(pieces: Sequence[str]) -> Iterator[ToolCall]:
    for piece in pieces:
        if piece.lstrip()[:1] in ("{", "["):
            for item in json_objects(piece):
                call = _as_call(item)
                # what has a problem is no call after all: the text says what it is
                if call is not None and not call.problem:
                    yield call


def _as_call(item: Mapping[str, object]) -> ToolCall | None:
    name = item.get("name") or item.get("tool") or item.get("tool_name")
    written = item.get("arguments", item.get("parameters", item.get("tool_arguments", {})))
    return tool_call("", name, written) if isinstance(name, str) and name else None


def first_call(text: str) -> ToolCall | None:
    """Return the first call of any tool that stands anywhere in a text; what is wrong with it is told in `problem`."""
    calls = map(_as_call, json_objects(after_thinking(text[:_LONGEST])))
    return next((call for call in calls if call is not None), None)


def _between(text: str, opening: str, closing: str) -> list[str]:
    """Return what stands between the marks; the last closing one may be missing."""
    found = re.finditer(rf"{opening}(.*?)(?:{closing}|\Z)", text, re.DOTALL)
    return [piece[1] for piece in islice(found, _PIECES)]


def _fenced(text: str) -> list[str]:
    """Return the bodies of fences that are labelled as calls or not at all."""
    bodies = [piece.partition("\n") for piece in _between(text, "```", "```")]
    return [body for label, _, body in bodies if label.strip() in ("", "json", "tool_call")]


def after_thinking(text: str) -> str:
    """Return `text` without what stands in thinking tags, before a lone closing tag, or behind one never closed."""
    kept: list[str] = []
    at, opened = 0, ""
    for mark in _THINKING.finditer(text):
        closes, name = bool(mark[1] or mark[3]), (mark[2] or mark[4]).lower()
        if not opened and closes:
            kept, at = [], mark.end()  # the tag that opened it stood in the prompt
        elif not opened:
            kept.append(text[at : mark.start()])
            opened = name
        elif closes and name == opened:
            at, opened = mark.end(), ""
    return "".join(kept) if opened else "".join(kept) + text[at:]


def json_objects(text: str) -> Iterator[dict[str, object]]:
    """Yield the JSON objects in `text`, wherever they begin; those inside another one are not told apart."""
    decoder = json.JSONDecoder(strict=False)
    at, left = text.find("{"), _WORK * len(text)
    for _ in range(_ATTEMPTS):
        if at < 0 or left < 0:
            return
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            left -= max(error.pos - at, 1)
            end = at + 1
        except (ValueError, RecursionError):  # an integer of too many digits; nested without end
            return
        else:
            yield value
        at = text.find("{", end)
