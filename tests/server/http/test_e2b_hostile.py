"""Attacks by clients, and by what runs in a sandbox and owns the server there, on the service and on other tenants."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from remote_standins import calls
from remote_standins.service import stop

from pinjra.core.errors import BackendError
from pinjra.executors.pool import POOL
from pinjra.server.http.e2b.box import SandboxBox, spec_for
from pinjra.server.http.e2b.sandboxes import Sandbox as Sandboxed
from pinjra.server.http.e2b.sandboxes import Sandboxes
from pinjra.server.http.e2b.upstream import Exchange
from pinjra.server.http.errors import Busy
from pinjra.server.http.hub import Held, Hub
from pinjra.server.http.metrics import Metrics
from pinjra.server.http.settings import TenantSettings, load_settings
from pinjra.server.http.tenants import Tenant

from .conftest import ALICE, BOB, start

pytest.importorskip("e2b_code_interpreter", reason="the SDK of E2B is not installed", exc_type=ImportError)
pytest.importorskip("IPython", exc_type=ImportError)

from e2b import (
    CommandExitException,
    NotFoundException,
    RateLimitException,
    SandboxException,
    SandboxState,
    TimeoutException,
)
from e2b_code_interpreter import Sandbox

ESCAPES = Path(__file__).resolve().parents[2] / "escapes"


def options(service, token=ALICE):
    return {"api_url": service, "sandbox_url": service, "api_key": token}


@pytest.fixture
def box(service):
    sandbox = Sandbox.create(**options(service))
    yield sandbox
    sandbox.kill()


@pytest.fixture
def neighbour(service):
    """Another tenant's sandbox, which must see nothing of all this."""
    sandbox = Sandbox.create(**options(service, BOB))
    sandbox.files.write("secret", "of bob")
    yield sandbox
    assert sandbox.run_code("open('secret').read()").text == "of bob"
    sandbox.kill()


def put(box, name):
    box.files.write(f"/tmp/{name}", (ESCAPES / name).read_text())


def at_port(box, port):
    """Headers of a request for what listens at a port of a sandbox."""
    token = {"E2B-Traffic-Access-Token": box.traffic_access_token}
    return {"E2b-Sandbox-Id": box.sandbox_id, "E2b-Sandbox-Port": str(port), **token}


def test_a_server_that_lies_breaks_only_its_own_answers(service, box, neighbour):
    put(box, "e2b_server_that_lies.py")
    command = box.commands.run("python3 /tmp/e2b_server_that_lies.py", background=True)
    next(iter(command))
    shown = at_port(box, 8123)
    for _ in range(20):
        try:
            answer = httpx.get(service + "/", headers=shown, timeout=300)
        except httpx.RemoteProtocolError:
            continue  # it broke off
        assert answer.status_code in (200, 204, 302, 304, 502)
        assert "content-length" not in answer.headers or int(answer.headers["content-length"]) == len(
            answer.content
        )
        assert not {"set-cookie", "clear-site-data"} & set(answer.headers)
        assert (answer.headers.get("x-content-type-options", "nosniff"), answer.cookies) == (
            "nosniff",
            httpx.Cookies(),
        )
    assert calls.get(service + "/health").status_code == 200


def test_a_box_cannot_take_over_its_server_from_below(box, neighbour):
    put(box, "e2b_box_against_its_own_server.py")
    try:
        said = box.commands.run("python3 /tmp/e2b_box_against_its_own_server.py").stdout
        assert said.splitlines()[-1].startswith("done")
        assert box.run_code("1 + 1").text == "2"
    except TimeoutException:
        assert not box.is_running()  # or it has lost itself, and nothing else


