"""Tools of MCP servers: real servers, made with the SDK, over every transport."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import mcp
import pytest
from PIL import Image

from pinjra.core.errors import BackendError, ConfigurationError, ToolRefused
from pinjra.tools.base import Tool
from pinjra.tools.collection import ToolCollection
from pinjra.tools.mcp import MCPClient
from pinjra.tools.mcp_tool import MCPToolError
from pinjra.tools.schema import json_schema, python_signature

SERVER = str(Path(__file__).with_name("mcp_server.py"))


def program(how: str = "stdio") -> mcp.StdioServerParameters:
    return mcp.StdioServerParameters(command=sys.executable, args=[SERVER, how])


@contextmanager
def served(how: str) -> Iterator[str]:
    """Yield the address of a server over HTTP, without its path."""
    with subprocess.Popen([sys.executable, SERVER, how], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served("http") as address:
        yield f"{address}/mcp"


@pytest.fixture(scope="module", params=["stdio", "http"])
def tools(request: pytest.FixtureRequest, url: str) -> Iterator[dict[str, Tool]]:
    parameters: Any = program() if request.param == "stdio" else {"url": url, "transport": "streamable-http"}
    with ToolCollection.from_mcp(parameters, trust_remote_code=True, start_seconds=300) as collection:
        yield {tool.name: tool for tool in collection.tools}


def test_every_tool_of_the_server_is_there_under_a_python_name(tools: dict[str, Tool]) -> None:
    assert set(tools) == {
        *("add", "read_file", "weather", "count", "draw", "broken_image", "fail", "hang", "die", "pid")
    }


def test_a_call_returns_plain_values(tools: dict[str, Tool]) -> None:
    assert tools["add"](2, 3) == 5
    assert tools["add"](a=2) == 3
    assert tools["add"]({"a": 2, "b": 5}) == 7
    assert tools["read_file"]("x", None) == "x as None"
    assert tools["read_file"]("x", encoding="utf-8") == "x as utf-8"
    assert tools["weather"]("Bonn") == {"city": "Bonn", "degrees": 21.5}


def test_pictures_come_as_images(tools: dict[str, Tool]) -> None:
    text, picture = tools["draw"]()
    assert text == "a picture"
    assert isinstance(picture, Image.Image)
    assert (picture.size, picture.getpixel((0, 0))) == ((2, 3), (255, 0, 0))
    assert tools["broken_image"]() == b"\0\0\0"


def test_a_schema_that_refers_to_itself_is_written_out_to_a_finite_one(tools: dict[str, Tool]) -> None:
    count = tools["count"]
    assert count({"label": "a", "children": [{"label": "b", "children": [{"label": "c"}]}]}) == 3
    assert count.inputs["unit"]["enum"] == ["nodes", "leaves"]
    with pytest.raises(ToolRefused, match=r"argument 'tree'\['label'\] must be a string, not 5"):
        count.check_arguments(({"label": 5},), {})
    parameters = json_schema(count).parameters
    jsonschema.Draft202012Validator.check_schema(parameters)
    assert "$ref" not in str(parameters)


def test_arguments_are_checked_before_they_are_sent(tools: dict[str, Tool]) -> None:
    with pytest.raises(ToolRefused, match="argument 'a' must be a whole number, not 'two'"):
        tools["add"].check_arguments(("two",), {})
    with pytest.raises(ToolRefused, match="missing a required argument: 'a'"):
        tools["add"].check_arguments((), {})
    tools["add"].check_arguments((1, None), {})


def test_a_structured_result_is_described_to_the_model(tools: dict[str, Tool]) -> None:
    text = python_signature(tools["weather"])
    assert text.startswith("def weather(city: str) -> dict:")
    assert '"degrees"' in text
    assert python_signature(tools["add"]).startswith("def add(a: int, b: int | None = 1) -> int:")


def test_a_tool_that_fails_says_why(tools: dict[str, Tool]) -> None:
    with pytest.raises(MCPToolError, match="the disk is full"):
        tools["fail"]()


def test_calls_from_many_threads_run_at_once(tools: dict[str, Tool]) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tools["add"], range(40), range(40))) == [2 * number for number in range(40)]


def test_a_call_that_does_not_answer_ends_at_the_time_limit(url: str) -> None:
    with MCPClient(url, seconds=0.3) as found:
        tools = {tool.name: tool for tool in found}
        with pytest.raises(BackendError, match=r"hang did not answer within 0.3 seconds"):
            tools["hang"]()
        assert tools["add"](1, 1) == 2


def test_a_server_that_dies_in_a_call_is_an_error_and_no_hang() -> None:
    with MCPClient(program(), seconds=20, start_seconds=300) as found:
        tools = {tool.name: tool for tool in found}
        with pytest.raises(BackendError, match="die could not be called"):
            tools["die"]()
        with pytest.raises(BackendError):
            tools["add"](1, 1)


def test_text_only_when_asked(url: str) -> None:
    with ToolCollection.from_mcp(url, trust_remote_code=True, structured_output=False) as collection:
        tools = {tool.name: tool for tool in collection.tools}
        assert tools["add"](1, 1) == "2"
        assert tools["weather"].output_schema is None


def test_leaving_the_block_ends_the_servers_program() -> None:
    with MCPClient(program(), start_seconds=300) as found:
        tools = {tool.name: tool for tool in found}
        server = tools["pid"]()
        os.kill(server, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
    with pytest.raises(BackendError, match="is closed"):
        tools["add"](1, 1)


def test_several_servers_may_have_tools_of_the_same_name(url: str) -> None:
    with MCPClient([url, program()], start_seconds=300) as found:
        tools = {tool.name: tool for tool in found}
        assert tools["pid"]() != tools["pid_2"]()


def test_the_server_must_be_trusted_by_word() -> None:
    with (
        pytest.raises(ConfigurationError, match="pass trust_remote_code=True if you trust it"),
        ToolCollection.from_mcp(program()),
    ):
        pass


def test_a_program_that_does_not_start_says_what_it_said() -> None:
    with pytest.raises(BackendError) as caught:
        MCPClient(program("broken"), start_seconds=300)
    assert "the key is missing" in str(caught.value)


def test_a_url_that_ends_in_sse_is_a_server_of_the_old_transport() -> None:
    with (
        served("sse") as address,
        MCPClient([program(), {"url": f"{address}/sse"}], start_seconds=300) as tools,
    ):
        add, add_2 = (tool for tool in tools if tool.name.startswith("add"))
        assert (add(1, 2), add_2(3, 4)) == (3, 7)


def test_a_transport_that_is_named_is_taken_whatever_the_url() -> None:
    with (
        served("sse") as address,
        pytest.raises(BackendError),
        MCPClient({"url": f"{address}/sse", "transport": "streamable-http"}),
    ):
        pass


def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(BackendError, match="cannot be used"):
        MCPClient(mcp.StdioServerParameters(command="/nonexistent/server"))


def test_a_server_that_never_speaks_is_left_at_the_time_limit() -> None:
    silent = mcp.StdioServerParameters(command=sys.executable, args=["-c", "import sys; sys.stdin.read()"])
    with pytest.raises(BackendError, match=r"did not come up within 1.5 seconds"):
        MCPClient(silent, start_seconds=1.5)


@pytest.mark.parametrize(("status", "said"), [(401, "401 Unauthorized"), (404, "404 Not Found")])
def test_a_server_that_refuses_says_how(status: int, said: str) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(BackendError, match=f"cannot be used: it answered with status {said}"):
                MCPClient({"url": f"http://127.0.0.1:{server.server_port}/mcp"})
        finally:
            server.shutdown()
            thread.join()


def test_a_url_where_nobody_listens_is_an_error_that_tells_no_secret() -> None:
    with pytest.raises(BackendError) as caught:
        MCPClient("http://key:hunter2@127.0.0.1:9/mcp?token=hunter2")
    assert "http://127.0.0.1:9/mcp" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (5, "an MCP server is a URL, a dict with 'url' or 'command', or StdioServerParameters"),
        ("example.org", "the URL of an MCP server begins with http:// or https://, not 'example.org'"),
        (
            {"url": "http://x", "transport": "ws"},
            "the transport must be 'streamable-http' or 'sse', not 'ws'",
        ),
    ],
)
def test_wrong_parameters_are_refused(parameters: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        MCPClient(parameters)
    assert str(caught.value) == said


def test_a_missing_package_is_one_clear_line() -> None:
    script = (
        "import sys; sys.modules['mcp'] = None\n"
        "from pinjra.tools.mcp import MCPClient\n"
        "try: MCPClient('http://127.0.0.1:9/')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "MissingDependency mcp is not installed: pip install 'pinjra[mcp]'\n"
