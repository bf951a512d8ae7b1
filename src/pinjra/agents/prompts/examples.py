"""Examples for small models, as chat turns: the one thing that makes them use their tools.

With no example a 1.5B model solves one of six tool tasks; with one that calls a tool of the user's, three; with one more that
compares two calls, five or six. So the turns are built from the tools' own `examples`; their words are in `examples.toml`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from pinjra.agents.memory.observation import as_data
from pinjra.agents.prompts.templates import render, shipped
from pinjra.models.base import ChatMessage
from pinjra.models.text_calls import call_line, result_line
from pinjra.tools.base import Tool

IS_IT_DONE = (
    "If the task is done, call final_answer with its answer, or with the names of the files. Else go on."
)
IS_IT_KNOWN = "If that is what the task asks for, call final_answer with it. Else make the next call."
_NUMBERS = ("integer", "number")
# Two values of each type, in JSON's words.
_VALUES: dict[object, tuple[object, object]] = {
    "string": ("first", "second"),
    "integer": (3, 5),
    "number": (1.5, 2.5),
    "boolean": (True, False),
}


def example_turns(tools: Mapping[str, Tool], team: Iterable[str] = ()) -> tuple[ChatMessage, ...]:
    """Return user and assistant turns: some without tools, then a call of each tool, a comparison of two calls, the team."""
    shown = _shown(tools)
    turns = _turns("plain")
    for tool in shown:
        turns += _turns("tool", *_calls(tool))
    for tool in shown[:1]:
        turns += _turns("number" if tool.output_type in _NUMBERS else "object", *_calls(tool))
    for name in list(team)[:2]:
        turns += _turns("member", name)
    return tuple(turns)


def call_turns(tools: Mapping[str, Tool], team: Iterable[str] = ()) -> tuple[ChatMessage, ...]:
    """Return the turns of a model that calls by JSON: of each tool a call, what it gave, and the answer."""
    turns: list[ChatMessage] = []
    for tool in _shown(tools):
        arguments = {name: _value(tool.inputs[name]) for name in tool.required_inputs}
        result = _value({"type": tool.output_type}) or "done"
        turns += _call_turn(f"What does {tool.name} give?", tool.name, arguments, result)
    for name in list(team)[:2]:
        question = "How many chairs are in the hall?"
        turns += _call_turn(question, name, {"task": question}, 12)
    return tuple(turns)


def _call_turn(question: str, name: str, arguments: dict[str, object], result: object) -> list[ChatMessage]:
    seen = result_line(name, arguments, f"{result}\n{IS_IT_KNOWN}")
    return [
        ChatMessage(role="user", content=question),
        ChatMessage(role="assistant", content=call_line(name, arguments)),
        ChatMessage(role="user", content=f"Observation:\n{as_data(seen, 1000)}"),
        ChatMessage(role="assistant", content=call_line("final_answer", {"answer": result})),
    ]


def _shown(tools: Mapping[str, Tool]) -> list[Tool]:
    return [tool for name, tool in tools.items() if name != "final_answer"][:3]


def _calls(tool: Tool) -> tuple[str, str]:
    """Return two calls: the tool's own examples, else made of its inputs' types."""
    needed = [tool.inputs[name] for name in tool.required_inputs]
    made = [f"{tool.name}({', '.join(_word(entry, n) for entry in needed)})" for n in (0, 1)]
    calls = [*(example.strip() for example in tool.examples), *made]
    return calls[0], calls[1] if len(tool.examples) != 1 else made[1]


def _value(entry: Mapping[str, Any], number: int = 0) -> Any:
    """Return the first or second value that fits an input's schema; None where it names no type."""
    entry = next(iter(entry.get("anyOf", ())), entry)
    if values := entry.get("enum"):
        return values[number % len(values)]
    kinds = entry.get("type")
    match kinds[0] if isinstance(kinds, list) else kinds:
        case "object":
            return {name: _value(each, number) for name, each in entry.get("properties", {}).items()}
        case "array" if "prefixItems" in entry:
            return [_value(each, number) for each in entry["prefixItems"]]
        case "array":
            return [_value(entry.get("items") or {"type": "integer"}, each) for each in (number, 1 - number)]
        case kind:
            return _VALUES.get(kind, (None, None))[number]


def _word(entry: Mapping[str, Any], number: int) -> str:
    value = _value(entry, number)
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _turns(kind: str, one: str = "", two: str = "") -> list[ChatMessage]:
    turns: list[ChatMessage] = []
    for turn in _examples()[kind]:
        question, code = (render(turn[part], one=one, two=two) for part in ("question", "code"))
        turns.append(ChatMessage(role="user", content=question))
        turns.append(ChatMessage(role="assistant", content=f"```python\n{code}\n```"))
    return turns


@cache
def _examples() -> dict[str, list[dict[str, str]]]:
    return tomllib.loads(shipped("examples", "toml"))
