"""Names of shipped tools -> the tools, for command lines and settings files."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from pinjra.core.errors import ConfigurationError
from pinjra.core.nearest import nearest
from pinjra.tools.base import Tool

__all__ = ["SHIPPED", "shipped_tools"]

SHIPPED = {
    "visit_webpage": "pinjra.tools:VisitWebpageTool",
    "web_search": "pinjra.tools:WebSearchTool",
    "wikipedia": "pinjra.tools:WikipediaTool",
    "user_input": "pinjra.tools:UserInputTool",
}


def shipped_tools(wanted: Iterable[str]) -> list[Tool]:
    """Return the tools of these names.

    Raises:
        ConfigurationError: There is no such tool (the caller's fault).
    """
    return [_tool(name) for name in wanted]


def _tool(name: str) -> Tool:
    if name not in SHIPPED:
        raise ConfigurationError(f"there is no tool {name!r}; {nearest(name, SHIPPED)}")
    module, _, attribute = SHIPPED[name].partition(":")
    made: Tool = getattr(import_module(module), attribute)()
    return made
