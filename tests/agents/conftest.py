"""Agents with scripted models and the real local executor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from remote_standins.page import page as page

from pinjra.agents import Agent, CodeAgent, ToolCallingAgent
from pinjra.models.base import Completion, ToolCall
from pinjra.models.scripted import ScriptedModel


def fenced(code: str, thought: str = "Thought.") -> str:
    """Return what a model writes to run `code`."""
    return f"{thought}\n```python\n{code}\n```"


def calling(*calls: tuple[str, dict[str, object]]) -> Completion:
    """Return what a model answers to call tools."""
    made = tuple(ToolCall(id=f"c{n}", name=name, arguments=args) for n, (name, args) in enumerate(calls))
    return Completion(tool_calls=made, finish_reason="tool_calls")


def code_model(*codes: str) -> ScriptedModel:
    """Return a model that writes these codes, one a step."""
    return ScriptedModel([fenced(code) for code in codes])


Maker = Callable[..., Any]


@pytest.fixture
def code_agent() -> Iterator[Callable[..., CodeAgent]]:
    """Make code agents in the local executor, quiet; closed at the end."""
    made: list[Agent] = []

    def make(*codes: str, model: ScriptedModel | None = None, **options: Any) -> CodeAgent:
        if "executor" not in options:
            options.setdefault("executor_type", "local")
        options.setdefault("verbosity_level", 0)
        agent = CodeAgent(options.pop("tools", ()), model or code_model(*codes), **options)
        made.append(agent)
        return agent

    yield make
    for agent in made:
        agent.close()


@pytest.fixture
def json_agent() -> Callable[..., ToolCallingAgent]:
    """Make quiet JSON agents."""

    def make(*turns: Completion | str, **options: Any) -> ToolCallingAgent:
        options.setdefault("verbosity_level", 0)
        return ToolCallingAgent(options.pop("tools", ()), ScriptedModel(list(turns)), **options)

    return make
