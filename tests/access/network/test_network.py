"""A box that may reach one host: unchanged clients, secrets that are not in it, and what it must not reach."""

from __future__ import annotations

import gc
import shutil
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pinjra import ConfigurationError, Limits, sandbox
from pinjra.core.execution import Execution
from pinjra.executors.jail import JailExecutor
from pinjra.jail.plan import JailUnavailable

from .conftest import Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")

SECRET = "Bearer very-secret-word-8231"


@contextmanager
def box_for(server: Server, *, secret: bool = False, **options: object) -> Iterator[JailExecutor]:
    """A box that may reach the server by the name api.example, and nothing else."""
    host = f"api.example:{server.port}"
    options = {
        "network": [host],
        "secrets": {host: {"Authorization": SECRET}} if secret else {},
        "resolve": lambda _name, _port: ["127.0.0.1"],
        "guard": False,
        "limits": Limits(wall_seconds=60),
        **options,
    }
    try:
        box = sandbox("jail", **options)
    except JailUnavailable as error:
        pytest.skip(str(error))
    assert isinstance(box, JailExecutor)
    with box:
        yield box


def value(done: Execution) -> object:
    assert done.error is None, done.error
    return done.value


CLIENTS = {
    "urllib": "import urllib.request\nurllib.request.urlopen('{url}').read().decode()",
    "requests": "import requests\nrequests.get('{url}').text",
    "requests session": "import requests\nwith requests.Session() as s:\n    t = [s.get('{url}').text for _ in range(3)]\nt[2]",
    "httpx": "import httpx\nhttpx.get('{url}').text",
    "httpx async": """
import asyncio, httpx
async def main():
    async with httpx.AsyncClient() as client:
        return (await client.get('{url}')).text
text = asyncio.run(main())
text
""",
    "aiohttp": """
import asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession() as session, session.get('{url}') as answer:
        return await answer.text()
text = asyncio.run(main())
text
""",
}


@pytest.mark.parametrize("client", CLIENTS)
def test_an_unchanged_client_reaches_the_host(plain: Server, client: str) -> None:
    with box_for(plain) as box:
        text = value(box.run(CLIENTS[client].format(url=f"http://api.example:{plain.port}/a")))
    assert text == "GET /a nobody 0\n"


@pytest.mark.parametrize("secret", [False, True])
@pytest.mark.parametrize("client", CLIENTS)
def test_an_unchanged_client_reaches_the_host_encrypted(secure: Server, client: str, secret: bool) -> None:
    with box_for(secure, secret=secret) as box:
        text = value(box.run(CLIENTS[client].format(url=f"https://api.example:{secure.port}/a")))
    assert text == f"GET /a {'*' * len(SECRET) if secret else 'nobody'} 0\n"
    assert secure.seen[0][2].get("Authorization") == (SECRET if secret else None)


