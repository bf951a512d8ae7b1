"""What one tenant, or a stranger, cannot do."""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from remote_standins import calls
from remote_standins.service import stop
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from pinjra.core.errors import SessionLost
from pinjra.executors.http import HttpExecutor
from pinjra.server.http.app import OPERATIONS
from pinjra.server.http.e2b import ROUTES as e2b_routes
from pinjra.server.http.errors import Busy
from pinjra.server.http.settings import TenantSettings
from pinjra.server.http.tenants import Tenant

from .conftest import ALICE, BOB, start

OPERATOR = "operator-token-0123456789"


@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/executors", "/v1/sessions/x", "/v1/sessions/x/files"])
@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"X-API-Key": BOB[:-1]}, {"Authorization": BOB}]
)
def test_without_a_token_there_is_nothing(service, path, headers):
    assert calls.get(service + path, headers=headers).status_code == 401


def test_no_request_is_answered_without_a_token(service):
    described = [(each.method, each.path) for each in OPERATIONS if not each.is_open]
    e2b = [(method, route.path) for route in e2b_routes for method in route.methods - {"HEAD"}]
    for method, path in [*described, *e2b]:
        place = re.sub(r"\{[^}]*\}", "x", path)
        assert calls.request(method, service + place, json={}).status_code == 401, (method, path)


