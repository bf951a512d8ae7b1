"""Requests of the guest -> the same requests with a secret, to the one host that the connection is for; answers back without it.

Requests are parsed and written again by h11, so that nothing can be said between the lines: what one side would read as one
request and the other as two (request smuggling) does not come out of here. Answers are written again only where a secret is to be
masked in them: else they pass as they come, and are read only to know where they end.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence

import h11

from pinjra.access.network.rules import Refused

_READ_BYTES = 64 << 10
_HEAD_BYTES = 256 << 10  # of the head of one request or answer
# Said between two neighbours only, or decided here.
_DROPPED = (b"expect", b"proxy-authorization", b"proxy-connection")

Headers = Sequence[tuple[str, str]]
Count = Callable[[int, int], None]
"""Bytes to the server, bytes from it."""


class _Side:
    """One neighbour: a socket and what h11 makes of it."""

    def __init__(self, stream: socket.socket, role: type[h11.CLIENT] | type[h11.SERVER]) -> None:
        self.stream = stream
        self.state = h11.Connection(role, max_incomplete_event_size=_HEAD_BYTES)

    def receive(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            event = self.state.next_event()
            if event is not h11.NEED_DATA:
                return event
            self.state.receive_data(self.stream.recv(_READ_BYTES))

    def is_done(self, *, reading_only: bool = False) -> bool:
        """Return whether a request and its answer are through, and another may follow."""
        if self.state.trailing_data[1]:  # it has closed: an answer without a length ends so
            return False
        return self.state.their_state is h11.DONE and (reading_only or self.state.our_state is h11.DONE)

    def begin_next(self, *, reading_only: bool = False) -> None:
        """Get ready for the next request; h11 knows nothing of an answer that was only passed on."""
        if not reading_only:
            self.state.start_next_cycle()
            return
        said = self.state.trailing_data[0]
        self.state = h11.Connection(self.state.our_role, max_incomplete_event_size=_HEAD_BYTES)
        if said:
            self.state.receive_data(said)

    def send(self, event: h11.Event) -> int:
        data = self.state.send(event) or b""
        self.stream.sendall(data)
        return len(data)


def relay_requests(
    guest: socket.socket,
    connect: Callable[[], socket.socket],
    host: str,
    port: int,
    secret: Headers,
    count: Count,
    on_refused: Callable[[str], None],
    said: bytes = b"",
) -> tuple[socket.socket, bytes, bytes] | None:
    """Pass requests on until one side ends.

    Args:
        connect: Opens the connection to the server, at the first request.
        count: Told each piece; raises when there was too much.
        on_refused: Told why, before the guest is.
        said: What was read of the guest already.

    Returns:
        None; or, when both agreed to speak something else (a websocket), the server's socket and what each side said already.

    Raises:
        Refused: The request is for another host, or of a kind that is not passed on.
        OSError, h11.ProtocolError: One side broke off, or spoke no HTTP.
    """
    ours = _Side(guest, h11.SERVER)
    if said:
        ours.state.receive_data(said)
    server: _Side | None = None
    try:
        while True:
            request = ours.receive()
            if not isinstance(request, h11.Request):
                return None
            try:
                _check(request, host, port)
                if server is None:
                    server = _Side(connect(), h11.CLIENT)
            except Refused as refusal:
                on_refused(str(refusal))
                _refuse(ours, str(refusal))
                raise
            _pass_request(ours, server, request, secret, count)
            # HTTP/1.0 knows no chunks, which a server may answer with.
            is_as_it_comes = not secret and request.http_version >= b"1.1"
            if is_as_it_comes:
                is_switched, server_said = _pass_as_it_comes(ours, server, count), b""
            else:
                is_switched = _pass_answer(ours, server, secret, count)
                server_said = server.state.trailing_data[0]
            if is_switched:
                stream, server = server.stream, None
                return stream, ours.state.trailing_data[0], server_said
            if not (ours.is_done(reading_only=is_as_it_comes) and server.is_done()):
                return None
            ours.begin_next(reading_only=is_as_it_comes)
            server.begin_next()
    finally:
        if server is not None:
            server.stream.close()


def _check(request: h11.Request, host: str, port: int) -> None:
    """Raise `Refused` where a request is for another host than the connection's, or its method is none of a client's."""
    named = [value.decode("latin-1").lower() for name, value in request.headers if name == b"host"]
    # SECURITY: a server that has several names chooses by this header; the secret is for the one name
    if len(named) != 1 or named[0] not in (host, f"{host}:{port}"):
        raise Refused(
            f"a request for {', '.join(named) or 'no host'} on a connection to {host}: network= decides by the connection"
        )
    if not request.target.startswith((b"/", b"*")):
        raise Refused(f"the target {request.target[:60]!r} is no path: the box needs no proxy settings")
    # SECURITY: TRACE sends back what came, the secret with it
    if request.method.upper() in (b"CONNECT", b"TRACE", b"TRACK"):
        raise Refused(f"{request.method.decode('latin-1')} is not passed on")


def _pass_request(ours: _Side, server: _Side, request: h11.Request, secret: Headers, count: Count) -> None:
    added = {name.lower().encode() for name, _ in secret}
    dropped = {*_DROPPED, *added, *((b"accept-encoding",) if secret else ())}
    headers = [(name, value) for name, value in request.headers if name not in dropped]
    headers += [(name.encode(), value.encode()) for name, value in secret]
    if secret:
        headers.append((b"Accept-Encoding", b"identity"))  # so that an echo of the secret can be seen
    sent = server.send(h11.Request(method=request.method, target=request.target, headers=headers))
    count(sent, 0)
    if ours.state.they_are_waiting_for_100_continue:
        ours.send(h11.InformationalResponse(status_code=100, headers=[]))
    while True:
        event = ours.receive()
        if isinstance(event, h11.Data):
            count(server.send(h11.Data(data=event.data)), 0)
        elif isinstance(event, h11.EndOfMessage):
            count(server.send(h11.EndOfMessage(headers=event.headers)), 0)
            return
        else:
            raise ConnectionError("the guest ended in the middle of a request")


def _pass_answer(ours: _Side, server: _Side, secret: Headers, count: Count) -> bool:
    """Pass an answer on; return whether both sides speak something else from now on."""
    masks = _Masks(secret)
    while True:
        event = server.receive()
        if isinstance(event, h11.InformationalResponse):
            if event.status_code == 101:
                count(0, ours.send(event))
                return True
            continue  # 100: the guest was told already
        if isinstance(event, h11.Response):
            headers = [(name, masks.whole(value)) for name, value in event.headers]
            answer = h11.Response(status_code=event.status_code, headers=headers, reason=event.reason)
            count(0, ours.send(answer))
        elif isinstance(event, h11.Data):
            for piece in masks.pieces(bytes(event.data)):
                count(0, ours.send(h11.Data(data=piece)))
        elif isinstance(event, h11.EndOfMessage):
            for piece in masks.rest():
                count(0, ours.send(h11.Data(data=piece)))
            count(0, ours.send(h11.EndOfMessage(headers=event.headers)))
            return False
        else:
            raise ConnectionError("the server ended in the middle of an answer")


def _pass_as_it_comes(ours: _Side, server: _Side, count: Count) -> bool:
    """Pass an answer on while it comes; return whether both sides speak something else from now on."""
    while True:
        event = server.state.next_event()
        if event is h11.NEED_DATA:
            data = server.stream.recv(_READ_BYTES)
            count(0, len(data))
            ours.stream.sendall(data)
            server.state.receive_data(data)
        elif isinstance(event, h11.InformationalResponse) and event.status_code == 101:
            return True
        elif isinstance(event, h11.EndOfMessage):
            return False
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            raise ConnectionError("the server ended in the middle of an answer")


class _Masks:
    """Stars for a secret that a server sends back as it came. What it changes (base64) is not seen."""

    def __init__(self, secret: Headers) -> None:
        words = {value for _, value in secret} | {value.rpartition(" ")[2] for _, value in secret}
        self._words = sorted((word.encode() for word in words if len(word) >= 6), key=len, reverse=True)
        self._most = max((len(word) for word in self._words), default=1) - 1
        self._held = b""

    def whole(self, data: bytes) -> bytes:
        for word in self._words:
            data = data.replace(word, b"*" * len(word))
        return data

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Return what can be said; the end, which may be the beginning of a secret, is held back."""
        data = self.whole(self._held + data)
        keep = len(data) - self._most if self._most else len(data)
        self._held = data[max(keep, 0) :]
        if keep > 0:
            yield data[:keep]

    def rest(self) -> Iterator[bytes]:
        if self._held:
            yield self._held


def _refuse(side: _Side, text: str) -> None:
    """Answer with the reason, and end."""
    body = f"pinjra: {text}\n".encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    side.send(h11.Response(status_code=403, headers=headers))
    side.send(h11.Data(data=body))
    side.send(h11.EndOfMessage())
