"""Servers of this machine with names of the internet, for boxes that may reach one of them."""

from __future__ import annotations

import http.server
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pinjra.access.network.authority import Authority


@dataclass
class Server:
    """A server and what it was asked.

    Args:
        seen: Method, path and headers of each request.
    """

    port: int
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Answers with what it was asked; below /files/ with files; /away sends to another host."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.note(self)  # type: ignore[attr-defined]
        if self.path.startswith("/files/"):
            self.path = self.path.removeprefix("/files")
            super().do_GET()
            return
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/away?"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path.startswith("/bytes/"):
            body = b"x" * int(self.path.rpartition("/")[2])
        else:
            auth = self.headers.get("Authorization", "nobody")
            body = f"{self.command} {self.path} {auth} {len(body)}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_TRACE = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        return


class Listening(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), lambda *args: Handler(*args, directory=str(folder)))  # type: ignore[arg-type]
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.told = Server(self.server_address[1])

    def note(self, handler: Handler) -> None:
        self.told.seen.append((handler.command, handler.path, dict(handler.headers)))

    def handle_error(self, request: object, client_address: object) -> None:
        return  # a client that breaks off


def _serve(listening: Listening) -> Iterator[Server]:
    thread = threading.Thread(target=lambda: listening.serve_forever(0.01), daemon=True)
    thread.start()
    yield listening.told
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Server]:
    yield from _serve(Listening(tmp_path))


@pytest.fixture(scope="session")
def outside() -> Authority:
    """Whom this machine trusts, for these tests."""
    return Authority()


@pytest.fixture
def secure(tmp_path: Path, outside: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(outside.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    yield from _serve(Listening(tmp_path, outside.context_for("api.example")))
