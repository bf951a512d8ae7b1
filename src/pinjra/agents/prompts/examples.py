"""Examples for small models, as chat turns: the one thing that makes them use their tools.

With no example a 1.5B model solves one of six tool tasks; with one that calls a tool of the user's, three; with one more that
compares two calls, five or six. So the turns are built from the tools' own `examples`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pinjra.agents.memory.observation import as_data
from pinjra.models.base import ChatMessage
from pinjra.models.text_calls import call_line, result_line
from pinjra.tools.base import Tool

# Each of another kind, and none a sum: what is shown twice is imitated where it does not fit.
_PLAIN = (
    (
        "Which numbers from 1 to 20 are divisible by 3 or by 7?",
        "final_answer([n for n in range(1, 21) if n % 3 == 0 or n % 7 == 0])",
    ),
    ("What is the least common multiple of 12 and 18?", "import math\n\nfinal_answer(math.lcm(12, 18))"),
    (
        "Which day of the week was the 4th of July 1976?",
        'import datetime\n\nfinal_answer(datetime.date(1976, 7, 4).strftime("%A"))',
    ),
    (
        "Which letters of 'onomatopoeia' are vowels, as one word?",
        "word = 'onomatopoeia'\nfinal_answer(''.join(letter for letter in word if letter in 'aeiou'))",
    ),
)
IS_IT_DONE = (
    "If the task is done, call final_answer with its answer, or with the names of the files. Else go on."
)
IS_IT_KNOWN = "If that is what the task asks for, call final_answer with it. Else make the next call."
_NUMBERS = ("integer", "number")
_VALUES: dict[str, object] = {
    "string": "first",
    "integer": 3,
    "number": 1.5,
    "boolean": True,
    "array": [3, 5],
}
_WORDS = {
    "string": ('"first"', '"second"'),
    "integer": ("3", "5"),
    "number": ("1.5", "2.5"),
    "boolean": ("True", "False"),
}


def example_turns(tools: Mapping[str, Tool], team: Iterable[str] = ()) -> tuple[ChatMessage, ...]:
    """Return user and assistant turns: some without tools, then a call of each tool, then a comparison of two calls.

    Members of the team are shown to be asked whole questions: without that, small models pass them a word.

    The turns without tools differ from each other on purpose: with only one, small models imitate it (a sum for everything).
    """
    turns: list[ChatMessage] = []
    shown = [tool for name, tool in tools.items() if name != "final_answer"][:3]
    for question, code in _PLAIN:
        turns += _turn(question, code)
    for tool in shown:
        turns += _turn(f"What does {_calls(tool)[0]} give?", f"final_answer({_calls(tool)[0]})")
    if shown:
        turns += _comparison(shown[0])
    for name in list(team)[:2]:
        turns += _turn(
            "How many chairs are in the hall?", f'final_answer({name}("How many chairs are in the hall?"))'
        )
        turns += _turn(
            f"Ask {name} how many chairs and how many tables there are, and add the two.",
            f'chairs = {name}("How many chairs are there?")\ntables = {name}("How many tables are there?")\n'
            "final_answer(chairs + tables)",
        )
    return tuple(turns)


def call_turns(tools: Mapping[str, Tool], team: Iterable[str] = ()) -> tuple[ChatMessage, ...]:
    """Return the turns of a model that calls by JSON: of each tool a call, what it gave, and the answer."""
    turns: list[ChatMessage] = []
    shown = [tool for name, tool in tools.items() if name != "final_answer"][:3]
    for tool in shown:
        arguments = {name: _VALUES.get(str(tool.inputs[name].get("type"))) for name in tool.required_inputs}
        result = _VALUES.get(tool.output_type, "done")
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


def _comparison(tool: Tool) -> list[ChatMessage]:
    one, two = _calls(tool)
    if tool.output_type in _NUMBERS:
        return _turn(
            f"How much more is {one} than {two}?",
            f"first = {one}\nsecond = {two}\nfinal_answer(first - second)",
        )
    return _turn(
        f"Is {one} the same as {two}?", f"first = {one}\nsecond = {two}\nfinal_answer(first == second)"
    )


def _calls(tool: Tool) -> tuple[str, str]:
    """Return two calls: the tool's own examples, else made of its inputs' types."""
    needed = [tool.inputs[name] for name in tool.required_inputs]
    made = [f"{tool.name}({', '.join(_word(entry, n) for entry in needed)})" for n in (0, 1)]
    calls = [*(example.strip() for example in tool.examples), *made]
    return calls[0], calls[1] if len(tool.examples) != 1 else made[1]


def _word(entry: dict[str, object], number: int) -> str:
    return _WORDS.get(str(entry.get("type")), ("None", "None"))[number]


def _turn(question: str, code: str) -> list[ChatMessage]:
    return [
        ChatMessage(role="user", content=question),
        ChatMessage(role="assistant", content=f"```python\n{code}\n```"),
    ]
