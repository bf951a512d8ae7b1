"""A real web server on loopback for the tests of tools: pages, redirects, bombs, and bodies that never end."""

from __future__ import annotations

import functools
import gzip
import ssl
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LINCOLN = (
    "<html><head><title>Lincoln</title><script>alert('x')</script></head><body><h1>Abraham Lincoln</h1>"
    "<p>His preferred pet was a <b>dog</b> named <a href='/fido'>Fido</a>.</p></body></html>"
)


@functools.cache
def bomb() -> bytes:
    """Return 64 MiB of blanks, packed."""
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return b"".join(packer.compress(b" " * (1 << 20)) for _ in range(64)) + packer.flush()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        path, _, query = self.path.partition("?")
        getattr(self, "page_" + path.strip("/").replace("-", "_"), self.page_missing)(query)

    def answer(self, body: bytes, kind: str = "text/html", status: int = 200, **headers: str) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def page_missing(self, query: str) -> None:
        self.answer(b"no", status=404)

    def page_lincoln(self, query: str) -> None:
        self.answer(LINCOLN.encode(), "text/html; charset=utf-8")

    def page_big(self, query: str) -> None:
        self.answer(b"<p>" + b"word " * 1_000_000 + b"</p>")

    def page_long(self, query: str) -> None:
        self.answer(b"<p>" + b"word " * 20_000 + b"</p>")

    def page_hostile(self, query: str) -> None:
        self.answer(b"<h1>Title</h1>" + b"<a " * 30_000)

    def page_deep(self, query: str) -> None:
        self.answer(b"<div>" * 20_000 + b"bottom")

    def page_json(self, query: str) -> None:
        self.answer(b'{"a": [1, 2]}', "application/json")

    def page_png(self, query: str) -> None:
        self.answer(b"\x89PNG", "image/png")

    def page_latin(self, query: str) -> None:
        self.answer("<p>café</p>".encode("latin-1"), "text/html; charset=iso-8859-1")

    def page_meta(self, query: str) -> None:
        self.answer("<meta charset='shift_jis'><p>日本</p>".encode("shift_jis"))

    def page_zip_charset(self, query: str) -> None:
        self.answer(b"<p>plain</p>", "text/html; charset=punycode")

    def page_gzip(self, query: str) -> None:
        self.answer(gzip.compress(LINCOLN.encode()), Content_Encoding="gzip")

    def page_deflate(self, query: str) -> None:
        self.answer(zlib.compress(LINCOLN.encode()), Content_Encoding="deflate")

    def page_damaged(self, query: str) -> None:
        self.answer(b"this is no gzip", Content_Encoding="gzip")

    def page_brotli(self, query: str) -> None:
        self.answer(b"xx", Content_Encoding="br")

    def page_bomb(self, query: str) -> None:
        self.answer(bomb(), Content_Encoding="gzip")

    def page_redirect(self, query: str) -> None:
        self.answer(b"", status=302, Location=query)

    def page_loop(self, query: str) -> None:
        self.answer(b"", status=302, Location="/loop")

    def page_slow(self, query: str) -> None:
        """Send one byte, then nothing until the test is over."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x")
        self.server.is_over.wait(300)
        self.close_connection = True

    def page_drip(self, query: str) -> None:
        """Send the header byte by byte, faster than any timeout of one read, for ever."""
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            while not self.server.is_over.wait(0.05):
                self.wfile.write(b"y")
        except OSError:
            pass
        self.close_connection = True

    def page_api(self, query: str) -> None:
        """Answer as MediaWiki does; set by the test."""
        self.answer(self.server.api_answer, "application/json; charset=utf-8")


class Site(ThreadingHTTPServer):
    daemon_threads = True
    seen: list[tuple[str, dict[str, str]]]
    is_over: threading.Event
    api_answer: bytes = b"{}"

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@contextmanager
def serve(address: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Iterator[Site]:
    site = Site((address, 0), Handler)
    site.seen = []
    site.is_over = threading.Event()
    if context is not None:
        site.socket = context.wrap_socket(site.socket, server_side=True)
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        site.is_over.set()
        site.shutdown()
        site.server_close()
        thread.join()
