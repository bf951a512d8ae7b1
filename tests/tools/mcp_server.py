"""An MCP server for tests, made with the SDK: `mcp_server.py stdio`, or `http` or `sse` (both print their port)."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import socket
import sys
from typing import Annotated, Any, Literal, TypedDict

import uvicorn
from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from PIL import Image as Picture
from pydantic import BaseModel, Field

server = MCPServer("test", log_level="CRITICAL")


class Weather(TypedDict):
    city: str
    degrees: float


class Tree(BaseModel):
    label: str
    children: list[Tree] = []


@server.tool()
def add(a: int, b: Annotated[int, Field(description="The second number.")] = 1) -> int:
    """Add two numbers."""
    return a + b


@server.tool(name="read-file", structured_output=False)
def read_file(path: str, encoding: str | None = None) -> str:
    """Read a file that is not there."""
    return f"{path} as {encoding}"


@server.tool()
def weather(city: str) -> Weather:
    """Tell the weather."""
    return Weather(city=city, degrees=21.5)


@server.tool()
def count(tree: Tree, unit: Literal["nodes", "leaves"] = "nodes") -> int:
    """Count the nodes of a tree."""
    return 1 + sum(count(child) for child in tree.children)


@server.tool(structured_output=False)
def draw() -> list[Any]:
    """Draw a red picture."""
    data = io.BytesIO()
    Picture.new("RGB", (2, 3), "red").save(data, "PNG")
    return ["a picture", Image(data=data.getvalue(), format="png")]


@server.tool(structured_output=False)
def broken_image() -> Image:
    """Give something that is no picture."""
    return Image(data=base64.b64decode("AAAA"), format="png")


@server.tool()
def fail() -> str:
    """Fail."""
    raise ToolError("the disk is full")


@server.tool()
async def hang() -> str:
    """Never answer."""
    await asyncio.Event().wait()
    return ""


@server.tool()
def die() -> str:
    """End the server."""
    os._exit(3)


@server.tool()
def pid() -> int:
    """Tell the server's process."""
    return os.getpid()


def main(how: str) -> None:
    if how == "stdio":
        server.run("stdio")
    elif how == "broken":
        sys.exit("the key is missing")
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        app = server.sse_app() if how == "sse" else server.streamable_http_app()
        config = uvicorn.Config(app, log_level="error")
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main(sys.argv[1])
