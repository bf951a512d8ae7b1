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
bodies_bytes = 268435456
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


FAULT = "Exception in ASGI application"


def faults(log):
    """Lines of a service's log about what nobody had thought of: whatever clients and guests do, there are none."""
    return [line for line in log.read_text(errors="replace").splitlines() if FAULT in line]


def start(settings_file, *options, **more):
    with held_port() as held:
        port = held.getsockname()[1]
        return started(settings_file, port, *options, **more), f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    path = tmp_path_factory.mktemp("serve") / "settings.toml"
    path.write_text(SETTINGS)
    log = path.with_name("log")
    with log.open("wb") as stderr:
        process, url = start(path, stderr=stderr)
    yield url
    found = faults(log)  # before it is asked to end, which may cut what somebody still waits for
    assert stop(process) == 0
    assert not found, log.read_text(errors="replace")[-20_000:]


@pytest.fixture
def alice(service):
    with httpx.Client(base_url=service, headers={"Authorization": f"Bearer {ALICE}"}, timeout=300) as client:
        yield client


@pytest.fixture
def bob(service):
    with httpx.Client(base_url=service, headers={"Authorization": f"Bearer {BOB}"}, timeout=300) as client:
        yield client


@pytest.fixture
def session(alice):
    """Address of a fresh session of alice's."""
    answer = alice.post("/v1/sessions", json={})
    assert answer.status_code == 201, answer.text
    path = answer.headers["Location"]
    yield path
    alice.delete(path)