PROGRAMS = {
    "curl": ["curl", "-sS", "-d", "abc", "{url}/a"],
    "node": [
        "node",
        "-e",
        "fetch('{url}/a', {{method: 'POST', body: 'abc'}}).then(r => r.text()).then(t => process.stdout.write(t))",
    ],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_reach_it_too(secure: Server, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed here")
    url = f"https://api.example:{secure.port}"
    with box_for(secure, secret=True, programs=[program]) as box:
        done = box.exec([word.format(url=url) for word in PROGRAMS[program]])
    assert done.stdout == f"POST /a {'*' * len(SECRET)} 3\n", done.stderr


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed here")
def test_git_clones_a_repository(plain: Server, tmp_path: Path) -> None:
    steps = (
        "git init -q r && cd r && echo hello > a && git add a && git -c user.name=A -c user.email=a@b commit -qm first "
        "&& git clone -q --bare . ../r.git && cd ../r.git && git update-server-info"
    )
    subprocess.run(["bash", "-c", steps], cwd=tmp_path, check=True)
    with box_for(plain, programs=["git"]) as box:
        done = box.exec(["git", "clone", "-q", f"http://api.example:{plain.port}/files/r.git"])
        assert done.status == 0, done.stderr
        assert box.get_file("r/a") == b"hello\n"


def test_pip_finds_a_wheel(plain: Server, tmp_path: Path) -> None:
    import zipfile

    (tmp_path / "simple" / "tiny").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "simple" / "tiny" / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "answer = 42\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr(
            "tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    (tmp_path / "simple" / "tiny" / "index.html").write_text("<a href='tiny-1.0-py3-none-any.whl'>tiny</a>")
    index = f"http://api.example:{plain.port}/files/simple/"
    words = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--trusted-host",
        "api.example",
        "-t",
        "lib",
    ]
    with box_for(plain, programs=["bash"]) as box:
        done = box.exec([*words, "--index-url", index, "tiny"])
        assert done.status == 0, done.stderr
        assert box.get_file("lib/tiny.py") == b"answer = 42\n"


def test_the_box_has_servers_of_its_own(plain: Server) -> None:
    code = """
import asyncio
async def main():
    server = await asyncio.start_server(lambda r, w: (w.write(b"own"), w.close()), "127.0.0.1", 0)
    reader, _ = await asyncio.open_connection(*server.sockets[0].getsockname())
    return await reader.read()
text = asyncio.run(main())
text
"""
    with box_for(plain) as box:
        assert value(box.run(code)) == b"own"


# ---------------------------------------------------------------- what is refused, and how it is said


def test_another_host_is_refused_by_the_name_of_the_parameter(plain: Server) -> None:
    with box_for(plain) as box:
        done = box.run("import urllib.request\nurllib.request.urlopen('http://evil.example/')")
    assert done.error is not None
    assert "evil.example is not allowed: add it to network=" in str(done.error)
    assert box.connections[-1].refused


ESCAPES = Path(__file__).parents[2] / "escapes"


def attacked(box: JailExecutor, name: str, port: int) -> Execution:
    """Return what a program that means harm comes to; it says what it has seen."""
    done = box.run((ESCAPES / f"{name}.py").read_text().replace("{{PORT}}", str(port)))
    assert done.error is None, done.error
    return done


def test_another_port_is_not_reached(plain: Server) -> None:
    with box_for(plain) as box:
        done = attacked(box, "hosts_other_ports", plain.port)
    assert done.stdout.count("Connection refused") == 6, done.stdout
    assert "connected" not in done.stdout
    assert plain.seen == []


def test_a_name_that_turns_to_this_machine_is_refused(plain: Server) -> None:
    inward = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "0.0.0.0"]
    answers = iter(inward * 4)
    with box_for(plain, network=["api.example"], resolve=lambda _name, _port: [next(answers)]) as box:
        done = attacked(box, "hosts_that_turn_inward", 80)
    assert "leads to 127.0.0.1, which is not of the internet" in done.stdout + str(done.notes), done.stdout
    assert done.stdout.count("HTTP Error 403") == 12, done.stdout  # the gateway's own word
    assert plain.seen == []


def test_a_redirect_to_another_host_goes_nowhere_and_takes_no_secret(plain: Server) -> None:
    with box_for(plain, secret=True) as box:
        done = attacked(box, "hosts_that_send_elsewhere", plain.port)
        assert "127.0.0.1" in str(done.notes)
        evil = f"import requests\nrequests.get('http://api.example:{plain.port}/away?http://evil.example/x')"
        assert "evil.example is not allowed" in str(box.run(evil).error)
    assert SECRET not in done.stdout
    assert [path for _, path, _ in plain.seen if path == "/x"] == []


def talk(port: int, said: str) -> str:
    return f"""
import socket
with socket.create_connection(("api.example", {port})) as s:
    s.sendall({said!r}.encode("latin-1"))
    s.shutdown(socket.SHUT_WR)
    text = b""
    while piece := s.recv(65536):
        text += piece
text.decode("latin-1")
"""


def test_a_request_that_two_could_read_differently_does_not_come_through(plain: Server) -> None:
    with box_for(plain, secret=True) as box:
        done = attacked(box, "hosts_requests_read_twice", plain.port)
    assert SECRET not in done.stdout
    assert plain.seen == []


