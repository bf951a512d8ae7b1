"""`executor_type="http"` passes the conformance suite: the worker there, the host's side here."""

from __future__ import annotations

import re
import threading
from base64 import b64encode
from functools import partial
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from remote_standins.ports import held_port

from pinjra import sandbox
from pinjra.core.errors import ConfigurationError, ExecutorUnavailable, StartupFailed
from pinjra.executors.conformance import CHECKS, run_check
from pinjra.executors.http import HttpExecutor
from pinjra.fleet import Case, Fleet

from .conftest import ALICE, BOB, start, stop

# The stream's far end is a worker that the service starts: nobody can put a lying one there from here.
NOT_HERE = {
    "lies of a worker end the session by name and touch nothing",
    "frames that are replayed and calls that are not granted have no effect",
}


@pytest.mark.parametrize(
    "check", [each for each in CHECKS if each.name not in NOT_HERE], ids=lambda each: each.name
)
def test_conformance(check, service):
    result = run_check(partial(HttpExecutor, url=service, token=ALICE), check)
    if result.status == "skipped":
        pytest.skip(result.reason)
    assert result.status == "passed", result.reason


def test_a_wrong_token_is_the_callers_fault(service):
    with pytest.raises(ConfigurationError, match="token"):
        HttpExecutor(url=service, token="wrong")


def test_a_full_tenant_is_told_so(service):
    boxes = [HttpExecutor(url=service, token=BOB) for _ in range(2)]
    with pytest.raises(ExecutorUnavailable, match="as many as it may"):
        HttpExecutor(url=service, token=BOB)
    for box in boxes:
        box.close()


def test_a_service_that_is_not_there_is_said(monkeypatch):
    monkeypatch.delenv("PINJRA_URL", raising=False)
    with pytest.raises(ConfigurationError, match="PINJRA_URL"):
        HttpExecutor()


