"""What callers pass to an agent -> what it works with, or a message that says what to fix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar, cast

from pinjra.agents.memory.steps import ActionStep, MemoryStep
from pinjra.core.errors import ConfigurationError
from pinjra.tools.base import Tool

A = TypeVar("A")
Callbacks = tuple[tuple[type[MemoryStep], Callable[..., object]], ...]


def tools_by_name(
    tools: Iterable[Tool | Callable[..., object]], base: Iterable[Tool] = ()
) -> dict[str, Tool]:
    """Return tools by their names; functions become tools. A given tool replaces a base tool of its name.

    Raises:
        ConfigurationError: Something is no tool, or two have one name (the caller's fault).
    """
    tools = getattr(tools, "tools", tools)  # a ToolCollection
    if isinstance(tools, Mapping):
        tools = tools.values()
    made = [_as_tool(item) for item in cast("Iterable[Tool | Callable[..., object]]", tools)]
    _unique(tool.name for tool in made)
    return {tool.name: tool for tool in base} | {tool.name: tool for tool in made}


def _as_tool(item: Tool | Callable[..., object]) -> Tool:
    if isinstance(item, Tool):
        return item
    if isinstance(item, type) or not callable(item):
        raise ConfigurationError(
            f"{item!r} is no tool: pass an instance of Tool or a function with type hints"
        )
    return Tool.from_function(item)


def managed_by_name(agents: Iterable[A]) -> dict[str, A]:
    """Return agents by their names.

    Raises:
        ConfigurationError: One has no name or description, or two have one name (the caller's fault).
    """
    agents = list(agents)
    for agent in agents:
        if not getattr(agent, "name", None) or not getattr(agent, "description", None):
            raise ConfigurationError(
                f"a managed agent needs name= and description=; this one has not both: {agent!r}"
            )
    names = [str(getattr(agent, "name")) for agent in agents]  # noqa: B009 (A is any class with a name)
    _unique(names)
    return dict(zip(names, agents, strict=True))


def check_names(name: str | None, tools: Mapping[str, Tool], agents: Iterable[str]) -> None:
    """Raise where names clash or are no identifiers.

    Raises:
        ConfigurationError: Says which (the caller's fault).
    """
    _unique([*tools, *agents, *([name] if name else [])])
    for word in [*agents, *([name] if name else [])]:
        if not word.isidentifier():
            raise ConfigurationError(
                f"an agent's name must be an identifier, because code calls it by it, not {word!r}"
            )


def _unique(names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigurationError(
            f"tools, managed agents and the agent itself need different names; twice there: {twice}"
        )


def check_count(name: str, value: int) -> int:
    """Return a count of at least 1.

    Raises:
        ConfigurationError: It is not (the caller's fault).
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value


def callback_pairs(callbacks: Sequence[Callable[..., object]] | Mapping[type, object] | None) -> Callbacks:
    """Return callbacks with the class of steps that each wants; a plain list is for action steps.

    Raises:
        ConfigurationError: It is neither a list nor a dict of step classes (the caller's fault).
    """
    if not callbacks:
        return ()
    if isinstance(callbacks, Mapping):
        pairs = [
            (kind, callback)
            for kind, some in callbacks.items()
            for callback in (some if isinstance(some, list | tuple) else [some])
        ]
    elif isinstance(callbacks, list | tuple):
        pairs = [(ActionStep, callback) for callback in callbacks]
    else:
        raise ConfigurationError(f"step_callbacks must be a list or a dict, not {type(callbacks).__name__}")
    for kind, callback in pairs:
        if not (isinstance(kind, type) and issubclass(kind, MemoryStep)) or not callable(callback):
            raise ConfigurationError(
                f"step_callbacks: {kind!r} must be a class of steps and {callback!r} callable"
            )
    return tuple(cast("list[tuple[type[MemoryStep], Callable[..., object]]]", pairs))
