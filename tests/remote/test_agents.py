"""Agents in remote sandboxes: the first program of the documentation, and managed agents in sessions of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from pinjra.agents import CodeAgent
from pinjra.core.errors import ExecutorUnavailable
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


def code_model(*codes: str) -> ScriptedModel:
    """Return a model that writes these codes, one a step."""
    return ScriptedModel([f"Thought.\n```python\n{code}\n```" for code in codes])


def test_the_first_program_runs_in_a_cloud_sandbox(page: str, e2b: Any, e2b_server: Any):
    model = code_model(
        f"page = visit_webpage({page!r})\nprint(page)",
        "import re\n\nfinal_answer(re.search(r'\\*\\*(\\w+)\\*\\*', page).group(1))",
    )
    before = len(e2b_server.requests)
    agent = CodeAgent(
        tools=[VisitWebpageTool(allow_hosts=["127.0.0.1"])],
        model=model,
        additional_authorized_imports=["requests", "markdownify"],
        executor_type="e2b",
        executor_kwargs={"install": False},  # the stand-in's sandbox is this machine
        verbosity_level=0,
    )
    with agent:
        assert agent.run("What was Abraham Lincoln's preferred pet?") == "Fido"
    assert "preferred pet was the dog **Fido**" in model.requests[1].messages[-1].content
    assert [what for what, _ in e2b_server.requests[before:]].count("create") == 1


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Name and parameters of an executor."""
    name = request.param
    if name == "e2b":
        request.getfixturevalue("e2b")
        return name, {"install": False}
    if name == "docker":
        return name, {"image": "pinjra-test:python", "base_url": request.getfixturevalue("daemon")}
    return name, {}


@pytest.mark.parametrize(
    "backend", ["e2b", pytest.param("docker", marks=pytest.mark.docker), "jail"], indirect=True
)
def test_a_managed_agent_works_in_a_session_of_its_own_of_the_same_backend(
    backend: tuple[str, dict[str, Any]],
):
    name, options = backend
    common: dict[str, Any] = {"executor_type": name, "executor_kwargs": options, "verbosity_level": 0}
    seen: list[str] = []

    def note(text: str) -> str:
        """Note a text.

        Args:
            text: What to note.
        """
        seen.append(text)
        return text.upper()

    helper = CodeAgent(
        [note],
        code_model("secret = 7\nx = note('in the helper')", "final_answer({'said': x, 'n': secret})"),
        name="helper",
        description="Helps.",
        **common,
    )
    manager = CodeAgent(
        [],
        code_model(
            "secret = 1\nfound = helper('do it')\nprint(found)",
            "try:\n    x\nexcept NameError:\n    final_answer((found['said'], found['n'], secret))",
        ),
        managed_agents=[helper],
        **common,
    )
    try:
        with manager, helper:
            assert manager.run("x") == ("IN THE HELPER", 7, 1)
    except ExecutorUnavailable as error:
        pytest.skip(f"{name} cannot run here: {error}")
    assert seen == ["in the helper"]
