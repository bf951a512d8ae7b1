"""An MCP server that means harm: what it says of its tools, and what they answer, costs and starts nothing here."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mcp
import pytest

from pinjra.core.errors import BackendError
from pinjra.tools.base import Tool
from pinjra.tools.mcp import MCPClient
from pinjra.tools.schema import json_schema, python_signature

SERVER = Path(__file__).parents[1] / "escapes" / "mcp_server_that_lies.py"


@contextmanager
def only_tool(name: str) -> Iterator[Tool]:
    server = mcp.StdioServerParameters(command=sys.executable, args=[str(SERVER), name])
    with MCPClient(server, seconds=300, start_seconds=300) as tools:
        yield tools[0]


@pytest.mark.parametrize("name", ["pattern", "reference_elsewhere", "other_type"])
def test_an_answer_is_not_checked_by_what_the_server_says_of_it(name: str) -> None:
    with only_tool(name) as tool:
        assert tool() == {"a": "a" * 40 + "!"}


def test_no_program_is_started_to_read_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with only_tool("picture_read_by_a_program") as tool:
        assert tool().startswith(b"%!PS")
    assert not (tmp_path / "started").exists()


def test_a_picture_of_too_many_pixels_stays_what_it_is() -> None:
    with only_tool("picture_of_many_pixels") as tool:
        assert tool().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["long_references", "wide_references", "long_words", "long_choices"])
def test_what_a_schema_becomes_is_bounded(name: str) -> None:
    with only_tool(name) as tool:
        assert tool() == "here"
        assert len(tool.inputs) == 4000
        assert len(json.dumps(json_schema(tool).parameters)) < 1_000_000
        assert len(python_signature(tool)) < 1_000_000


class Flood(BaseHTTPRequestHandler):
    """An answer in JSON that has no end."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if self.path == "/packed":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" " * (1 << 20))
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("path", "said"), [("endless", "has no end"), ("packed", "is compressed")])
def test_an_answer_without_end_is_left(path: str, said: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Flood) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(BackendError, match=said):
                MCPClient(f"http://127.0.0.1:{server.server_port}/{path}", start_seconds=300)
        finally:
            server.shutdown()
            thread.join()
