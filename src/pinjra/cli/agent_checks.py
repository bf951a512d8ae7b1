"""Checks: code agents in sessions of one backend, their managed agents in sessions of their own. Run by `pinjra doctor --live`.

They are here and not with the executors' checks, because executors know nothing of agents.
"""

from __future__ import annotations

from pinjra.agents.code_agent import CodeAgent
from pinjra.executors.base import PythonExecutor
from pinjra.executors.conformance.suite import Check, CheckFailed, another, expect
from pinjra.models.scripted import ScriptedModel


def _model(*codes: str) -> ScriptedModel:
    """Return a model that writes these codes, one a step."""
    return ScriptedModel([f"Thought.\n```python\n{code}\n```" for code in codes])


def _works_three_times(executor: PythonExecutor) -> None:
    model = _model(
        "x = 1\nprint('before')\nx / 0",
        "final_answer(x)",
        "try:\n    x\nexcept NameError:\n    y = 2\n    final_answer(y)",
        "final_answer(y + 1)",
    )
    agent = CodeAgent([], model, executor=lambda: another(executor), verbosity_level=0)
    with agent:
        expect(agent.run("first"), 1)
        seen = str(model.requests[1].messages[-1].content)
        if "before" not in seen or "ZeroDivisionError" not in seen:
            raise CheckFailed(f"the model was not told what a failed step printed: {seen!r:.300}")
        expect(agent.run("second"), 2, "a second run, which starts with nothing")
        expect(agent.run("third", reset=False), 3, "a third run, which goes on")


def _calls_a_managed_agent(executor: PythonExecutor) -> None:
    noted: list[str] = []

    def note(text: str) -> str:
        """Note a text.

        Args:
            text: What to note.
        """
        noted.append(text)
        return text.upper()

    helper = CodeAgent(
        [note],
        _model("secret = 7\nx = note('in the helper')", "final_answer({'said': x, 'n': secret})"),
        name="helper",
        description="Helps.",
        executor=lambda: another(executor),
        verbosity_level=0,
    )
    manager = CodeAgent(
        [],
        _model(
            "secret = 1\nfound = helper('do it')\nprint(found)",
            "try:\n    x\nexcept NameError:\n    final_answer((found['said'], found['n'], secret))",
        ),
        managed_agents=[helper],
        executor=lambda: another(executor),
        verbosity_level=0,
    )
    with manager, helper:
        expect(manager.run("x"), ("IN THE HELPER", 7, 1))
    expect(noted, ["in the helper"])


AGENT_CHECKS = [
    Check(name="an agent works a second and a third time", function=_works_three_times),
    Check(
        name="a managed agent is called from generated code and has a session of its own",
        function=_calls_a_managed_agent,
    ),
]
