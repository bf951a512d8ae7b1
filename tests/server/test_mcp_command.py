"""The `pinjra mcp` command itself, spoken to by the SDK's own client."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import mcp
import pytest

from .test_mcp_server import stdio_parameters, talk, text_of

PINJRA = [sys.executable, "-m", "pinjra"]


def test_the_command_serves_over_standard_input_and_output(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n")
    options = ["--imports", "sqlite3", "--wall", "5", "--file", str(tmp_path / "a.csv")]
    parameters = mcp.StdioServerParameters(
        command=PINJRA[0], args=[*PINJRA[1:], "mcp", "--executor", "local", *options]
    )

    async def main() -> None:
        async with mcp.Client(parameters) as client:
            assert "sqlite3" in (client.instructions or "")
            result = await client.call_tool("run_python", {"code": "2 ** 10"})
            assert result.content[0].text == "[value]\n1024\n[session main, new]"
            result = await client.call_tool("run_python", {"code": "open('a.csv').read()", "session": "b"})
            assert text_of(result).startswith("[value]\n'1,2")

    asyncio.run(asyncio.wait_for(main(), 240))


def test_what_the_sandbox_is_given_is_told_and_works(tmp_path: Path) -> None:
    (tmp_path / "own_words.py").write_text("word = 'mine'\n")
    data = tmp_path / "data"
    data.mkdir()
    (data / "n.txt").write_text("7")
    options = ["--program", "sh", "--mount", f"data={data}", "--env", "COLOUR=blue"]
    options += ["--python-path", str(tmp_path), "--imports", "own_words,os"]
    parameters = mcp.StdioServerParameters(
        command=PINJRA[0], args=[*PINJRA[1:], "mcp", "--executor", "local", *options]
    )

    async def main() -> None:
        async with mcp.Client(parameters) as client:
            said = client.instructions or ""
            assert "start: sh." in said
            assert "folders of the machine: data." in said
            assert "no network" in said
            code = (
                "import os, own_words\nprint(input())\nopen('out.txt', 'w').write(open('data/n.txt').read())\n"
                "(os.environ['COLOUR'], own_words.word)"
            )
            result = await client.call_tool("run_python", {"code": code, "stdin": "typed\n"})
            assert text_of(result).splitlines() == [
                "typed",
                "[value]",
                "('blue', 'mine')",
                "[file] out.txt (1 bytes)",
                "[session main, new]",
            ]
            argv = ["sh", "-c", "cat; cat out.txt; exit 3"]
            result = await client.call_tool("run_program", {"argv": argv, "stdin": "in"})
            assert text_of(result).splitlines() == ["in7", "[exit status 3]", "[session main]"]

    asyncio.run(asyncio.wait_for(main(), 240))


def test_without_programs_no_tool_starts_one() -> None:
    parameters = mcp.StdioServerParameters(
        command=PINJRA[0], args=[*PINJRA[1:], "mcp", "--executor", "local"]
    )

    async def main() -> None:
        async with mcp.Client(parameters) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert "run_python" in names
            assert "run_program" not in names

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


def test_the_number_of_sessions_is_bounded() -> None:
    async def conversation(client: mcp.Client) -> None:
        for name in ("a", "b"):
            await client.call_tool("run_python", {"code": "1", "session": name})
        refused = await client.call_tool("run_python", {"code": "1", "session": "c"})
        assert refused.is_error
        assert "2 sessions are open, the most that this server allows" in text_of(refused)
        await client.call_tool("close_session", {"session": "a"})
        assert not (await client.call_tool("run_python", {"code": "1", "session": "c"})).is_error

    talk(stdio_parameters(executor="local", max_sessions=2), conversation)
