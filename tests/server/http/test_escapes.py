"""Attacks on the service by somebody who has read its source: none may reach anything, and the service goes on."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from remote_standins import calls

from .conftest import ALICE, BOB, SETTINGS, faults, start, stop

ATTACKS = sorted((Path(__file__).resolve().parents[2] / "escapes").glob("serve_*.py"))


@dataclass(frozen=True)
class World:
    """What an attacker has: the address, both tokens, and the name of alice's session, in which a secret is."""

    url: str
    address: tuple[str, int]
    alice: str
    bob: str
    session: str
    pid: int

    def memory_bytes(self):
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    path = tmp_path_factory.mktemp("attacked") / "settings.toml"
    path.write_text(SETTINGS)
    log = path.with_name("log")
    with log.open("wb") as stderr:
        process, url = start(path, stderr=stderr)
    yield process.pid, url
    found = faults(log)  # before it is asked to end, which may cut what somebody still waits for
    assert stop(process) == 0
    assert not found, log.read_text(errors="replace")[-20_000:]


def told(alice, path, body):
    """Return what the service answers, once it has let go of what an attacker made it hold of this tenant's own room."""
    deadline = time.monotonic() + 300
    while (answer := alice.post(path, json=body)).status_code in (429, 503):
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)
    return answer.json()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda path: path.stem)
def test_nothing_is_reached_and_the_service_goes_on(attack, attacked):
    pid, url = attacked
    spec = importlib.util.spec_from_file_location(attack.stem, attack)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {ALICE}"}, timeout=300) as alice:
        name = told(alice, "/v1/sessions", {})["id"]
        alice.put(f"/v1/sessions/{name}/files/secret.txt", content=b"alices")
        alice.post(f"/v1/sessions/{name}/runs", json={"code": "secret = 'alices'"})
        host, port = url.removeprefix("http://").split(":")
        world = World(url, (host, int(port)), ALICE, BOB, name, pid)
        assert module.attack(world) == []
        assert told(alice, f"/v1/sessions/{name}/runs", {"code": "secret"})["value"] == "alices"
        assert alice.get(f"/v1/sessions/{name}/files/secret.txt").content == b"alices"
        for token in (ALICE, BOB):
            headers = {"Authorization": f"Bearer {token}"}
            for each in httpx.get(f"{url}/v1/sessions", headers=headers, timeout=300).json()["sessions"]:
                httpx.delete(f"{url}/v1/sessions/{each['id']}", headers=headers, timeout=300)
        assert calls.get(f"{url}/health").status_code == 200
