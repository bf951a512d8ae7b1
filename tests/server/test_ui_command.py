"""`pinjra ui`: a page for one user, on loopback, whose address holds the token."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from remote_standins import calls

from pinjra.executors.registry import default_executor

SETTINGS = """
host = "0.0.0.0"
executors = ["local"]
[tenants.other]
token = "other-token-0123456789"
[agents.sums]
agent = "scripted_agents:sums"
"""


def test_it_tells_an_address_with_a_token_that_opens_the_agents_of_a_file(tmp_path):
    settings = tmp_path / "s.toml"
    settings.write_text(SETTINGS)
    command = [sys.executable, "-m", "pinjra", "ui", "--no-browser", "--config", str(settings)]
    path = str(Path(__file__).parent / "agents_path")
    environment = {**os.environ, "PYTHONPATH": path, "XDG_STATE_HOME": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        address, _, token = (
            process.stdout.readline().strip().removeprefix("Pinjra is at ").partition("/#token=")
        )
        assert address.startswith("http://127.0.0.1:")
        assert "<title>Pinjra</title>" in calls.get(address).text
        assert calls.get(f"{address}/v1/agents").status_code == 401
        assert (
            calls.get(
                f"{address}/v1/agents", headers={"Authorization": "Bearer other-token-0123456789"}
            ).status_code
            == 401
        )
        with httpx.Client(
            base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=300
        ) as client:
            offered = client.get("/v1/agents").json()
            assert [each["name"] for each in offered["agents"]] == ["sums"]
            assert offered["executors"] == [default_executor(), "local"]
            with client.stream("POST", "/v1/agents/sums/runs", json={"task": "t", "stream": True}) as answer:
                assert "event: end" in "".join(answer.iter_text())
        process.send_signal(signal.SIGTERM)
        process.wait(300)
    assert len([*tmp_path.glob("pinjra/runs/*/run.json")]) == 1