@pytest.mark.parametrize("kind", ["plain", "secure"])
def test_another_host_of_the_same_machine_is_refused_however_it_is_asked_for(
    kind: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(kind)
    with box_for(server) as box:
        done = attacked(box, "hosts_requests_that_hide", server.port)
    assert server.seen == []
    assert "200" not in done.stdout, done.stdout
    assert "\\x16\\x03" not in done.stdout, done.stdout  # the server's own greeting


def test_who_is_silent_for_long_may_speak_then(plain: Server) -> None:
    with box_for(plain) as box:
        said = f"GET /a HTTP/1.1\r\nHost: api.example:{plain.port}\r\nConnection: close\r\n\r\n"
        late = talk(plain.port, said).replace(
            "    s.sendall", "    import time; time.sleep(0.6)\n    s.sendall"
        )
        assert "GET /a nobody 0" in str(value(box.run(late)))


def test_nothing_of_a_connection_is_left_when_its_box_has_ended() -> None:
    """The server neither says anything nor ends the connection."""
    before = {*threading.enumerate()}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        code = f"""
import socket
said = f"GET / HTTP/1.1\\r\\nHost: api.example:{port}\\r\\n\\r\\n".encode()
kept = [socket.create_connection(("api.example", {port})) for _ in range(4)]
for at, each in enumerate(kept):
    each.sendall(said if at % 2 else b"\\0")
"""
        network = [f"api.example:{port}"]
        with JailExecutor(guard=False, network=network, resolve=lambda *_: ["127.0.0.1"]) as box:
            value(box.run(code))
            ends = [silent.accept()[0] for _ in range(4)]
            assert all(end.recv(1) for end in ends)
        for end in ends:
            with end:
                while end.recv(65536):  # until the gateway lets go
                    pass
    for thread in {*threading.enumerate()} - before:
        thread.join(60)
        assert not thread.is_alive()


def test_length_and_coding_together_are_one_request(plain: Server) -> None:
    inner = f"GET /inner HTTP/1.1\r\nHost: api.example:{plain.port}\r\n\r\n"
    head = f"POST /a HTTP/1.1\r\nHost: api.example:{plain.port}\r\n"
    both = f"{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    with box_for(plain) as box:
        box.run(talk(plain.port, both + inner))
    assert all(
        "Content-Length" not in headers or "Transfer-Encoding" not in headers for _, _, headers in plain.seen
    )


def test_a_greeting_for_another_host_of_the_same_machine_is_refused(secure: Server) -> None:
    code = f"""
import socket, ssl
context = ssl._create_unverified_context()
with socket.create_connection(("api.example", {secure.port})) as s:
    context.wrap_socket(s, server_hostname="evil.example").do_handshake()
"""
    with box_for(secure) as box:
        done = box.run(code)
    assert done.error is not None
    assert "a TLS greeting for evil.example on a connection to api.example" in str(done.error)


def test_a_server_that_nobody_vouches_for_gets_no_secret(
    secure: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with box_for(secure, secret=True) as box:
        (tmp_path / "nobody.pem").write_text("")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nobody.pem"))
        done = box.run(f"import requests\nrequests.get('https://api.example:{secure.port}/')")
    assert done.error is not None
    assert secure.seen == []


def test_without_encryption_a_secret_goes_only_where_the_port_was_named() -> None:
    from pinjra.access.network.gateway import Gateway
    from pinjra.core.access import parse_access

    hosts = ["a.example", "b.example:80"]
    gateway = Gateway(parse_access({"network": hosts, "secrets": {host: {"X-Key": "k"} for host in hosts}}))
    assert gateway.secret_for("a.example", 80, is_encrypted=False) == []
    assert gateway.secret_for("a.example", 443, is_encrypted=True) == [("X-Key", "k")]
    assert gateway.secret_for("b.example", 80, is_encrypted=False) == [("X-Key", "k")]
    assert gateway.secret_for("c.example", 443, is_encrypted=True) == []


def test_the_secret_is_nowhere_in_the_box(secure: Server) -> None:
    word = SECRET.rpartition(" ")[2]
    code = f"""
import gc, os, sys, requests
text = requests.get("https://api.example:{secure.port}/a", headers={{"Authorization": "mine"}}).text
halves = "very-secret-", "word-8231"
found = [name for name, value in os.environ.items() if halves[0] + halves[1] in value]
for folder, _, names in os.walk("/etc"):
    for path in (os.path.join(folder, name) for name in names):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                found += [path] if (halves[0] + halves[1]).encode() in file.read() else []
for folder, _, names in os.walk(os.getcwd()):
    found += names
for thing in gc.get_objects():
    for inner in gc.get_referents(thing):
        if type(inner) in (str, bytes) and (halves[0] + halves[1]) in str(inner):
            found.append(repr(inner)[:60])
(text, found)
"""
    with box_for(secure, secret=True) as box:
        text, found = value(box.run(code))  # type: ignore[misc]
    assert secure.seen[0][2]["Authorization"] == SECRET
    assert word not in text
    assert found == []
    assert word not in repr(box.access)


def test_bytes_and_connections_are_limited(plain: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from pinjra.access.network import gateway

    quota = gateway.Quota(total_bytes=100_000, connections=2)
    with box_for(plain) as box:
        assert box._gateway is not None
        box._gateway.quota = quota
        big = box.run(
            f"import urllib.request\nlen(urllib.request.urlopen('http://api.example:{plain.port}/bytes/1000000').read())"
        )
        assert "more than 100000 bytes" in str(big.error)
    with box_for(plain) as box:
        assert box._gateway is not None
        box._gateway.quota = quota
        three = f"[socket.create_connection(('api.example', {plain.port})) for _ in range(3)]"
        code = f"import select, socket\nheld = {three}\nselect.select(held, [], [])"  # whichever comes last to the gateway
        done = box.run(code)
        assert "more than 2 connections" in f"{done.error} {done.notes}"


def test_each_connection_is_noted(plain: Server) -> None:
    told = []
    ended = threading.Event()

    def note(connection: object) -> None:
        told.append(connection)
        ended.set()

    with box_for(plain, secret=True, on_connection=note) as box:
        box.run(f"import urllib.request\nurllib.request.urlopen('http://api.example:{plain.port}/a').read()")
        assert ended.wait(300)
        assert tuple(told) == box.connections
    (one,) = told
    assert (one.host, one.port, one.address, one.has_secret) == ("api.example", plain.port, "127.0.0.1", True)
    assert one.sent_bytes > 50 < one.received_bytes


def test_a_connection_ends_when_its_time_is_over(plain: Server) -> None:
    from pinjra.access.network import gateway

    with box_for(plain) as box:
        assert box._gateway is not None
        box._gateway.quota = gateway.Quota(seconds=0.1)
        code = f"import socket\ns = socket.create_connection(('api.example', {plain.port}))\ns.sendall(b'GET ')\ns.recv(1)"
        assert value(box.run(code)) == b""


def test_names_below_a_wildcard_are_asked_of_the_host(plain: Server) -> None:
    with box_for(plain, network=[f"*.example:{plain.port}"]) as box:
        done = box.run(CLIENTS["requests"].format(url=f"http://some.api.example:{plain.port}/a"))
    assert "leads to 127.0.0.1" in f"{done.notes}"


def test_other_protocols_pass_where_the_server_speaks_first() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            stream, _ = listening.accept()
            with stream:
                stream.sendall(b"220 hello\n")
                stream.sendall(stream.recv(100).upper())

        threading.Thread(target=greet, daemon=True).start()
        server = Server(listening.getsockname()[1])
        code = f"""
import socket
with socket.create_connection(("api.example", {server.port})) as s:
    first = s.recv(100)
    s.sendall(b"quit")
    found = first, s.recv(100)
found
"""
        with box_for(server) as box:
            assert value(box.run(code)) == (b"220 hello\n", b"QUIT")


def test_an_address_that_the_user_wrote_is_reached_by_it(plain: Server) -> None:
    with box_for(plain, network=[f"127.0.0.1:{plain.port}"]) as box:
        text = value(box.run(f"import requests\nrequests.get('http://127.0.0.1:{plain.port}/a').text"))
    assert text == "GET /a nobody 0\n"


def test_a_forked_session_shares_the_gateway(plain: Server) -> None:
    with box_for(plain) as box:
        box.run("import requests")
        with box.fork() as copy:
            assert (
                value(copy.run(f"requests.get('http://api.example:{plain.port}/a').text"))
                == "GET /a nobody 0\n"
            )
        box.reset()
        assert (
            value(box.run(CLIENTS["requests"].format(url=f"http://api.example:{plain.port}/a")))
            == "GET /a nobody 0\n"
        )


def test_a_closed_box_leaves_nothing_of_its_gateway(plain: Server) -> None:
    """One was kept for each `on_connection=` that there ever was, with its secrets and all that the function holds."""

    class Told(list[object]):
        def __call__(self, connection: object) -> None:
            self.append(connection)

    told = Told()
    held = weakref.ref(told)
    with box_for(plain, secret=True, on_connection=told) as box:
        value(box.run(CLIENTS["urllib"].format(url=f"http://api.example:{plain.port}/a")))
    del box, told
    while any(
        thread.name.startswith(("pinjra-gateway", "pinjra-connection")) for thread in threading.enumerate()
    ):
        threading.Event().wait(0.005)
    gc.collect()
    assert held() is None


def test_hosts_want_a_network_of_the_box_s_own() -> None:
    with pytest.raises(JailUnavailable, match="network namespace"):
        sandbox("jail", network=["a.example"], without=["network namespace"])


def test_local_names_the_executor_that_has_hosts() -> None:
    with pytest.raises(ConfigurationError, match=r"has no network=.*jail"):
        sandbox("local", network=["a.example"])


@pytest.mark.usefixtures("no_ready_sessions")
def test_nothing_is_left_of_a_closed_box(plain: Server) -> None:
    import os

    with box_for(plain) as box:
        box.run(CLIENTS["urllib"].format(url=f"http://api.example:{plain.port}/a"))
    before, threads = len(os.listdir("/proc/self/fd")), set(threading.enumerate())
    for _ in range(5):
        with box_for(plain) as box:
            box.run(CLIENTS["urllib"].format(url=f"http://api.example:{plain.port}/a"))
    for thread in set(threading.enumerate()) - threads:
        thread.join(300)
        assert not thread.is_alive(), thread
    # fewer is none of its: sockets of earlier tests end when they like
    assert len(os.listdir("/proc/self/fd")) <= before


def test_processes_share_lists_through_a_manager_on_the_box_s_own_loopback(plain: Server) -> None:
    code = (
        "import multiprocessing\ndef add(shared):\n    shared.append(2)\n"
        "with multiprocessing.Manager() as manager:\n    shared = manager.list([1])\n"
        "    process = multiprocessing.Process(target=add, args=(shared,))\n    process.start()\n    process.join()\n"
        "    found = list(shared)\nfound"
    )
    with box_for(plain) as box:
        assert value(box.run(code)) == [1, 2]
