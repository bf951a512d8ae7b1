"""What the examples of each page need from outside: a page on loopback, models that follow a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import pinjra
from pinjra import ScriptedModel, VisitWebpageTool

HTML = b"<html><body><h1>Abraham Lincoln</h1><p>His preferred pet was the dog <b>Fido</b>.</p></body></html>"


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(HTML)))
        self.end_headers()
        self.wfile.write(HTML)

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def lookup(key: str) -> int:
    """Return how often a product was sold in March.

    Args:
        key: The product.
    """
    return len(key)


Prepare = Callable[[], dict[str, Any]]


@pytest.fixture
def prepare(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> dict[str, Prepare]:
    """Give for each page what makes its namespace; what needs the network is replaced by what runs on loopback."""

    def readme() -> dict[str, Any]:
        address = f"127.0.0.1:{request.getfixturevalue('port')}"
        script = [
            fenced(f"page = visit_webpage('http://{address}/')"),
            fenced("final_answer(page.split()[-1])"),
        ]
        monkeypatch.setattr(pinjra, "InferenceClientModel", lambda: ScriptedModel(script))
        monkeypatch.setattr(pinjra, "VisitWebpageTool", lambda: VisitWebpageTool(allow_hosts=[address]))
        return {}

    def agents() -> dict[str, Any]:
        monkeypatch.chdir(tmp_path)  # the audit log
        plain = fenced("final_answer(lookup('pen'))")
        typed = fenced("final_answer({'name': 'pen', 'sold': lookup('pen')})")
        return {"lookup": lookup, "model": ScriptedModel([plain, typed, plain])}

    def models() -> dict[str, Any]:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-nothing")
        return {}

    def tools() -> dict[str, Any]:
        monkeypatch.chdir(Path(__file__).parents[1] / "tools")  # mcp_server.py
        return {}

    return {"README.md": readme, "agents.md": agents, "models.md": models, "tools.md": tools}
