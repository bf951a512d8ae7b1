"""A service with scripted agents, restarted where a test asks for it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from remote_standins.ports import held_port
from remote_standins.service import started, stop

HERE = Path(__file__).parent
ALICE = "alice-token-0123456789"
CAROL = "carol-token-0123456789ab"
DORA = "dora-token-0123456789abc"
BOB = "bob-token-0123456789abc"
SETTINGS = """
executors = ["jail"]
drain_seconds = 2
runs_folder = "{runs}"

[tenants.alice]
token = "{alice}"

[tenants.bob]
token = "{bob}"

[tenants.carol]
token = "{carol}"
cpu_seconds = 0.2

[tenants.dora]
token = "{dora}"
output_bytes = 5000
value_bytes = 70000
processes = 9

[agents.sums]
agent = "scripted_agents:sums"
description = "Adds."

[agents.shouter]
agent = "scripted_agents:shouter"

[agents.endless]
agent = "scripted_agents:endless"

[agents.team]
agent = "scripted_agents:team"

[agents.reader]
model = "openai:nobody-asks-it"
tools = ["visit_webpage", "wikipedia"]

[agents.busy]
agent = "scripted_agents:busy"

[agents.planner]
agent = "scripted_agents:planner"

[agents.waiting]
agent = "scripted_agents:waiting"
approval = "code"
"""


class Service:
    """A service process; `restart` ends it without a word and starts another with the same settings."""

    alice, bob, carol, dora = ALICE, BOB, CAROL, DORA

    def __init__(self, folder: Path, settings: str) -> None:
        self.settings = folder / "settings.toml"
        self.settings.write_text(
            settings.format(runs=folder / "runs", alice=ALICE, bob=BOB, carol=CAROL, dora=DORA)
        )
        self._held = held_port()
        self.port = self._held.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._start()

    def _start(self) -> None:
        self.process = started(self.settings, self.port, python_path=HERE / "agents_path")

    def client(self, token: str = ALICE) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=300)

    def restart(self, *, kill: bool) -> None:
        if kill:
            self.process.kill()
        stop(self.process)
        self._start()

    def stop(self) -> int:
        with self._held:
            return stop(self.process)


@pytest.fixture(scope="module")
def service_settings():
    return SETTINGS


@pytest.fixture(scope="module")
def service(tmp_path_factory, service_settings):
    service = Service(tmp_path_factory.mktemp("agents"), service_settings)
    yield service
    assert service.stop() == 0


@pytest.fixture
def alice(service):
    with service.client() as client:
        yield client


@pytest.fixture
def bob(service):
    with service.client(BOB) as client:
        yield client


class Events:
    """The events of a run, read as they come."""

    def __init__(self, client, run: str, after: int = 0, **query) -> None:
        headers = {"Last-Event-ID": str(after)} if after else {}
        self._stream = client.stream("GET", f"/v1/runs/{run}/events", headers=headers, params=query)
        self._lines = self._stream.__enter__().iter_lines()
        self.last = after

    def __iter__(self):
        event: dict[str, str] = {}
        for line in self._lines:
            if not line:
                if "data" in event:
                    self.last = int(event.get("id", self.last))
                    yield event.get("event", ""), json.loads(event["data"])
                event = {}
                continue
            name, _, value = line.partition(": ")
            event[name] = value

    def until(self, name: str):
        for event, data in self:
            if event == name:
                return data
        raise AssertionError(f"the run ended without {name}")

    def close(self) -> None:
        self._stream.__exit__(None, None, None)


@pytest.fixture
def follow():
    """Return a reader of a run's events, closed at the end."""
    opened = []

    def begin(client, run, after=0, **query):
        opened.append(Events(client, run, after, **query))
        return opened[-1]

    yield begin
    for events in opened:
        events.close()


@pytest.fixture
def begin(alice):
    """Return a function that gives an agent a task and returns the run's id."""

    def ask(agent, task="a task", **more):
        answer = alice.post(f"/v1/agents/{agent}/runs", json={"task": task, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    return ask
