"""A real service in a process of its own, on a free port of loopback, and clients of two tenants."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import httpx
import pytest
from remote_standins.ports import held_port

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


def start(settings_file, *options, python_path="", stdout=None, **more):
    environment = {**os.environ, **more, **({"PYTHONPATH": str(python_path)} if python_path else {})}
    with held_port() as held:
        return started(settings_file, held.getsockname()[1], options, stdout, environment)


def started(settings_file, port, options, stdout, environment):
    command = [
        sys.executable,
        "-m",
        "pinjra",
        "serve",
        "--config",
        str(settings_file),
        "--port",
        str(port),
        *options,
    ]
    process = subprocess.Popen(command, env=environment, stdout=stdout)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200:
                return process, f"http://127.0.0.1:{port}"
        except httpx.HTTPError:
            assert process.poll() is None, "the service has ended"
            time.sleep(0.05)
    process.kill()
    raise AssertionError("the service does not answer")


def stop(process) -> int:
    process.terminate()
    try:
        return process.wait(60)
    finally:
        process.kill()


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