def test_terminals_are_the_boxs_own_and_type_for_nobody(box, neighbour):
    put(box, "e2b_terminals.py")
    said = box.commands.run("python3 /tmp/e2b_terminals.py").stdout
    assert "own True" in said
    assert "ALLOWED" not in said
    assert "seen ['0', 'ptmx']" in said
    assert "opened /dev/tty" not in said and "opened /dev/console" not in said
    assert "at most" in said


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow",
        "/proc/1/environ",
        "/proc/self/root/etc/shadow",
        "../../../../../etc/shadow",
        "/home/user/../../../etc/shadow",
        "link/shadow",
        "/dev/mem",
        "/root/../../etc/shadow",
        "~/../../../etc/shadow",
        "%2e%2e/%2e%2e/etc/shadow",
        "/mnt/../etc/shadow",
    ],
)
def test_no_path_leads_out_of_the_box(box, path):
    box.commands.run("ln -sfn /etc link")
    with pytest.raises((NotFoundException, SandboxException)):
        box.files.read(path)
    try:
        box.files.write(path, "mine")
    except SandboxException:
        return
    assert box.files.read(path) == "mine"  # below its own folders


def test_a_path_that_is_no_text_is_refused(service, box):
    shown = {"E2b-Sandbox-Id": box.sandbox_id, "X-Access-Token": box._envd_access_token}
    for path in ("a%00b", "%ff%fe", "a" * 5000, "/" * 3000, ""):
        answer = calls.get(f"{service}/files?path={path}", headers=shown)
        assert answer.status_code in (400, 404)


def test_a_file_of_the_guest_is_never_a_page_of_this_origin(service, box):
    box.files.write("page.html", "<script>alert(1)</script>")
    answer = calls.get(box.download_url("page.html", user="user"))
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "application/octet-stream"


def test_a_forged_signature_opens_nothing(service, box, neighbour):
    neighbours = calls.get(neighbour.download_url("secret", user="user"))
    assert neighbours.text == "of bob"
    address = neighbour.download_url("secret", user="user")
    for forged in (
        address.replace("path=secret", "path=/etc/hostname"),
        address.replace("username=user", "username=root"),
        address + "&signature_expiration=99999999999",
        address.replace("signature=v1_", "signature=v1_A"),
    ):
        assert calls.get(forged).status_code in (401, 404)
    assert calls.post(address, content=b"x").status_code in (401, 404, 405)
    digest = hashlib.sha256(b"secret:read:user:").digest()  # as of a sandbox without a token
    guessed = "v1_" + base64.b64encode(digest).decode().rstrip("=")
    for headers in ({}, {"E2b-Sandbox-Id": neighbour.sandbox_id}):
        answer = calls.get(f"{service}/files?path=secret&username=user&signature={guessed}", headers=headers)
        assert answer.status_code in (401, 404)


def test_a_token_of_one_sandbox_opens_no_other(service, box, neighbour):
    for port in ("49983", "49999", "80"):
        for path in ("/files?path=secret", "/contexts"):
            headers = {
                "E2b-Sandbox-Id": neighbour.sandbox_id,
                "E2b-Sandbox-Port": port,
                "X-Access-Token": box._envd_access_token,
                "E2B-Traffic-Access-Token": box.traffic_access_token,
                "X-API-Key": ALICE,
            }
            assert calls.get(service + path, headers=headers).status_code in (401, 403)


def test_what_proves_something_to_the_service_is_not_shown_to_the_box(service, box):
    box.files.write(
        "echo.py",
        "import http.server\n"
        "class Echo(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers(); self.wfile.write(str(self.headers).encode())\n"
        "server = http.server.HTTPServer(('', 8321), Echo)\nprint('ready', flush=True)\nserver.serve_forever()\n",
    )
    command = box.commands.run("python3 echo.py", background=True)
    next(iter(command))
    shown = {
        **at_port(box, 8321),
        "X-API-Key": ALICE,
        "Authorization": f"Bearer {BOB}",  # whoever else's: the box is none of theirs
        "X-Access-Token": box._envd_access_token,
        "Cookie": "session=secret",
        "X-Own": "kept",
    }
    seen = httpx.get(service + "/", headers=shown, timeout=300).text
    assert "kept" in seen
    for secret in (ALICE, BOB, box._envd_access_token, box.traffic_access_token, "session=secret"):
        assert secret not in seen
    own = {**at_port(box, 8321), "Authorization": "Bearer of-the-program-there"}
    assert "Bearer of-the-program-there" in httpx.get(service + "/", headers=own, timeout=300).text