class Answering(BaseHTTPRequestHandler):
    """What says that it is a service, and answers what its server is told to."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        digest = sha1(
            f"{self.headers['Sec-WebSocket-Key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()
        ).digest()
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade")):
            self.send_header(name, value)
        self.send_header("Sec-WebSocket-Accept", b64encode(digest).decode())
        self.end_headers()
        self.wfile.write(b"\x82\x7f" + (3 << 30).to_bytes(8, "big"))  # the head of a message of 3 GiB
        _opcode, _length, *rest = self.rfile.read(8)
        self.server.closed = bytes(one ^ two for one, two in zip(rest[4:6], rest[:2], strict=True))

    def log_message(self, *_):
        pass


@pytest.fixture
def answering():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"[]"), (201, b"null"), (201, b'{"links": 3}'), (200, b"[" * 200_000),
        (400, b"[]"), (429, b'"x"'), (502, b"<html>"),
    ],
)  # fmt: skip
def test_what_is_no_such_service_is_said_whatever_it_answers(answering, status, body):
    answering.answer = (status, body)
    with pytest.raises(StartupFailed, match=f"the service at http://127.0.0.1:{answering.server_port} "):
        HttpExecutor(url=f"http://name:hunter2@127.0.0.1:{answering.server_port}")


@pytest.mark.parametrize(
    "body", [b'{"error": "x"}', b'{"error": null}', b'{"error": {}}', b'{"error": {"message": 5}}']
)
def test_an_error_of_another_shape_is_an_error_by_its_status(answering, body):
    answering.answer = (400, body)
    with pytest.raises(ConfigurationError):
        HttpExecutor(url=f"http://127.0.0.1:{answering.server_port}")


def test_a_message_that_is_larger_than_any_of_a_service_is_not_read(answering):
    answering.answer = (201, b'{"id": "a", "scratch": "/s", "links": [], "environment": [], "modules": []}')
    with pytest.raises(StartupFailed):
        HttpExecutor(url=f"http://127.0.0.1:{answering.server_port}")
    assert int.from_bytes(answering.closed, "big") == 1009  # RFC 6455: too big


def test_no_error_tells_a_key_of_the_address():
    with held_port() as held, pytest.raises(StartupFailed) as caught:
        HttpExecutor(
            url=f"http://name:hunter2@127.0.0.1:{held.getsockname()[1]}", token="hunter2-hunter2-hunter2"
        )
    assert "hunter2" not in str(caught.value)


def test_a_stream_takes_nothing_that_it_would_not_put_into_the_box(alice):
    for field in ({"files": {"a": "eA=="}}, {"variables": {"a": 1}}, {"timeout_seconds": 5}):
        answer = alice.post("/v1/streams", json=field)
        assert (answer.status_code, next(iter(field)) in answer.json()["error"]["message"]) == (400, True)
    assert alice.get("/v1/sessions").json() == {"sessions": []}
    with HttpExecutor(url=str(alice.base_url), token=ALICE) as box:
        box.put_file("a", b"x")
        assert box.run("open('a').read()").value == "x"


def test_what_the_service_does_not_give_is_refused_here_or_there(service, tmp_path):
    open_here = partial(HttpExecutor, url=service, token=ALICE)
    with pytest.raises(ConfigurationError, match=r"open_network = true in \[tenants\.alice\]"):
        open_here(network=True)
    with pytest.raises(ConfigurationError, match="may not have these packages"):
        open_here(packages=["six"])
    with pytest.raises(ConfigurationError, match=r"no python_path=.*jail"):
        open_here(python_path=[tmp_path])


def test_the_whole_network_is_given_where_the_operator_says_so(tmp_path):
    (tmp_path / "settings.toml").write_text(f'[tenants.alice]\ntoken = "{ALICE}"\nopen_network = true\n')
    process, url = start(tmp_path / "settings.toml")
    # What listens on the service's own loopback is reached by the whole network alone: here the service itself.
    code = f"import urllib.request\nurllib.request.urlopen('{url}/ready').status"
    try:
        with HttpExecutor(url=url, token=ALICE, guard=False, network=True) as box:
            assert box.run(code).value == 200
        with HttpExecutor(url=url, token=ALICE, guard=False) as box:
            assert box.run(code).error is not None
        client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {ALICE}"}, timeout=300)
        with client:
            session = client.post("/v1/sessions", json={"network": True, "guard": False}).headers["Location"]
            assert client.post(f"{session}/runs", json={"code": code}).json()["value"] == 200
    finally:
        assert stop(process) == 0


def test_files_and_folders_of_the_client_are_there(service, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("A")
    (tmp_path / "b.txt").write_text("B")
    given = {"mounts": {"data": tmp_path / "data"}, "files": [tmp_path / "b.txt"]}
    with HttpExecutor(url=service, token=ALICE, **given) as box:
        done = box.run("text = open('data/a.txt').read() + open('b.txt').read()\nopen('c', 'w').write(text)")
        assert done.files["c"].save(tmp_path / "c").read_text() == "AB"


def verdicts(alice):
    """How many verdicts of alice's the service has counted, by how they ended."""
    found = re.findall(
        r'pinjra_verdicts_total\{end="(\w+)",tenant="alice"\} (\d+)', alice.get("/metrics").text
    )
    return {end: int(number) for end, number in found}


def test_what_a_fleet_judges_in_boxes_of_the_service_is_counted_there(alice, service):
    before = verdicts(alice)
    with Fleet(service, token=ALICE, boxes=1, most_boxes=1) as fleet:
        assert [result.reason for result in fleet.map(["print(1)", "1/0", "print(2)"])] == [
            "",
            "exception",
            "",
        ]
        assert not fleet.score_sync("print(2)", cases=[Case(stdout="3\n")]).passed
    after = verdicts(alice)
    counted = {end: after[end] - before.get(end, 0) for end in after}  # others were counted before
    assert {end: n for end, n in counted.items() if n} == {"ok": 2, "exception": 1, "wrong": 1}


@pytest.mark.parametrize(
    "said",
    ["", "[]", "{", "[" * 900, '{"verdicts": 1}', '{"verdicts": {"ok": -1, "wrong": true, "passed": 1001, "x\\"}": 1}}'],
)  # fmt: skip
def test_what_a_stream_says_that_is_no_count_of_verdicts_means_nothing(alice, service, said):
    before = verdicts(alice)
    with HttpExecutor(url=service, token=ALICE) as box:
        box._transport.tell(said)
        assert box.run("6 * 7").value == 42
    assert verdicts(alice) == before


def test_the_scratch_folder_is_where_the_service_s_box_has_it(service):
    code = "import os\nos.getcwd()"
    with sandbox() as here, HttpExecutor(url=service, token=ALICE) as box:
        assert box.scratch == here.scratch != ""
        assert box.run(code).value == here.run(code).value
