"""A saved run shows the same code, tool calls, errors and answer as it did when it ran."""

from __future__ import annotations

import io

from pinjra.agents import CodeAgent
from pinjra.agents.memory.json import memory_from_json
from pinjra.models.scripted import ScriptedModel
from pinjra.ui.plain import PlainView
from pinjra.ui.replay import replay


def shown(events):
    out = io.StringIO()
    with PlainView(out) as view:
        for event in events:
            view.show(event)
    return out.getvalue()


def test_a_replay_shows_code_calls_errors_and_the_answer():
    def double(n: int) -> int:
        """Return twice a number.

        Args:
            n: The number.
        """
        return 2 * n

    script = [
        "Try.\n```python\nprint(double(4))\n```",
        "```python\n1/0\n```",
        "```python\nfinal_answer(double(21))\n```",
    ]
    with CodeAgent([double], ScriptedModel(script), executor_type="local", verbosity_level=0) as agent:
        assert agent.run("Double.") == 42
        text = agent.memory.to_json()
    again = shown(replay(memory_from_json(text)))
    for line in (
        "task: Double.",
        "step 1: Try.",
        ">>> print(double(4))",
        "→ double(n=4)",
        "ZeroDivisionError",
        "42",
    ):
        assert line in again
    assert again.count(">>> ") == 3


def test_a_managed_agents_steps_are_nested_in_a_replay():
    helper = CodeAgent(
        model=ScriptedModel(lambda _: "```python\nfinal_answer('found')\n```"),
        name="helper",
        description="Finds.",
        executor_type="local",
        verbosity_level=0,
    )
    boss = CodeAgent(
        model=ScriptedModel(["```python\nfinal_answer(helper('look'))\n```"]),
        managed_agents=[helper],
        executor_type="local",
        verbosity_level=0,
    )
    with boss:
        boss.run("Ask.")
        text = boss.memory.to_json()
    again = shown(replay(memory_from_json(text)))
    assert "  helper: >>> final_answer('found')" in again
    assert "helper: [helper: " in again