HASTY = """
import socket, time
server = socket.create_server(("", 8322))
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    head = b""
    while not head.endswith(b"\\r\\n\\r\\n"):
        head += connection.recv(1)
    time.sleep(0.2)  # the body has come, and nobody reads it: the connection will end by a reset
    connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + head + b"x" * 40_000)
    connection.close()
"""


@pytest.mark.parametrize("body", [b"", b"not read"])
def test_what_a_server_answers_to_the_head_alone_arrives_whole(service, box, body):
    box.files.write("hasty.py", HASTY)
    command = box.commands.run("python3 hasty.py", background=True)
    next(iter(command))
    shown = at_port(box, 8322)
    got = httpx.request(
        "POST" if body else "GET", service + "/", headers=shown, content=body, timeout=300
    ).content
    head, _, rest = got.partition(b"\r\n\r\n")
    assert rest == b"x" * 40_000
    assert body or b"transfer-encoding" not in head.lower()


class Hasty:
    """A box whose server answers the head alone, and reads no more."""

    def connect(self, port=0):
        ours, theirs = socket.socketpair()

        def answer():
            with theirs:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += theirs.recv(1)
                theirs.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        threading.Thread(target=answer).start()
        return ours


class Crumbling:
    """A box whose server gives its answer a byte a chunk."""

    def __init__(self, chunks):
        self.chunks = chunks

    def connect(self, port=0):
        ours, theirs = socket.socketpair()

        def answer():
            with theirs:
                theirs.recv(1 << 16)
                theirs.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + self.chunks)

        threading.Thread(target=answer).start()
        return ours


@pytest.mark.parametrize(
    ("chunks", "body", "are_crumbs"),
    [
        (b"1\r\na\r\n" * 5000 + b"0\r\n\r\n", b"a" * 5000, True),
        ((b"2000\r\n" + b"b" * 8192 + b"\r\n") * 300 + b"0\r\n\r\n", b"b" * 8192 * 300, False),
        (b"1\r\nc\r\n" * 9 + b"0\r\n\r\n", b"c" * 9, False),
    ],
    ids=["bytes", "large ones", "a few bytes"],
)
def test_an_answer_in_crumbs_arrives_whole_and_its_tenant_waits_and_pays(chunks, body, are_crumbs):
    async def said():
        async with await Exchange.open(Crumbling(chunks), "GET", "/", [], b"") as exchange:
            await exchange.head()
            return [(piece, exchange.crumbs_seconds) async for piece in exchange.body()]

    pieces = asyncio.run(said())
    assert b"".join(piece for piece, _ in pieces) == body
    assert any(seconds > 0 for _, seconds in pieces) == are_crumbs
    assert all(len(piece) <= 256 for piece, seconds in pieces if seconds)
    tenant = Tenant("crumbs", TenantSettings(token="-" * 16, cpu_seconds=1.0))
    assert tenant.rest_seconds(0.5) >= 2.4
    assert tenant.rest_seconds(0.6) >= 5.4
    with pytest.raises(Busy):
        tenant.check_budget()


@pytest.mark.parametrize("ending", [b"", b"zz\r\n"])
def test_what_came_before_an_answer_broke_off_is_passed_on(ending):
    async def said():
        got = []
        async with await Exchange.open(
            Crumbling(b"1\r\na\r\n" * 20 + ending), "GET", "/", [], b""
        ) as exchange:
            await exchange.head()
            with pytest.raises(BackendError):
                async for piece in exchange.body():
                    got.append(piece)
        return b"".join(got)

    assert asyncio.run(said()) == b"a" * 20


