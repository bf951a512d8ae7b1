"""Requests and answers as they pass the gateway: what is read, what is written again, and where it ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from pinjra.access.network.requests import Headers, relay_requests
from pinjra.access.network.rules import Refused


@dataclass
class Relay:
    """A relay between a guest and a server that the test plays."""

    guest: socket.socket
    server: socket.socket
    counted: list[tuple[int, int]] = field(default_factory=list)
    ended: list[object] = field(default_factory=list)
    thread: threading.Thread | None = None

    def begin(self, ours: socket.socket, upstream: socket.socket, secret: Headers = ()) -> None:
        def work() -> None:
            try:
                count = lambda sent, received: self.counted.append((sent, received))  # noqa: E731
                found = relay_requests(
                    ours, lambda: upstream, "a.example", 80, secret, count, lambda _why: None
                )
                self.ended.append(found)
            except (Refused, ConnectionError) as error:
                self.ended.append(error)
            finally:
                ours.close()

        self.thread = threading.Thread(target=work)
        self.thread.start()


@pytest.fixture
def relay() -> Iterator[tuple[Relay, socket.socket, socket.socket]]:
    guest, ours = socket.socketpair()
    upstream, server = socket.socketpair()
    for each in (guest, ours, upstream, server):
        each.settimeout(20)
    made = Relay(guest, server)
    yield made, ours, upstream
    guest.close()
    server.close()
    assert made.thread is not None
    made.thread.join()
    for each in (ours, upstream):
        each.close()


def request(path: str, host: str = "a.example", more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


def until(stream: socket.socket, end: bytes) -> bytes:
    said = b""
    while not said.endswith(end) and (piece := stream.recv(4096)):
        said += piece
    return said


def test_answers_without_a_secret_pass_as_they_come_also_in_pieces_and_one_after_the_other(relay) -> None:
    made, ours, upstream = relay
    made.begin(ours, upstream)
    odd = [
        b"HTTP/1.1 200 Fine\r\nx-OdD:  1\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n",
        b"0\r\n\r\n",
    ]
    for path in ("/1", "/2"):
        made.guest.sendall(request(path))
        assert until(made.server, b"\r\n\r\n").startswith(f"GET {path} ".encode())
        made.server.sendall(odd[0])
        assert until(made.guest, b"hi\r\n") == odd[0]
        made.server.sendall(odd[1])
        assert until(made.guest, b"0\r\n\r\n") == odd[1]
    assert sum(received for _, received in made.counted) == 2 * sum(map(len, odd))


def test_what_a_guest_says_behind_a_request_is_a_request_and_is_checked(relay) -> None:
    made, ours, upstream = relay
    made.begin(ours, upstream)
    made.guest.sendall(request("/1") + request("/2", host="b.example"))
    assert until(made.server, b"\r\n\r\n").startswith(b"GET /1 ")
    made.server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert b"403" in until(made.guest, b"connection\n")
    assert made.server.recv(100) == b""
    assert made.thread is not None
    made.thread.join()
    assert isinstance(made.ended[0], Refused)


@pytest.mark.parametrize("how", ["no length", "close", "a request that closes"])
def test_the_end_of_an_answer_is_the_end_of_the_connection_where_it_is_said_so(relay, how: str) -> None:
    made, ours, upstream = relay
    made.begin(ours, upstream)
    made.guest.sendall(request("/", more="Connection: close\r\n" if how == "a request that closes" else ""))
    until(made.server, b"\r\n\r\n")
    head = {"no length": b"", "close": b"Connection: close\r\nContent-Length: 2\r\n"}.get(
        how, b"Content-Length: 2\r\n"
    )
    made.server.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\nok")
    made.server.shutdown(socket.SHUT_WR)
    assert until(made.guest, b"never").endswith(b"\r\n\r\nok")


def test_a_websocket_s_first_words_come_once(relay) -> None:
    made, ours, upstream = relay
    made.begin(ours, upstream)
    made.guest.sendall(request("/", more="Connection: Upgrade\r\nUpgrade: websocket\r\n"))
    until(made.server, b"\r\n\r\n")
    said = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"
    made.server.sendall(said)
    assert until(made.guest, b"hi") == said
    assert made.thread is not None
    made.thread.join()
    assert isinstance(made.ended[0], tuple)
    assert made.ended[0][1:] == (b"", b"")


def test_a_client_of_http_1_0_gets_no_chunks(relay) -> None:
    made, ours, upstream = relay
    made.begin(ours, upstream)
    made.guest.sendall(b"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
    until(made.server, b"\r\n\r\n")
    made.server.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    assert until(made.guest, b"never").endswith(b"\r\n\r\nok")


def test_with_a_secret_answers_are_written_again_and_masked(relay) -> None:
    made, ours, upstream = relay
    made.begin(ours, upstream, [("X-Key", "s3cret-word")])
    made.guest.sendall(request("/"))
    assert b"X-Key: s3cret-word" in until(made.server, b"\r\n\r\n")
    made.server.sendall(b"HTTP/1.1 200 OK\r\nX-Echo: s3cret-word\r\nContent-Length: 11\r\n\r\ns3cret-word")
    assert b"s3cret-word" not in until(made.guest, b"*" * 11)
