"""The first program of the documentation, and the page that it reads, on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from pinjra.agents import CodeAgent
from pinjra.models.scripted import ScriptedModel
from pinjra.tools.library.visit_webpage import VisitWebpageTool

PAGE = b"<html><body><h1>Lincoln</h1><p>His preferred pet was the dog <b>Fido</b>.</p></body></html>"


class Page(BaseHTTPRequestHandler):
    """Serves one page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


@pytest.fixture
def page() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def check_first_program(page: str, executor_type: str, **executor_kwargs: Any) -> None:
    """Run it: the page is read on the host and searched in the guest."""
    codes = (
        f"page = visit_webpage({page!r})\nprint(page)",
        "import re\n\nfinal_answer(re.search(r'\\*\\*(\\w+)\\*\\*', page).group(1))",
    )
    model = ScriptedModel([f"Thought.\n```python\n{code}\n```" for code in codes])
    agent = CodeAgent(
        tools=[VisitWebpageTool(allow_hosts=["127.0.0.1"])],
        model=model,
        additional_authorized_imports=["requests", "markdownify"],
        executor_type=executor_type,
        executor_kwargs=executor_kwargs,
        verbosity_level=0,
    )
    with agent:
        assert agent.run("What was Abraham Lincoln's preferred pet?") == "Fido"
    assert "preferred pet was the dog **Fido**" in model.requests[1].messages[-1].content
