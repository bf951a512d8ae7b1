"""Attacks on the service by somebody who has read its source: none may reach anything, and the service goes on."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from remote_standins import calls

from .conftest import ALICE, BOB, SETTINGS, start, stop

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
    process, url = start(path)
    yield process.pid, url
    assert stop(process) == 0


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda path: path.stem)
def test_nothing_is_reached_and_the_service_goes_on(attack, attacked):
    pid, url = attacked
    spec = importlib.util.spec_from_file_location(attack.stem, attack)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {ALICE}"}, timeout=60) as alice:
        name = alice.post("/v1/sessions", json={}).json()["id"]
        alice.put(f"/v1/sessions/{name}/files/secret.txt", content=b"alices")
        alice.post(f"/v1/sessions/{name}/runs", json={"code": "secret = 'alices'"})
        host, port = url.removeprefix("http://").split(":")
        world = World(url, (host, int(port)), ALICE, BOB, name, pid)
        assert module.attack(world) == []
        assert alice.post(f"/v1/sessions/{name}/runs", json={"code": "secret"}).json()["value"] == "alices"
        assert alice.get(f"/v1/sessions/{name}/files/secret.txt").content == b"alices"
        for token in (ALICE, BOB):
            headers = {"Authorization": f"Bearer {token}"}
            for each in httpx.get(f"{url}/v1/sessions", headers=headers, timeout=60).json()["sessions"]:
                httpx.delete(f"{url}/v1/sessions/{each['id']}", headers=headers, timeout=60)
        assert calls.get(f"{url}/health").status_code == 200
