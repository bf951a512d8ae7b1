"""`executor_type="http"` passes the conformance suite: the worker there, the host's side here."""

from __future__ import annotations

import re
from functools import partial

import httpx
import pytest

from pinjra import sandbox
from pinjra.core.errors import ConfigurationError, ExecutorUnavailable
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