def test_a_body_that_the_boxs_server_does_not_wait_for_breaks_nothing():
    async def said():
        async with await Exchange.open(Hasty(), "POST", "/thaw", [], b"{}") as exchange:
            return (await exchange.head())[0]

    for _ in range(50):
        assert asyncio.run(said()) == 204


def test_only_the_host_tells_the_box_what_it_is(service, box):
    for port in ("host", "0", "-1", "49983\r\nx-box-port: host"):
        headers = {
            "E2b-Sandbox-Id": box.sandbox_id,
            "X-Access-Token": box._envd_access_token,
            "E2B-Traffic-Access-Token": box.traffic_access_token,
            "X-Box-Port": "host",
        }
        try:
            sent = {**headers, "E2b-Sandbox-Port": port}
            answer = calls.post(service + "/begin", headers=sent, json={"variables": {"A": "1"}, "path": "/"})
        except (httpx.LocalProtocolError, httpx.InvalidURL):
            continue  # no client sends it
        assert answer.status_code in (403, 404, 502)
    assert box.commands.run("echo ${A-none}").stdout == "none\n"


def test_a_body_over_the_limit_is_refused_and_a_full_disk_is_told(box):
    with pytest.raises(SandboxException):
        box.files.write("large", b"x" * (8 << 20))  # the service of these tests takes 4 MiB
    with pytest.raises(CommandExitException):
        box.commands.run("head -c 300000000 /dev/zero > full")
    with pytest.raises(SandboxException):
        box.files.write("more", b"x" * (3 << 20))
    box.commands.run("rm full")
    assert box.files.write("more", b"x").path == "/home/user/more"


def test_a_packed_body_that_unpacks_to_much_fills_only_the_box(service, box, neighbour):
    bomb = gzip.compress(b"\0" * (600 << 20), 1)
    shown = {
        "E2b-Sandbox-Id": box.sandbox_id,
        "X-Access-Token": box._envd_access_token,
        "Content-Encoding": "gzip",
        "Content-Type": "application/octet-stream",
    }
    answer = httpx.post(f"{service}/files?path=bomb", headers=shown, content=bomb, timeout=300)
    assert answer.status_code in (400, 507, 502)
    assert calls.get(service + "/health").status_code == 200


def test_requests_of_one_sandbox_at_one_time_are_bounded(service, box, neighbour):
    command = box.commands.run("sleep 1000", background=True)
    body = b'{"process":{"pid":%d}}' % command.pid
    head = (
        "POST /process.Process/Connect HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/connect+json\r\n"
        f"E2b-Sandbox-Id: {box.sandbox_id}\r\nX-Access-Token: {box._envd_access_token}\r\nContent-Length: {len(body) + 5}\r\n\r\n"
    )
    address = urlsplit(service)
    held, statuses = [], set()
    for _ in range(140):
        held.append(socket.create_connection((address.hostname, address.port)))
        held[-1].sendall(head.encode() + b"\0" + len(body).to_bytes(4, "big") + body)
        statuses.add(held[-1].recv(12))
    assert statuses == {b"HTTP/1.1 200", b"HTTP/1.1 429"}
    for one in held:
        one.close()
    while True:  # until the service has noticed that they are closed
        try:
            command.kill()
            break
        except RateLimitException:
            continue


def test_processes_without_end_are_the_boxs_own_loss(service, box, neighbour):
    try:
        box.commands.run("python3 -c 'import os\nwhile True: os.fork()'", timeout=3)
    except (SandboxException, TimeoutException, CommandExitException):
        pass
    box.kill()
    with Sandbox.create(**options(service)) as other:
        assert other.run_code("1").text == "1"


