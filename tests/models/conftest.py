"""A stand-in for a provider: a real HTTP server on loopback that speaks whatever protocol a test gives it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Answer:
    """One HTTP answer: JSON, or server-sent events when `events` is given."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    events: list[str] | None = None


@dataclass
class Asked:
    """One HTTP request as it came."""

    path: str
    headers: dict[str, str]
    body: Any


class StandIn:
    """Answers requests in order with `answers` (the last one again and again) and records them."""

    def __init__(self) -> None:
        self.answers: list[Answer | Callable[[Asked], Answer]] = []
        self.asked: list[Asked] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        script = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return script(asked) if callable(script) else script

    def _handler(stand_in) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                self._send(stand_in.answer(Asked(self.path, dict(self.headers.items()), body)))

            def do_GET(self) -> None:
                self._send(stand_in.answer(Asked(self.path, dict(self.headers.items()), None)))

            do_HEAD = do_GET

            def _send(self, answer: Answer) -> None:
                if isinstance(answer.body, bytes):
                    data, kind = answer.body, "application/octet-stream"
                elif answer.events is not None:
                    data, kind = "".join(answer.events).encode(), "text/event-stream"
                else:
                    data, kind = json.dumps(answer.body).encode(), "application/json"
                self.send_response(answer.status)
                for name, value in {
                    "content-type": kind,
                    "content-length": str(len(data)),
                    **answer.headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    server = StandIn()
    server.Answer = Answer
    yield server
    server.close()


class Awaited:
    """A model asked on an event loop, a new one each time."""

    def __init__(self, model: Any) -> None:
        self._model = model
        assert model.can_be_awaited
        model.answer = model.pieces = None  # what a thread would call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __repr__(self) -> str:
        return repr(self._model)

    def __deepcopy__(self, memo: object) -> Awaited:
        return self

    def __reduce__(self) -> Any:
        return self._model.__reduce__()

    def generate(self, messages: Any, **options: Any) -> Any:
        return asyncio.run(self._model.agenerate(messages, **options))

    def stream(self, messages: Any, **options: Any) -> Iterator[Any]:
        async def collected() -> None:
            async for item in self._model.astream(messages, **options):
                items.append(item)

        items: list[Any] = []
        try:
            asyncio.run(collected())
        finally:
            yield from items


@pytest.fixture
def awaited() -> type[Awaited]:
    return Awaited
