"""`pinjra mcp` as an MCP client starts it, over standard input and output."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

mcp = pytest.importorskip("mcp")


def test_a_client_that_starts_the_command_can_run_python():
    server = mcp.StdioServerParameters(
        command=sys.executable,
        args=["-m", "pinjra", "mcp", "--executor", "local", "--imports", "numpy", "--wall", "5"],
    )

    async def conversation():
        async with mcp.Client(server) as client:
            return await client.call_tool("run_python", {"code": "import numpy\nint(numpy.arange(4).sum())"})

    result = asyncio.run(asyncio.wait_for(conversation(), 60))
    assert "6" in "".join(getattr(part, "text", "") for part in result.content)


@pytest.mark.parametrize("address", ["8765x", "host:port", "host:99999"])
def test_a_wrong_address_is_bad_input(address):
    done = subprocess.run(
        [sys.executable, "-m", "pinjra", "mcp", "--executor", "local", "--http", address],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert f"--http must be HOST:PORT, not {address!r}" in done.stderr
