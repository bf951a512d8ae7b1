"""Attacks by clients, and by what runs in a sandbox and owns the server there, on the service and on other tenants."""

from __future__ import annotations

import base64
import gzip
import hashlib
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from remote_standins import calls

from .conftest import ALICE, BOB

pytest.importorskip("e2b_code_interpreter", reason="the SDK of E2B is not installed", exc_type=ImportError)
pytest.importorskip("IPython", exc_type=ImportError)

from e2b import (
    CommandExitException,
    NotFoundException,
    RateLimitException,
    SandboxException,
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


def test_a_server_that_lies_breaks_only_its_own_answers(service, box, neighbour):
    put(box, "e2b_server_that_lies.py")
    command = box.commands.run("python3 /tmp/e2b_server_that_lies.py", background=True)
    next(iter(command))
    shown = {
        "E2b-Sandbox-Id": box.sandbox_id,
        "E2b-Sandbox-Port": "8123",
        "E2B-Traffic-Access-Token": box.traffic_access_token,
    }
    for _ in range(14):
        try:
            answer = httpx.get(service + "/", headers=shown, timeout=60)
        except httpx.RemoteProtocolError:
            continue  # it broke off
        assert answer.status_code in (200, 302, 502)
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
        "E2b-Sandbox-Id": box.sandbox_id,
        "E2b-Sandbox-Port": "8321",
        "E2B-Traffic-Access-Token": box.traffic_access_token,
        "X-API-Key": ALICE,
        "X-Access-Token": box._envd_access_token,
        "Cookie": "session=secret",
        "X-Own": "kept",
    }
    seen = httpx.get(service + "/", headers=shown, timeout=60).text
    assert "kept" in seen
    for secret in (ALICE, box._envd_access_token, box.traffic_access_token, "session=secret"):
        assert secret not in seen


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
    answer = httpx.post(f"{service}/files?path=bomb", headers=shown, content=bomb, timeout=60)
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
