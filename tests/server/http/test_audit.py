"""The audit log: who did what, with which outcome, and no secret."""

from __future__ import annotations

import json
import stat
import time

import httpx
import pytest
from remote_standins import calls

from pinjra.server.http.audit import Audit
from pinjra.server.http.settings import ServeSettings

from .conftest import ALICE, BOB, start, stop

SECRET = "sk-" + "a1B2" * 10

SETTINGS = f"""
audit_log = "{{folder}}/audit.jsonl"

[tenants.alice]
token = "{ALICE}"
network = ["api.github.com"]

[tenants.bob]
token = "{BOB}"
"""


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audited")
    (folder / "settings.toml").write_text(SETTINGS.format(folder=folder))
    process, url = start(folder / "settings.toml")
    yield url, folder / "audit.jsonl"
    assert stop(process) == 0


def lines(log, /, **wanted):
    """Lines of the log with these details; the one of a request is written when its answer is already here."""
    deadline = time.monotonic() + 120
    while True:
        text = log.read_text() if log.exists() else ""
        found = [json.loads(line) for line in text.splitlines()]
        fitting = [each for each in found if wanted.items() <= each.items()]
        if fitting or time.monotonic() > deadline:
            return fitting
        time.sleep(0.01)


def client(url, token):
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=300)


def test_a_session_is_told_from_its_opening_to_its_end(audited):
    url, path = audited
    with client(url, ALICE) as alice:
        name = alice.post("/v1/sessions", json={"files": {"a": "eA=="}}).json()["id"]
        alice.post(f"/v1/sessions/{name}/runs", json={"code": f"key = '{SECRET}'\n1/0"})
        alice.put(f"/v1/sessions/{name}/files/b", content=b"x" * 5000)
        alice.delete(f"/v1/sessions/{name}")
    assert [line["kind"] for line in lines(path, session=name)] == ["opened", "run", "closed"]
    opened, ran, closed = lines(path, session=name)
    assert (opened["tenant"], opened["executor"], closed["end"]) == ("alice", "jail", "closed")
    assert (ran["end"], "[secret]" in ran["code"], "1/0" in ran["code"]) == ("exception", True, True)
    [sent] = lines(path, kind="request", method="PUT")
    assert (sent["tenant"], sent["status"], sent["bytes_in"], sent["client"]) == (
        "alice",
        204,
        5000,
        "127.0.0.1",
    )
    [asked] = lines(path, kind="request", method="DELETE", path=f"/v1/sessions/{name}")
    assert (asked["status"], asked["tenant"]) == (204, "alice")
    assert SECRET not in path.read_text()


def test_who_was_refused_is_told_without_the_token_that_was_tried(audited):
    url, path = audited
    wrong = "wrong-token-0123456789"
    calls.get(f"{url}/v1/sessions", headers={"Authorization": f"Bearer {wrong}"})
    with client(url, BOB) as bob:
        bob.get("/v1/sessions/of-somebody-else")
    assert [line["tenant"] for line in lines(path, status=401, path="/v1/sessions")] == [""]
    asked = lines(path, status=404, path="/v1/sessions/of-somebody-else")
    assert [line["tenant"] for line in asked] == ["bob"]
    for token in (wrong, ALICE, BOB):
        assert token not in path.read_text()


def test_a_program_of_run_code_is_told(audited):
    url, path = audited
    with client(url, BOB) as bob:
        bob.post("/run_code", json={"code": "import sys; sys.exit(3)", "language": "python"})
    [ran] = lines(path, kind="run", language="python")
    assert (ran["tenant"], ran["end"], ran["code"]) == ("bob", "exit", "import sys; sys.exit(3)")


def test_hosts_that_a_guest_tried_are_told(audited):
    url, path = audited
    code = "import socket\ntry:\n    socket.create_connection(('evil.example', 443), 5)\nexcept OSError as e:\n    x = str(e)\nx"
    with client(url, ALICE) as alice:
        wanted = {"network": ["api.github.com"], "guard": False}
        name = alice.post("/v1/sessions", json=wanted).json()["id"]
        said = alice.post(f"/v1/sessions/{name}/runs", json={"code": code}).json()
        alice.delete(f"/v1/sessions/{name}")
    assert said["error"] is None
    [opened] = lines(path, kind="opened", session=name)
    assert opened["network"] == ["api.github.com"]
    tried = lines(path, kind="connection", session=name)  # one for each kind of address that was looked up
    assert {(one["tenant"], one["host"], bool(one["refused"])) for one in tried} == {
        ("alice", "evil.example", True)
    }


def test_only_its_owner_reads_the_log(audited):
    url, path = audited
    calls.get(f"{url}/v1/ping")
    assert lines(path, kind="request", path="/v1/ping")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_log_is_put_aside_at_its_size_and_the_oldest_goes(tmp_path):
    path = tmp_path / "log"
    audit = Audit(ServeSettings(audit_log=str(path), audit_bytes=200, audit_files=3))
    for number in range(20):
        audit.write("x", number=number, text="y" * 60)
    kept = sorted(tmp_path.iterdir())
    assert [file.name for file in kept] == ["log", "log.1", "log.2"]
    assert all(file.stat().st_size <= 200 for file in kept)
    numbers = [
        json.loads(line)["number"]
        for name in ("log.2", "log.1", "log")
        for line in (tmp_path / name).read_text().splitlines()
    ]
    assert numbers == list(range(numbers[0], 20))


def test_without_a_file_nothing_is_written(tmp_path):
    audit = Audit(ServeSettings())
    audit.write("x")
    assert (audit.code("1"), list(tmp_path.iterdir())) == (None, [])


def test_a_sandbox_that_is_paused_at_its_time_has_not_ended_then(audited):
    pytest.importorskip("IPython", exc_type=ImportError)
    url, path = audited

    def expired():
        rows = [row for row in alice.get("/metrics").text.splitlines() if "sessions_expired_total" in row]
        return rows[-1]

    with client(url, ALICE) as alice:
        before = expired()
        made = alice.post("/sandboxes", json={"timeout": 300, "autoPause": True})
        assert made.status_code == 201, made.text
        box = f"/sandboxes/{made.json()['sandboxID']}"
        assert alice.post(f"{box}/timeout", json={"timeout": 1}).status_code == 204
        while not alice.get("/v2/sandboxes", params={"state": "paused"}).json():
            time.sleep(0.05)
        assert alice.delete(box).status_code == 204
        assert expired() == before
    [closed] = lines(path, kind="closed", session=made.json()["sandboxID"])
    assert closed["end"] == "closed"


def test_what_shows_a_sandboxs_own_token_is_told_with_its_tenant_and_sandbox(audited):
    pytest.importorskip("IPython", exc_type=ImportError)
    url, path = audited
    with client(url, ALICE) as alice:
        made = alice.post("/sandboxes", json={"timeout": 300}).json()
        shown = {"E2b-Sandbox-Id": made["sandboxID"], "X-Access-Token": made["envdAccessToken"]}
        assert (
            httpx.get(f"{url}/files", params={"path": "none"}, headers=shown, timeout=300).status_code == 404
        )
        assert alice.delete(f"/sandboxes/{made['sandboxID']}").status_code == 204
    [asked] = lines(path, kind="request", path="/files", session=made["sandboxID"])
    assert (asked["tenant"], asked["status"]) == ("alice", 404)
