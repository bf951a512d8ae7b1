"""UserInputTool: a question for the person at the terminal -> what they typed."""

from __future__ import annotations

from collections.abc import Callable

from pinjra.tools.base import Tool


class UserInputTool(Tool):
    """Asks the user.

    Args:
        ask: The prompt → the answer, instead of Python's `input` (a chat window, a web form).
    """

    name = "user_input"
    description = "Asks the user a question and returns their answer."
    inputs = {"question": {"type": "string", "description": "The question to ask the user."}}
    output_type = "string"

    def __init__(self, ask: Callable[[str], str] | None = None) -> None:
        self._ask = ask or input

    def forward(self, question: str) -> str:
        """Return the user's answer; "" when there is nobody to answer (end of input)."""
        try:
            return self._ask(f"{_printable(question)}\n> ")
        except EOFError:
            return ""


def _printable(text: str) -> str:
    """Return the text without control characters: a model's words must not steer the terminal."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text
    )
