"""Functions for agents, with a schema. These are the public names; importing loads no web or MCP library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinjra.tools.base import Tool as Tool
from pinjra.tools.base import tool as tool
from pinjra.tools.collection import ToolCollection as ToolCollection
from pinjra.tools.fetch import FetchFailed as FetchFailed
from pinjra.tools.library.final_answer import FinalAnswerTool as FinalAnswerTool
from pinjra.tools.library.python import PythonTool as PythonTool
from pinjra.tools.library.user_input import UserInputTool as UserInputTool
from pinjra.tools.library.visit_webpage import VisitWebpageTool as VisitWebpageTool
from pinjra.tools.library.web_search import DuckDuckGoSearchTool as DuckDuckGoSearchTool
from pinjra.tools.library.web_search import WebSearchTool as WebSearchTool
from pinjra.tools.library.wikipedia import WikipediaSearchTool as WikipediaSearchTool
from pinjra.tools.library.wikipedia import WikipediaTool as WikipediaTool
from pinjra.tools.schema import ToolSchema as ToolSchema
from pinjra.tools.schema import json_schema as json_schema
from pinjra.tools.schema import python_signature as python_signature

if TYPE_CHECKING:
    from pinjra.tools.mcp import MCPClient as MCPClient

PythonInterpreterTool = PythonTool  # the name that users of this kind of library know


def __getattr__(name: str) -> object:
    if name == "MCPClient":
        from pinjra.tools.mcp import MCPClient

        return MCPClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
