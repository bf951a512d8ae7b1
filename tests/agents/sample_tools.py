"""Tools that can be imported by path, for tests of saved agents."""

from __future__ import annotations

from pinjra.tools.base import Tool, tool


@tool
def shout(text: str) -> str:
    """Gives the text in capitals.

    Args:
        text: What to shout.
    """
    return text.upper()


class Greeter(Tool):
    """Greets."""

    name = "greet"
    description = "Greets somebody."
    inputs = {"who": {"type": "string", "description": "Whom."}}
    output_type = "string"

    def forward(self, who: str) -> str:
        """Return a greeting."""
        return f"Hello, {who}"


class Named(Greeter):
    """Needs an argument to be made."""

    name = "named"

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting
