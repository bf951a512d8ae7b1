"""The `pinjra mcp` command itself, spoken to by the SDK's own client."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import mcp
import pytest

PINJRA = [sys.executable, "-m", "pinjra"]


def test_the_command_serves_over_standard_input_and_output() -> None:
    parameters = mcp.StdioServerParameters(
        command=PINJRA[0],
        args=[*PINJRA[1:], "mcp", "--executor", "local", "--imports", "sqlite3", "--wall", "5"],
    )

    async def main() -> None:
        async with mcp.Client(parameters) as client:
            assert "sqlite3" in (client.instructions or "")
            result = await client.call_tool("run_python", {"code": "2 ** 10"})
            assert result.content[0].text == "[value]\n1024\n[session main, new]"

    asyncio.run(asyncio.wait_for(main(), 240))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--http", "nowhere"], "'nowhere'"),
        (["--http", "0.0.0.0:0", "--executor", "local"], "other machines can reach 0.0.0.0: set a token"),
        (["--executor", "nowhere"], "there is no executor 'nowhere'"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_status_2(arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [*PINJRA, "mcp", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
