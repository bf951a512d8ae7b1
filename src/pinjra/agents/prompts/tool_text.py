"""Tools and managed agents -> the words a prompt tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pinjra.tools.base import Tool


class TeamMember(Protocol):
    """What a prompt tells of a managed agent."""

    description: str | None


def signatures(tools: Mapping[str, Tool], agents: Mapping[str, TeamMember]) -> str:
    """Return everything callable as Python signatures with documentation."""
    parts = [tool.to_code_prompt() for tool in tools.values()]
    for name, agent in agents.items():
        parts.append(
            f'def {name}(task: str, additional_args: dict | None = None) -> object:\n    """{agent.description}\n\n'
            "    Args:\n        task: What to do, in full sentences with everything needed to know.\n"
            '        additional_args: Variables to hand over, by name.\n    """'
        )
    return "\n\n".join(parts)


def brief_signatures(tools: Mapping[str, Tool], agents: Mapping[str, TeamMember]) -> str:
    """Return one line each: what small models can hold."""
    lines = [
        f"{name}({', '.join(tool.inputs)})  # {_first_line(tool.description)}" for name, tool in tools.items()
    ]
    lines += [f"{name}(task)  # {_first_line(agent.description or '')}" for name, agent in agents.items()]
    return "\n".join(lines)


def tool_lines(tools: Mapping[str, Tool], agents: Mapping[str, TeamMember]) -> str:
    """Return tools for an agent that answers in JSON: one a line, what it takes and gives."""
    lines = []
    for name, tool in tools.items():
        inputs = ", ".join(f"{key}: {entry.get('type', 'any')}" for key, entry in tool.inputs.items())
        lines.append(f"- {name}({inputs}) -> {tool.output_type}: {tool.description}")
    lines += [f"- {name}(task: string) -> any: {agent.description}" for name, agent in agents.items()]
    return "\n".join(lines)


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0][:120]
