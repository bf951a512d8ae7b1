"""Sockets that listen in a box's own network -> connections of the host to what `network=` allows, each one noted.

A box has a network of its own with nothing in it but loopback. Before its first guest line it opens there the sockets that the
gateway listens on, and hands them over: whoever holds them, they stay the box's. No process relays inside of the box, no socket
of the host's network is ever in it.
"""

from __future__ import annotations

import os
import queue
import re
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import h11

from pinjra.access.network import trust
from pinjra.access.network.authority import authority
from pinjra.access.network.names import Names, asked
from pinjra.access.network.requests import Headers, relay_requests
from pinjra.access.network.rules import Refused, Resolve, Rules, look_up
from pinjra.core.access import Access

_READ_BYTES = 64 << 10
_HELLO_BYTES = 64 << 10  # of a TLS greeting
_LINE_BYTES = 8 << 10  # of the first line of a request
_FIRST_SECONDS = 0.3  # for a client to speak; where it does not, the server may speak first
_CONNECT_SECONDS = 20.0
_LOOK_MILLISECONDS = 1000  # for connections whose time is over
_MOST_IDLE = 8  # threads that are kept for the next connections
_NOTED = 1000  # connections that are remembered
_TLS = 0x16
# SECURITY: what a server may take for a request, however it is written: empty lines before it, a method that nobody knows
_TOKEN = rb"\s*[!#$%&'*+.^_`|~0-9A-Za-z-]"
_IS_HTTP = re.compile(_TOKEN + rb"+[ \t][^\n]*(?i:HTTP)/|[A-Z]{3,12} ")
_IS_UNDECIDED = re.compile(_TOKEN + rb"*(?:[ \t][^\n]*)?|\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One connection that a guest made or was refused.

    Args:
        host, port: As the guest asked.
        address: What it led to; "" where it was refused before that.
        refused: Why, or "".
    """

    host: str
    port: int
    address: str = ""
    sent_bytes: int = 0
    received_bytes: int = 0
    seconds: float = 0.0
    has_secret: bool = False
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What goes through the gateway of one box.

    Args:
        total_bytes: Both ways, all connections together.
        connections: Open at one time.
        seconds: Of one connection.
        idle_seconds: In which nothing came on it.
    """

    total_bytes: int = 1 << 30
    connections: int = 64
    seconds: float = 600.0
    idle_seconds: float = 60.0


class Gateway:
    """What all boxes of one configuration reach the network through. Methods may be called from any thread.

    Args:
        on_connection: Told each connection when it has ended; called on a thread of the gateway.
        resolve: Names -> addresses; each connection asks anew.
    """

    def __init__(
        self,
        access: Access,
        *,
        resolve: Resolve = look_up,
        quota: Quota = Quota(),  # noqa: B008 (frozen)
        on_connection: Callable[[Connection], None] | None = None,
    ) -> None:
        self.rules = Rules(access.hosts, resolve)
        self.quota = quota
        self.on_connection = on_connection
        self._secrets = [(Rules([pattern]), pattern, headers) for pattern, headers in access.secrets]

    @property
    def environment(self) -> tuple[str, ...]:
        """Return the variables by which programs of the box find whom to trust."""
        return trust.ENVIRONMENT

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """Return the files of the box: where names are asked for, and whom to trust."""
        own = authority().certificate if self._secrets else ""
        return trust.files(own, Names(self.rules.names).hosts)

    def open(self, door: socket.socket) -> Doorway:
        """Serve the box that hands its listening sockets over on `door`, which is owned from here on."""
        return Doorway(self, door)

    def secret_for(self, host: str, port: int, *, is_encrypted: bool) -> Headers:
        """Return the headers to add. Without encryption only where the user named the port: the whole way can read them."""
        found: list[tuple[str, str]] = []
        for rules, pattern, headers in self._secrets:
            with suppress(Refused):
                rules.check(host, port)
                if is_encrypted or not pattern.endswith(":"):
                    found += headers
        return found


class Doorway:
    """The gateway of one box, from its opening to its end."""

    def __init__(self, gateway: Gateway, door: socket.socket) -> None:
        self.gateway = gateway
        self._door = door
        self._names = Names(gateway.rules.names)
        self._lock = threading.Lock()
        self._open: set[_Visit] = set()
        self._bytes = self._count = 0
        self._is_closed = False
        self._accepted: queue.SimpleQueue[_Visit | None] = queue.SimpleQueue()
        self._idle = 0  # threads that wait for a connection
        self.connections: deque[Connection] = deque(maxlen=_NOTED)
        self._refusals: list[str] = []
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC)
        threading.Thread(target=self._serve, name="pinjra-gateway", daemon=True).start()

    def take_refusals(self) -> list[str]:
        """Return why connections were refused since the last call."""
        with self._lock:
            found, self._refusals = list(dict.fromkeys(self._refusals)), []
        return found

    def close(self) -> None:
        """End all connections. Idempotent."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            visits, self._open = [*self._open], set()
            idle, self._idle = self._idle, 0
        for _thread in range(idle):
            self._accepted.put(None)
        os.close(self._waker)
        for visit in visits:
            visit.cut()

    # ------------------------------------------------------------ the box's side

    def _serve(self) -> None:
        listening: list[socket.socket] = []
        try:
            listening = self._take_over()
            poll = select.poll()
            for fd in (self._wake, *(each.fileno() for each in listening)):
                poll.register(fd, select.POLLIN)
            by_fd = {each.fileno(): each for each in listening}
            while True:
                for fd, _ in poll.poll(_LOOK_MILLISECONDS if self._open else None):
                    if fd == self._wake:
                        return
                    self._on_ready(by_fd[fd])
                self._end_overdue()
        except OSError:
            return  # the box is gone
        finally:
            for each in (*listening, self._door):
                each.close()
            os.close(self._wake)

    def _take_over(self) -> list[socket.socket]:
        """Return the box's sockets: the one for names, then those that listen."""
        poll = select.poll()
        poll.register(self._door, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        poll.poll()
        _, fds, _, _ = socket.recv_fds(self._door, 16, 64)
        return [socket.socket(fileno=fd) for fd in fds]

    def _on_ready(self, ready: socket.socket) -> None:
        if ready.type == socket.SOCK_DGRAM:
            with suppress(OSError):
                question, sender = ready.recvfrom(1024, socket.MSG_DONTWAIT)
                if (reply := self._answer(question)) is not None:
                    ready.sendto(reply, socket.MSG_DONTWAIT, sender)
            return
        ready.setblocking(False)
        with suppress(OSError):
            guest, _ = ready.accept()
            guest.settimeout(self.gateway.quota.idle_seconds)
            guest.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # pieces go as they come
            address, port = guest.getsockname()[:2]
            visit = _Visit(self, guest, self._names.name_of(address), port)
            with self._lock:  # before the next look at what is overdue
                self._open.add(visit)
            self._hand_over(visit)

    def _hand_over(self, visit: _Visit) -> None:
        """Give a connection to a thread that waits for one, which is faster, or to a new one."""
        with self._lock:
            is_one_idle = self._idle > 0
            self._idle -= is_one_idle
        if is_one_idle:
            self._accepted.put(visit)
        else:
            name, work = "pinjra-connection", self._connections_of_a_thread
            threading.Thread(target=work, args=(visit,), name=name, daemon=True).start()

    def _connections_of_a_thread(self, visit: _Visit | None) -> None:
        while visit is not None:
            self._connection(visit)
            with self._lock:
                if self._is_closed or self._idle >= _MOST_IDLE:
                    return
                self._idle += 1
            visit = self._accepted.get()

    def _end_overdue(self) -> None:
        now = time.monotonic()
        with self._lock:
            overdue = [visit for visit in self._open if now > visit.until]
        for visit in overdue:
            visit.cut()

    def _answer(self, question: bytes) -> bytes | None:
        name = asked(question)
        if name is None:
            return None
        is_allowed = self.gateway.rules.knows(name)
        if not is_allowed:
            problem = f"{name} is not allowed: add it to network="
            self.say(problem)
            self._note(Connection(host=name, port=0, refused=problem))
        return self._names.answer(question, name, is_allowed=is_allowed)

    # ------------------------------------------------------------ one connection

    def _connection(self, visit: _Visit) -> None:
        try:
            self._check_room()
            visit.serve()
        except Refused as refusal:
            visit.refuse(str(refusal))
        except (OSError, h11.ProtocolError) as error:
            visit.note_failure(error)
        finally:
            with self._lock:
                self._open.discard(visit)
            self._note(visit.close())

    def check_open(self) -> None:
        """Raise `Refused` when the box is closed."""
        if self._is_closed:
            raise Refused("the box is closed")

    def _check_room(self) -> None:
        """Raise `Refused` when there are too many connections, this one counted."""
        self.check_open()
        with self._lock:
            if len(self._open) > self.gateway.quota.connections:
                raise Refused(f"more than {self.gateway.quota.connections} connections at one time")

    def count(self, size: int) -> None:
        """Count bytes; raise `Refused` when they are too many."""
        with self._lock:
            self._bytes += size
            if self._bytes > self.gateway.quota.total_bytes:
                most = self.gateway.quota.total_bytes
                raise Refused(f"more than {most} bytes went through the network of this box")

    def say(self, problem: str) -> None:
        """Keep why something was refused for the end of the run: called before the guest can know, and end the run."""
        with self._lock:
            if len(self._refusals) < 20:
                self._refusals.append(problem)

    def _note(self, connection: Connection) -> None:
        with self._lock:
            self.connections.append(connection)
        if self.gateway.on_connection is not None:
            self.gateway.on_connection(connection)


class _Visit:
    """One connection: where it goes and what has gone. It owns the guest's end and the server's."""

    def __init__(self, doorway: Doorway, guest: socket.socket, host: str, port: int) -> None:
        self._doorway, self._gateway = doorway, doorway.gateway
        self._guest, self._host, self._port = guest, host, port
        self._started = time.monotonic()
        self.until = self._started + self._gateway.quota.seconds
        self._sent = self._received = 0
        self._server: socket.socket | None = None
        self._has_secret = False
        self._address = self._problem = ""

    def refuse(self, problem: str) -> None:
        """Say why it ends; the first reason counts."""
        if not self._problem:
            self._problem = problem
            self._doorway.say(problem)

    def note_failure(self, error: Exception) -> None:
        """Say that the host was not reached, where that is so."""
        if not self._address:
            self.refuse(f"{self._host}:{self._port} cannot be reached: {error}")

    def cut(self) -> None:
        """End it from another thread: whoever waits for one of the two sides wakes."""
        for stream in (self._guest, self._server):
            if stream is not None:
                with suppress(OSError):
                    socket.socket.shutdown(stream, socket.SHUT_RDWR)

    def close(self) -> Connection:
        """Cut it; return what there is to say about it."""
        self.cut()
        self._guest.close()
        if self._server is not None:
            self._server.close()
        return Connection(
            host=self._host,
            port=self._port,
            address=self._address,
            sent_bytes=self._sent,
            received_bytes=self._received,
            seconds=time.monotonic() - self._started,
            has_secret=self._has_secret,
            refused=self._problem,
        )

    def serve(self) -> None:
        """Pass on what the guest and the server say.

        Raises:
            Refused: The rules do not allow it.
            OSError, h11.ProtocolError: One side broke off.
        """
        if not self._guest_speaks_first():
            self._tunnel(b"")
            return
        is_encrypted = self._guest.recv(1, socket.MSG_PEEK) == bytes([_TLS])
        said = b"" if is_encrypted else self._beginning()
        is_http = _IS_HTTP.match(said) is not None
        secret: Headers = ()
        if is_encrypted or is_http:
            secret = self._gateway.secret_for(self._host, self._port, is_encrypted=is_encrypted)
        self._has_secret = bool(secret)
        if is_encrypted and secret:
            context = authority().context_for(self._host)
            self._guest = context.wrap_socket(self._guest, server_side=True)
        if is_http or secret:
            self._requests(said, secret, is_encrypted=is_encrypted)
        else:
            self._tunnel(self._greeting() if is_encrypted else said)

    def _guest_speaks_first(self) -> bool:
        """Wait for one of the two to speak. SECURITY: also a guest that takes its time is looked at."""
        poll = select.poll()
        poll.register(self._guest, select.POLLIN)
        if poll.poll(_FIRST_SECONDS * 1000):
            return True
        server = self._connect()
        poll.register(server, select.POLLIN)
        ready = [fd for fd, _ in poll.poll(self._gateway.quota.idle_seconds * 1000)]
        return bool(ready) and server.fileno() not in ready

    def _beginning(self) -> bytes:
        """Return the first words of a client that does not encrypt: as much as tells whether they are a request."""
        said = b""
        while not _IS_HTTP.match(said) and _IS_UNDECIDED.fullmatch(said):
            piece = self._guest.recv(_READ_BYTES)
            said += piece
            if not piece:
                break
            if len(said) > _LINE_BYTES and _IS_UNDECIDED.fullmatch(said):
                raise Refused(f"the first line on the connection to {self._host} is too long")
        return said

    def _requests(self, said: bytes, secret: Headers, *, is_encrypted: bool) -> None:
        def connect() -> socket.socket:
            stream = self._connect()
            if is_encrypted:
                context = ssl.create_default_context()
                self._server = stream = context.wrap_socket(stream, server_hostname=self._host)
            return stream

        switched = relay_requests(
            self._guest, connect, self._host, self._port, secret, self._count, self.refuse, said
        )
        if switched is not None:
            server, guest_said, server_said = switched
            server.sendall(guest_said)
            self._guest.sendall(server_said)
            self._both_ways(self._guest, server)

    def _tunnel(self, first: bytes) -> None:
        server = self._connect()
        server.sendall(first)
        self._count(len(first), 0)
        self._both_ways(self._guest, server)

    def _greeting(self) -> bytes:
        """Return the client's TLS greeting; raise `Refused` where it names another host, which the same machine may serve."""
        said, name, greeting = b"", None, _Greeting()
        while name is None:
            piece = self._guest.recv(_READ_BYTES)
            said += piece
            if not piece or len(said) > _HELLO_BYTES:
                raise Refused(f"no TLS greeting came on the connection to {self._host}")
            name = greeting.server_name(piece)
        if name.lower() != self._host and not (name == "" and self._host.replace(".", "").isdigit()):
            raise Refused(
                f"a TLS greeting for {name or 'no host'} on a connection to {self._host}: network= decides by the connection"
            )
        return said

    def _connect(self) -> socket.socket:
        """Return the connection to the host, by an address that was checked; made at the first call."""
        if self._server is not None:
            return self._server
        failure: OSError | None = None
        for address in self._gateway.rules.resolve(self._host, self._port):
            self._doorway.check_open()
            try:
                server = socket.create_connection((address, self._port), timeout=_CONNECT_SECONDS)
            except OSError as error:
                failure = error
                continue
            self._address, self._server = address, server
            self._doorway.check_open()  # who has closed it meanwhile has not seen this one
            server.settimeout(self._gateway.quota.idle_seconds)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return server
        raise failure or OSError(f"{self._host} has no address")

    def _both_ways(self, guest: socket.socket, server: socket.socket) -> None:
        """Pass bytes on until both sides have ended."""
        back = threading.Thread(target=self._pour, args=(server, guest, 0, 1), daemon=True)
        back.start()
        try:
            self._pour(guest, server, 1, 0)
        finally:
            back.join()

    def _pour(self, source: socket.socket, target: socket.socket, sent: int, received: int) -> None:
        try:
            while data := source.recv(_READ_BYTES):
                self._count(sent * len(data), received * len(data))
                target.sendall(data)
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)
        except (OSError, Refused) as error:
            if isinstance(error, Refused):
                self.refuse(str(error))
            for each in (source, target):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _count(self, sent: int, received: int) -> None:
        self._sent += sent
        self._received += received
        self._doorway.count(sent + received)


class _Greeting:
    """A TLS greeting that comes in pieces, read by OpenSSL."""

    def __init__(self) -> None:
        self._named: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = lambda _object, name, _context: self._named.append(name or "")
        self._incoming = ssl.MemoryBIO()
        self._server = context.wrap_bio(self._incoming, ssl.MemoryBIO(), server_side=True)

    def server_name(self, piece: bytes) -> str | None:
        """Take the next piece; return the server's name ("" where it has none), None when the greeting is not whole yet."""
        self._incoming.write(piece)
        is_whole = True
        try:
            self._server.do_handshake()
        except ssl.SSLError as error:
            is_whole = not isinstance(error, ssl.SSLWantReadError)
        return self._named[0] if self._named else "" if is_whole else None
