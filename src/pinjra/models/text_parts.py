"""A model's text -> its parts: without its thinking, and the JSON objects written in it. Linear in the text's length.

A model's text is nobody's friend: whatever reads it looks at each character a bounded number of times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

__all__ = ["THINKING_TAGS", "after_thinking", "json_objects"]

THINKING_TAGS = "think|thinking|thought|reasoning"
_THINKING = re.compile(rf"<(/?)({THINKING_TAGS})>|\[(/?)(THINK)\]", re.IGNORECASE)
_ATTEMPTS = 200  # braces tried as the start of an object in one text; a call is among the first
_WORK = 4  # characters read in all, as a multiple of the text's length


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
