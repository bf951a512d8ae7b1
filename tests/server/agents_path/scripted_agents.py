"""Agents of scripted models, named by the settings of the services under test."""

from __future__ import annotations

import threading

from pinjra import CodeAgent, tool
from pinjra.agents import Budget, Price
from pinjra.models.scripted import ScriptedModel


def code(text: str, thought: str = "") -> str:
    return f"{thought}\n```python\n{text}\n```"


@tool
def shout(text: str) -> str:
    """Return the text in capitals.

    Args:
        text: What to shout.
    """
    return text.upper()


def sums() -> CodeAgent:
    """Two steps: prints, keeps a variable, writes a file, draws a picture of one pixel; then answers."""
    return CodeAgent(
        model=ScriptedModel(
            [
                code(
                    "x = 20\nprint('twenty', x)\nopen('out.txt', 'w').write('kept')", "I begin with twenty."
                ),
                code("x += 22\nfinal_answer(x)", "Now the answer."),
                code("final_answer(x + 1)", "One more."),
                code("final_answer(x + 2)", "Two more."),
            ]
        ),
        budget=Budget(price=Price(input_per_million=1.0, output_per_million=2.0)),
    )


def shouter() -> CodeAgent:
    """One tool call, and its result as the answer."""
    return CodeAgent(tools=[shout], model=ScriptedModel([code("final_answer(shout('hello'))")]))


def endless() -> CodeAgent:
    """A first step, and then one that does not end by itself."""
    return CodeAgent(
        model=ScriptedModel(
            [
                code("y = 5\nprint('begun')"),
                code("while True: pass"),
                code("final_answer(y)"),
                code("final_answer('gone')"),
            ]
        ),
        executor_kwargs={},
    )


def team() -> CodeAgent:
    """A manager and one that works for it."""
    helper = CodeAgent(
        model=ScriptedModel([code("print('deep down')\nfinal_answer('from below')")]),
        name="helper",
        description="Helps.",
    )
    return CodeAgent(model=ScriptedModel([code("final_answer(helper('help me'))")]), managed_agents=[helper])


def waiting(started: threading.Event | None = None) -> CodeAgent:
    """An agent whose code needs approval, whatever a client says."""
    return CodeAgent(model=ScriptedModel([code("final_answer('ran')"), code("final_answer('second')")]))


def planner() -> CodeAgent:
    """An agent that plans before its first step."""
    return CodeAgent(
        model=ScriptedModel(["First this, then that.", code("x = 1"), code("final_answer(x)")]),
        planning_interval=5,
    )


def busy() -> CodeAgent:
    """A step that takes its time, and then another."""
    return CodeAgent(
        model=ScriptedModel([code("import time\ntime.sleep(0.3)"), code("final_answer('more')")]), max_steps=2
    )
