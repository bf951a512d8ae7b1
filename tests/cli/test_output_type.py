"""`pinjra run --output-type`: the answer is checked, converted and printed as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("pydantic")
ORDERS = "from dataclasses import dataclass\n\n@dataclass\nclass Order:\n    name: str\n    count: int\n"


class Provider(HTTPServer):
    """Answers chat completions with code, one after the other, as pieces."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.codes: list[str] = []
        self.asked: list[Any] = []


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        delta = {"role": "assistant", "content": f"```python\n{self.server.codes.pop(0)}\n```"}
        choice = {"index": 0, "delta": delta, "finish_reason": "stop"}
        chunk = {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(provider: Provider, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    where = {"OPENAI_BASE_URL": f"http://127.0.0.1:{provider.server_port}/v1", "OPENAI_API_KEY": "none"}
    words = ["run", "Do it.", "--model", "openai:m", "--executor", "local", *options]
    return subprocess.run(
        [sys.executable, "-m", "pinjra", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **where},
    )


def test_an_answer_that_does_not_fit_goes_back_and_one_that_fits_is_printed_as_json(
    provider: Provider, tmp_path: Path
) -> None:
    (tmp_path / "orders.py").write_text(ORDERS)
    provider.codes = ["final_answer('two pens')", "final_answer({'name': 'pen', 'count': '2'})"]
    done = run(provider, tmp_path, "--output-type", "orders:Order", "--quiet")
    assert done.stdout == '{"name": "pen", "count": 2}\n', done.stderr
    assert done.returncode == 0
    assert "was not accepted" in json.dumps(provider.asked[1]["messages"])


def test_a_type_of_the_language_is_named_as_in_code_and_events_hold_data(
    provider: Provider, tmp_path: Path
) -> None:
    provider.codes = ["final_answer((1, 2))"]
    done = run(provider, tmp_path, "--output-type", "list[int]", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["value"] for event in events if "value" in event and "call" not in event] == [[1, 2]], (
        done.stderr
    )


@pytest.mark.parametrize("name", ["integer", "orders:Nothing", "no_such_module:Order", "3 +"])
def test_what_names_no_type_is_told_before_a_model_is_asked(
    provider: Provider, tmp_path: Path, name: str
) -> None:
    (tmp_path / "orders.py").write_text(ORDERS)
    done = run(provider, tmp_path, "--output-type", name)
    assert done.returncode == 2
    assert f"{name!r} names no type" in done.stderr
    assert "Traceback" not in done.stderr
    assert provider.asked == []
