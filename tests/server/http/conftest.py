"""A real service in a process of its own, on a free port of loopback, and clients of two tenants."""

from __future__ import annotations

import httpx
import pytest
from remote_standins.ports import held_port
from remote_standins.service import started, stop

ALICE = "alice-token-0123456789"
BOB = "bob-token-0123456789abc"

SETTINGS = f"""
sessions = 40
idle_seconds = 60
executors = ["jail"]
hosts = ["pinjra.test", "*.pinjra.test"]
body_bytes = 4194304
body_seconds = 8
drain_seconds = 5

[tenants.alice]
token = "{ALICE}"
sessions = 30

[tenants.bob]
token = "{BOB}"
sessions = 2
wall_seconds = 5
memory_bytes = 268435456
"""


def start(settings_file, *options, **more):
    with held_port() as held:
        port = held.getsockname()[1]
        return started(settings_file, port, *options, **more), f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    path = tmp_path_factory.mktemp("serve") / "settings.toml"
    path.write_text(SETTINGS)
    process, url = start(path)
    yield url
    assert stop(process) == 0


@pytest.fixture
def alice(service):
    with httpx.Client(base_url=service, headers={"Authorization": f"Bearer {ALICE}"}, timeout=60) as client:
        yield client


@pytest.fixture
def bob(service):
    with httpx.Client(base_url=service, headers={"Authorization": f"Bearer {BOB}"}, timeout=60) as client:
        yield client


@pytest.fixture
def session(alice):
    """Address of a fresh session of alice's."""
    answer = alice.post("/v1/sessions", json={})
    assert answer.status_code == 201, answer.text
    path = answer.headers["Location"]
    yield path
    alice.delete(path)
