"""The first program of the documentation runs as written: a code agent reads a page and answers from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pinjra.agents import CodeAgent
from pinjra.core.errors import ExecutorUnavailable
from pinjra.tools.library.visit_webpage import VisitWebpageTool

from .conftest import code_model

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


@pytest.mark.parametrize("executor_type", ["local", "jail"])
def test_a_page_is_read_on_the_host_and_searched_in_the_guest(page: str, executor_type: str) -> None:
    model = code_model(
        f"page = visit_webpage({page!r})\nprint(page)",
        "import re\n\nfinal_answer(re.search(r'\\*\\*(\\w+)\\*\\*', page).group(1))",
    )
    agent = CodeAgent(
        tools=[VisitWebpageTool(allow_hosts=["127.0.0.1"])],
        model=model,
        additional_authorized_imports=["requests", "markdownify"],
        executor_type=executor_type,
        verbosity_level=0,
    )
    try:
        with agent:
            assert agent.run("What was Abraham Lincoln's preferred pet?") == "Fido"
    except ExecutorUnavailable as error:
        pytest.skip(f"{executor_type} cannot run here: {error}")
    assert "preferred pet was the dog **Fido**" in model.requests[1].messages[-1].content


def test_a_page_on_loopback_is_refused_unless_allowed_and_the_model_sees_why(page: str) -> None:
    model = code_model(f"visit_webpage({page!r})", "final_answer('refused')")
    with CodeAgent([VisitWebpageTool()], model, executor_type="local", verbosity_level=0) as agent:
        assert agent.run("x") == "refused"
    assert "Fido" not in model.requests[1].messages[-1].content
    assert "127.0.0.1" in model.requests[1].messages[-1].content
