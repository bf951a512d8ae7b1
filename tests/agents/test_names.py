"""The names that the page on agents says work, do; those that it says are left out, are not there."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import pinjra.agents
from pinjra.agents import Agent, AgentMemory, CodeAgent, ToolCallingAgent

from .conftest import code_model

PAGE = Path(__file__).parents[2] / "docs" / "agents.md"
ROWS = [
    (re.findall(r"`([^`]+)`", left), right.strip())
    for left, right in re.findall(
        r"^\| (`.+) \| (.+) \|$", PAGE.read_text().split("## Names that users")[1], re.MULTILINE
    )
]


def rows(word: str) -> list[list[str]]:
    return [names for names, right in ROWS if right.startswith(word)]


def parameters() -> set[str]:
    found: set[str] = set()
    for cls in (CodeAgent, ToolCallingAgent, Agent):
        found |= set(inspect.signature(cls.__init__).parameters)
    return found | set(inspect.signature(CodeAgent.run).parameters)


@pytest.fixture(scope="module")
def agent() -> CodeAgent:
    return CodeAgent([], code_model("x"), executor_type="local")


@pytest.mark.parametrize("name", [name for names in rows("works") for name in names])
def test_a_name_that_works_is_there(agent: CodeAgent, name: str) -> None:
    if "(" in name:
        owner, _, inside = name.rstrip(")").partition("(")
        names = [part.strip().rstrip("=") for part in inside.split(",")]
        cls = ToolCallingAgent if owner == "ToolCallingAgent" else CodeAgent.run
        assert set(names) <= set(inspect.signature(cls).parameters)
        return
    last = name.rpartition(".")[2]
    assert (
        hasattr(pinjra.agents, last)
        or hasattr(agent, last)
        or hasattr(AgentMemory, last)
        or last in parameters()
    )


@pytest.mark.parametrize(
    "name", [name for word in ("left out", "renamed") for names in rows(word) for name in names]
)
def test_a_name_that_is_left_out_is_not_there(agent: CodeAgent, name: str) -> None:
    owner, _, last = name.rpartition(".")
    where: object = {"": pinjra.agents, "agent": agent, "AgentMemory": AgentMemory}[owner]
    assert not hasattr(where, last)


def test_the_table_is_read() -> None:
    assert len(ROWS) >= 14
    assert sum(len(names) for names in rows("works")) > 60