def rows(address, token=""):
    """Return tenant -> sessions opened, as the metrics say it to whoever has that token."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    text = httpx.get(f"{address}/metrics", headers=headers, timeout=300).text
    found = re.findall(r'^pinjra_sessions(?:\{tenant="(\w+)"\})? ([0-9.]+)$', text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_metrics_are_sums_for_strangers_own_rows_for_tenants_and_all_for_the_operator(tmp_path):
    names = {"alice": ALICE, "bob": BOB}
    tenants = "".join(f'[tenants.{name}]\ntoken = "{token}"\n' for name, token in names.items())
    path = tmp_path / "settings.toml"
    path.write_text(f'metrics_token = "{OPERATOR}"\n{tenants}')
    process, url = start(path)
    try:
        for name, count in (("alice", 2), ("bob", 1)):
            headers = {"Authorization": f"Bearer {names[name]}"}
            for _ in range(count):
                opened = httpx.post(f"{url}/v1/sessions", json={}, headers=headers, timeout=300)
                assert opened.status_code == 201
        assert rows(url) == rows(url, "wrong") == {"": 3.0}
        assert rows(url, ALICE) == {"alice": 2.0}
        assert rows(url, BOB) == {"bob": 1.0}
        assert rows(url, OPERATOR) == {"alice": 2.0, "bob": 1.0}
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        assert httpx.get(f"{url}/v1/sessions", headers=headers, timeout=300).status_code == 401
    finally:
        assert stop(process) == 0


def test_a_service_whose_executor_cannot_open_sessions_is_not_ready(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('executor = "docker"\nexecutors = ["docker"]\n')
    environment = {"DOCKER_HOST": f"unix://{tmp_path}/nobody"}
    process, url = start(path, **environment)
    try:
        answer = httpx.get(f"{url}/ready", timeout=300)
        assert answer.status_code == 503
        assert answer.json() == {
            "ready": False,
            "why": "executor 'docker' cannot open sessions; the log says why",
        }
        assert httpx.get(f"{url}/health", timeout=300).status_code == 200
    finally:
        assert stop(process) == 0


def test_a_socket_is_a_request_in_progress(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(f'[tenants.alice]\ntoken = "{ALICE}"\nrequests = 2\n')
    process, url = start(path)
    token = {"Authorization": f"Bearer {ALICE}"}
    try:
        session = httpx.post(f"{url}/v1/sessions", json={}, headers=token, timeout=300).headers["Location"]
        address = f"ws{url[4:]}{session}/tools"
        with connect(address, additional_headers=token), connect(address, additional_headers=token):
            assert httpx.get(url + session, headers=token, timeout=300).status_code == 429
            with pytest.raises(InvalidStatus):
                connect(address, additional_headers=token)
        deadline = time.monotonic() + 300
        while httpx.get(url + session, headers=token, timeout=300).status_code == 429:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        assert stop(process) == 0


def test_a_socket_of_tools_ends_with_its_session(service, alice):
    session = alice.post("/v1/sessions", json={}).headers["Location"]
    token = {"Authorization": f"Bearer {ALICE}"}
    with connect(f"ws{service[4:]}{session}/tools", additional_headers=token) as socket:
        alice.delete(session)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(300)
    assert closed.value.rcvd.code == 1001


def test_another_tenants_session_does_not_exist(alice, bob, session):
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/fork"),
        ("GET", "/files"),
        ("POST", "/interrupt"),
    ]:
        assert bob.request(method, session + path).status_code == 404
    assert bob.post(f"{session}/runs", json={"code": "1"}).status_code == 404
    assert bob.get("/v1/sessions").json() == {"sessions": []}
    assert alice.get(session).status_code == 200


def test_a_full_tenant_is_told_when_to_come_again(bob):
    opened = [bob.post("/v1/sessions", json={}).headers["Location"] for _ in range(2)]
    answer = bob.post("/v1/sessions", json={})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    for path in opened:
        bob.delete(path)
    assert bob.post("/v1/sessions", json={}).status_code == 201
    for each in bob.get("/v1/sessions").json()["sessions"]:
        bob.delete(f"/v1/sessions/{each['id']}")


def test_limits_are_capped_by_the_quota(bob):
    path = bob.post("/v1/sessions", json={"limits": {"memory_bytes": 8 << 30}}).headers["Location"]
    done = bob.post(f"{path}/runs", json={"code": "x = bytearray(400 << 20)\nlen(x)"}).json()
    bob.delete(path)
    assert done["error"] is not None


@pytest.mark.parametrize(
    "wanted",
    [{"network": ["example.com"]}, {"packages": ["six"]}, {"mounts": ["srv"]}, {"executor": "local"}],
)
def test_what_the_operator_did_not_allow_is_refused(bob, wanted):
    assert bob.post("/v1/sessions", json=wanted).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::2]"])
def test_a_name_that_was_rebound_to_loopback_is_refused(alice, host):
    assert alice.get("/v1/sessions", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_page_of_another_site_is_refused(alice, headers):
    assert alice.post("/v1/sessions", json={}, headers=headers).status_code == 403


@pytest.mark.parametrize("name", ["../x", "..%2Fx", "%2e%2e/x", "a/../../x", "/etc/passwd", "a%00b", "a//b"])
def test_names_of_files_stay_in_the_session(alice, session, name):
    target = httpx.URL(str(alice.base_url) + session + "/files/").copy_with(
        raw_path=(session + "/files/" + name).encode()
    )
    assert alice.put(target, content=b"x").status_code in (400, 404, 405)
    assert alice.get(f"{session}/files").json() == {"files": {}}


def test_a_body_over_the_limit_is_refused_before_it_is_read(alice, session):
    assert alice.put(f"{session}/files/big", content=b"x" * (5 << 20)).status_code == 413

    def pieces():
        for _ in range(6):
            yield b"x" * (1 << 20)

    try:
        status = alice.put(f"{session}/files/big", content=pieces()).status_code
    except httpx.WriteError:  # the service has closed while we were still sending
        status = 413
    assert status == 413


def test_a_body_that_never_ends_is_given_up(service, session):
    port = int(service.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)) as slow:
        head = f"PUT {session}/files/slow HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {ALICE}\r\n"
        slow.sendall(f"{head}Content-Length: 100\r\n\r\n".encode())
        slow.settimeout(60)
        assert b" 408 " in slow.recv(200)


def test_sessions_end_by_their_time(alice):
    path = alice.post("/v1/sessions", json={"timeout_seconds": 0.5}).headers["Location"]
    deadline = time.monotonic() + 300
    while alice.get(path).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.6)


def test_what_a_tenant_has_used_is_kept_only_where_it_is_bounded_and_then_in_a_few_entries():
    free = Tenant("free", TenantSettings(token="-" * 16))
    bounded = Tenant("bounded", TenantSettings(token="-" * 16, cpu_seconds=100))
    for tenant in (free, bounded):
        for _ in range(10_000):
            tenant.charge(0.0101)
    assert len(free.spent) == 0
    free.check_budget()
    assert len(bounded.spent) < 100
    with pytest.raises(Busy, match="has used its 100 processor seconds"):
        bounded.check_budget()


ESCAPES = Path(__file__).resolve().parents[2] / "escapes"
PAYING = f'executors = ["jail", "local"]\n[tenants.alice]\ntoken = "{ALICE}"\ncpu_seconds = 0.1\n'
SLOW = """
import time
def slow(*given, **options):
    end = time.process_time() + 0.2
    while time.process_time() < end: pass
    return "slow"