def test_a_sandbox_that_is_ended_while_it_is_opened_is_told_so_and_leaves_nothing(service):
    headers, statuses, is_over = {"X-API-Key": BOB}, [], threading.Event()

    def end_all():
        with httpx.Client(base_url=service, headers=headers, timeout=300) as client:
            while not is_over.is_set():
                for found in client.get("/v2/sandboxes").json():
                    client.delete(f"/sandboxes/{found['sandboxID']}")

    thread = threading.Thread(target=end_all)
    thread.start()
    try:
        for _ in range(15):
            answer = httpx.post(f"{service}/sandboxes", headers=headers, json={}, timeout=300)
            statuses.append(answer.status_code)
    finally:
        is_over.set()
        thread.join(300)
    assert set(statuses) <= {201, 410}
    for found in httpx.get(f"{service}/v2/sandboxes", headers=headers, timeout=300).json():
        httpx.delete(f"{service}/sandboxes/{found['sandboxID']}", headers=headers, timeout=300)


class Ready:
    """Stands for a box that was opened in advance."""

    def discard(self):
        """Do nothing."""

    def is_unused(self):
        return True


def test_a_sandbox_that_is_refused_takes_no_ready_one():
    tenant = Tenant("full", TenantSettings(token="-" * 16, sessions=1, memory_bytes=123 << 20), sessions=1)
    kind, ready = (SandboxBox, spec_for(tenant)), Ready()
    opened = threading.Event()

    def open_one():
        opened.set()
        return ready

    POOL.want(kind, 1, open_one)
    assert opened.wait(300)
    settings = load_settings([], {})

    async def refused():
        with pytest.raises(Busy):
            await Sandboxes(Hub(settings, Metrics())).open(tenant, 60.0)

    asyncio.run(refused())
    deadline = time.monotonic() + 300
    while (taken := POOL.take(kind)) is None and time.monotonic() < deadline:
        time.sleep(0.01)  # the pool's thread puts it there
    assert taken is ready


def test_a_sandbox_whose_tenant_has_used_all_that_it_may_is_paused(tmp_path):
    (tmp_path / "settings.toml").write_text(f'[tenants.alice]\ntoken = "{ALICE}"\ncpu_seconds = 3\n')
    process, url = start(tmp_path / "settings.toml")
    try:
        box = Sandbox.create(**options(url))
        box.commands.run("while :; do :; done", background=True)
        deadline = time.monotonic() + 300
        while box.get_info().state != SandboxState.PAUSED:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        with pytest.raises(RateLimitException):
            Sandbox.connect(box.sandbox_id, **options(url))
        box.kill()
    finally:
        assert stop(process) == 0


class Silent:
    """Stands for a box whose server takes no more connections."""

    def __init__(self):
        self.signals = []

    def signal(self, number):
        self.signals.append(number)

    def connect(self, port):
        raise BackendError("the sandbox takes no more connections")


def test_a_sandbox_whose_server_does_not_answer_is_what_its_state_says():
    box, tenant = Silent(), Tenant("one", TenantSettings(token="-" * 16))
    details = dict.fromkeys(("template", "metadata", "variables", "network", "allow_internet"))
    flags = dict.fromkeys(("auto_pause", "auto_resume", "is_public"), False)

    async def resumed():
        held = Held(id="one", tenant=tenant, executor=box, executor_name="e2b", idle_seconds=60.0, ends=0.0)
        sandbox, sandboxes = Sandboxed(held=held, box=box, **details, **flags), Sandboxes(None)
        assert await sandboxes.pause(sandbox)
        assert sandbox.is_paused
        paused_until = held.ends
        with pytest.raises(BackendError):
            await sandboxes.resume(sandbox, 60.0)
        assert not sandbox.is_paused
        assert held.ends < paused_until
        assert not await sandboxes.resume(sandbox, 60.0)

    asyncio.run(resumed())
    assert box.signals == [signal.SIGSTOP, signal.SIGCONT]
