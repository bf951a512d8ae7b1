"""ToolCollection: several tools together, as an MCP server offers them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pinjra.core.errors import ConfigurationError
from pinjra.tools.base import Tool

if TYPE_CHECKING:
    from mcp import StdioServerParameters


class ToolCollection:
    """Tools that belong together; give `collection.tools` to an agent."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self.tools = list(tools)

    @classmethod
    @contextmanager
    def from_mcp(
        cls,
        server_parameters: StdioServerParameters | dict[str, Any] | str,
        trust_remote_code: bool = False,
        structured_output: bool = True,
        *,
        seconds: float = 60.0,
        start_seconds: float = 30.0,
    ) -> Iterator[ToolCollection]:
        """Yield the tools of an MCP server; the connection lives until the `with` block ends.

        Args:
            server_parameters: `mcp.StdioServerParameters` (a program to start), or a URL, or a dict with "url" and
                optionally "headers" and "transport" ("streamable-http", or "sse" for old servers; by default "sse" where
                the URL's path ends in `/sse`).
            trust_remote_code: Must be True: a stdio server is a program that runs on this machine with your rights,
                and the texts of any server reach the model.
            structured_output: Give structured results as data (True), or the text of them only.
            seconds: Longest time one call of a tool may take.
            start_seconds: Longest time the server may take to come up.

        Raises:
            ConfigurationError: The parameters are wrong, or `trust_remote_code` is not True (the caller's fault).
            MissingDependency: The `mcp` package is not installed.
            BackendError: The server does not start, answer, or speak the protocol (the server's fault).
        """
        from pinjra.tools.mcp import MCPClient

        if trust_remote_code is not True:
            raise ConfigurationError(
                "an MCP server's program runs on this machine with your rights, and its texts reach the model: "
                "pass trust_remote_code=True if you trust it"
            )
        with MCPClient(
            server_parameters, structured_output, seconds=seconds, start_seconds=start_seconds
        ) as tools:
            yield cls(tools)