"""
BURN = "import time\nwhile time.process_time() < {}: pass\n"


@pytest.fixture
def paying(tmp_path):
    """A client of a service where it has hardly any processor time, and a session of its own there."""
    (tmp_path / "settings.toml").write_text(PAYING)
    process, url = start(tmp_path / "settings.toml")
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {ALICE}"}, timeout=300) as client:
        yield client, client.post("/v1/sessions", json={}).headers["Location"]
    assert stop(process) == 0


def has_time_left(client):
    """Ask by opening a session, which costs nothing."""
    answer = client.post("/v1/sessions", json={})
    if answer.status_code == 201:
        client.delete(answer.headers["Location"])
    return answer.status_code != 429


def wait_until_nothing_is_left(client):
    """Wait until the service has seen that its client has left."""
    deadline = time.monotonic() + 300
    while has_time_left(client):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_who_leaves_before_the_end_of_a_run_pays_for_it(paying):
    client, session = paying
    code = BURN.format(0.4) + "print('on', flush=True)\nwhile True: pass"
    with client.stream("POST", f"{session}/runs", json={"code": code, "stream": True}) as answer:
        assert any("on" in text for text in answer.iter_text())
    wait_until_nothing_is_left(client)


def test_a_run_that_says_itself_what_it_used_pays_for_what_it_did(paying):
    client, _ = paying
    session = client.post("/v1/sessions", json={"guard": False}).headers["Location"]
    lie = (ESCAPES / "serve_runs_that_say_they_cost_nothing.py").read_text().split('"""')[1]
    code = BURN.format(0.4) + lie.removesuffix("while True:\n    pass\n")
    assert client.post(f"{session}/runs", json={"code": code}).json()["usage"]["cpu_seconds"] == 0
    assert not has_time_left(client)


def test_who_looks_at_variables_pays_for_what_their_own_code_does(paying):
    client, session = paying
    code = f"{SLOW}class Slow:\n    __repr__ = slow\nx = Slow()\n1"
    assert client.post(f"{session}/runs", json={"code": code}).status_code == 200
    assert has_time_left(client)
    client.get(f"{session}/variables")
    assert not has_time_left(client)


def test_cells_that_made_reading_their_files_dear_pay_for_it(paying):
    client, _ = paying
    body = {"cells": [f"{SLOW}import builtins\nbuiltins.open = slow"], "fetch_files": ["/tmp/x"]}
    assert client.post("/run_jupyter", json=body).json()["files"] == {}
    assert not has_time_left(client)


@pytest.fixture(params=["jail", "local"])
def stream(paying, request):
    """A session over HTTP whose host side is here, and which the service only carries."""
    client, _ = paying
    opened = HttpExecutor(url=str(client.base_url), token=ALICE, executor=request.param, guard=False)
    yield client, opened
    opened.close()


def test_who_brings_the_hosts_side_pays_for_what_the_box_uses(stream):
    client, box = stream
    with suppress(SessionLost):  # where the service has seen it before the end
        box.run(BURN.format(0.5))
    box.close()
    wait_until_nothing_is_left(client)


def test_a_box_that_ends_itself_is_paid_for(stream):
    client, box = stream
    with suppress(SessionLost):  # in a namespace of its own its first process is not to be killed
        box.run(BURN.format(0.5) + "import os\nos.kill(os.getppid(), 9)")
    box.close()
    wait_until_nothing_is_left(client)


def test_a_box_is_closed_when_its_tenant_has_used_all_that_it_may(stream):
    _, box = stream
    with pytest.raises(SessionLost):
        box.run("while True: pass", wall_seconds=300)


@pytest.mark.parametrize(
    "wish", [{}, {"autoPause": True, "autoResume": {"enabled": True}}], ids=["plain", "resumed"]
)
def test_a_sandbox_without_time_says_when_to_come_again_at_each_of_its_ports(paying, wish):
    pytest.importorskip("IPython", exc_type=ImportError)
    client, session = paying
    made = client.post("/sandboxes", json={"timeout": 300, **wish}).json()
    client.post(f"{session}/runs", json={"code": BURN.format(0.4)})
    while client.get(f"/sandboxes/{made['sandboxID']}").json()["state"] != "paused":
        time.sleep(0.05)
    for port in ("49983", "49999", "8000"):
        headers = {
            "E2b-Sandbox-Id": made["sandboxID"],
            "E2b-Sandbox-Port": port,
            "X-Access-Token": made["envdAccessToken"],
        }
        answer = client.post("/execute", headers=headers, json={"code": "1"})
        assert answer.status_code == 429, answer.text
        assert int(answer.headers["Retry-After"]) > 0
