"""Names of shipped tools -> the tools, for command lines and settings files."""

from __future__ import annotations

from collections.abc import Iterable
from pkgutil import resolve_name

from pinjra.core.errors import ConfigurationError
from pinjra.core.nearest import nearest
from pinjra.tools.base import Tool

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
    made: Tool = resolve_name(SHIPPED[name])()
    return made
