"""A service's end, and the end of what it runs: by request, by kill -9, in the middle of work."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import threading
import time

import httpx
import pytest
from remote_standins.service import stop

from processes import descendants, is_alive

from .conftest import ALICE, start

SETTINGS = f'drain_seconds = 30\n[tenants.alice]\ntoken = "{ALICE}"\n'


@pytest.fixture
def own(tmp_path):
    """A service of this test: its process and a client."""
    (tmp_path / "settings.toml").write_text(SETTINGS)
    process, url = start(tmp_path / "settings.toml")
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {ALICE}"}, timeout=300) as client:
        yield process, client
    process.kill()
    process.wait()


def wait_until(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def opened(client):
    return client.post("/v1/sessions", json={}).headers["Location"]


def test_a_run_in_progress_ends_before_a_service_that_is_asked_to_end(own):
    process, client = own
    path, found, begun = opened(client), {}, threading.Event()
    code = "print('on', flush=True)\nimport time\ntime.sleep(1.5)\n'whole'"

    def run():
        with client.stream("POST", f"{path}/runs", json={"code": code, "stream": True}) as answer:
            text = ""
            for piece in answer.iter_text():
                text += piece
                if "on" in text:
                    begun.set()
            found["text"] = text

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(120)
    started = descendants(process.pid)
    process.terminate()
    thread.join(300)
    assert '"value": "whole"' in found["text"]
    assert process.wait(300) == 0
    wait_until(lambda: not any(map(is_alive, started)))


def test_a_worker_that_is_killed_is_said_by_the_status_and_the_others_go_on(own):
    process, client = own
    other = opened(client)
    client.post(f"{other}/runs", json={"code": "x = 1"})
    before = descendants(process.pid)
    path = opened(client)
    client.post(f"{path}/runs", json={"code": "x = 2"})
    for pid in descendants(process.pid) - before:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    answer = client.post(f"{path}/runs", json={"code": "x"})
    # Which of its processes were new depends on what was opened in advance: either it is lost and says so, or it is whole.
    is_lost = answer.status_code == 410 and answer.json()["error"]["kind"] == "session_lost"
    assert is_lost or answer.json()["error"] is not None or answer.json()["value"] == 2
    assert client.post(f"{other}/runs", json={"code": "x"}).json()["value"] == 1
    assert client.post(f"{opened(client)}/runs", json={"code": "3"}).json()["value"] == 3


def test_a_service_that_is_killed_leaves_no_process(own):
    process, client = own
    for _ in range(2):
        client.post(f"{opened(client)}/runs", json={"code": "x = 1"})
    client.post("/run_code", json={"code": "print(1)", "language": "python"})
    started = descendants(process.pid)
    assert started
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_alive, started)))


def test_a_service_that_is_asked_to_end_waits_for_no_opening_and_leaves_none_behind(tmp_path):
    (tmp_path / "settings.toml").write_text(
        f'drain_seconds = 1\n[tenants.alice]\ntoken = "{ALICE}"\npackages = true\n'
    )
    with socket.create_server(("127.0.0.1", 0)) as registry:  # takes connections, and says nothing
        registry.settimeout(300)
        address = f"http://127.0.0.1:{registry.getsockname()[1]}/simple"
        variables = {"PIP_INDEX_URL": address, "PIP_TIMEOUT": "3600", "XDG_CACHE_HOME": str(tmp_path)}
        variables |= dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1")
        log, answers = tmp_path / "log", []
        with log.open("wb") as stderr:
            process, url = start(tmp_path / "settings.toml", stderr=stderr, **variables)
        headers = {"Authorization": f"Bearer {ALICE}"}

        def open_one():
            body = {"packages": ["six"]}
            answers.append(httpx.post(f"{url}/v1/sessions", json=body, headers=headers, timeout=300))

        thread = threading.Thread(target=open_one)
        thread.start()
        try:
            fetching, _ = registry.accept()
            started = descendants(process.pid)
            process.terminate()
            assert process.wait(300) == 0
        finally:
            process.kill()
            process.wait()
            thread.join(300)
        with fetching:
            fetching.settimeout(300)
            while fetching.recv(4096):
                pass
        wait_until(lambda: not any(map(is_alive, started)))
    [answer] = answers
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1"), answer.text
    assert answer.json()["error"] == {"kind": "refused", "message": "the service is ending"}
    assert "Traceback" not in log.read_text(), log.read_text()


def test_a_program_in_progress_ends_when_the_drain_time_is_over(tmp_path):
    log = tmp_path / "audit.jsonl"
    (tmp_path / "settings.toml").write_text(
        f'drain_seconds = 1\naudit_log = "{log}"\n[tenants.alice]\ntoken = "{ALICE}"\nwall_seconds = 3000\n'
    )
    process, url = start(tmp_path / "settings.toml")
    headers, answers = {"Authorization": f"Bearer {ALICE}"}, []

    def run(code):
        body = {"code": code, "language": "python", "run_timeout": 3000}
        answers.append(httpx.post(f"{url}/run_code", json=body, headers=headers, timeout=300))

    run("print(1)")  # what is warm by now stays
    before = descendants(process.pid)
    # more processes than a box that the service makes for later: so it is the program that runs
    code = "import os, time\nfor _ in range(16):\n    if not os.fork():\n        break\ntime.sleep(2000)"
    thread = threading.Thread(target=run, args=(code,))
    thread.start()
    wait_until(lambda: len(descendants(process.pid) - before) > 16)
    process.terminate()
    assert process.wait(300) == 0
    thread.join(300)
    wait_until(lambda: not any(map(is_alive, before)))
    assert [answer.status_code for answer in answers] == [200, 503]
    runs = [json.loads(line) for line in log.read_text().splitlines()]
    assert [each["end"] for each in runs if each["kind"] == "run"] == ["ok", "cancelled"]


def test_a_service_takes_as_many_descriptors_as_its_user_may_have(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    (tmp_path / "settings.toml").write_text(SETTINGS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard - 1, hard))
    try:
        process, _ = start(tmp_path / "settings.toml")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        assert stop(process) == 0
