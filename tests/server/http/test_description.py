"""The OpenAPI description, and the service held to it: whatever it is sent, it answers what it says there, and never fails."""

from __future__ import annotations

import re

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from remote_standins import calls

from pinjra.server.http.app import OPERATIONS
from pinjra.server.http.operations import document

from .conftest import ALICE

DESCRIBED = document(OPERATIONS)
PLACES = [(path, method) for path, methods in DESCRIBED["paths"].items() for method in methods]
EXAMPLES = 12


@pytest.fixture(scope="module")
def opened(service):
    """A client, and a session that every request may work in."""
    with httpx.Client(base_url=service, headers={"Authorization": f"Bearer {ALICE}"}, timeout=300) as client:
        yield client, client.post("/v1/sessions", json={}).json()["id"]
        close_all(client)


def close_all(client, but=""):
    for each in client.get("/v1/sessions").json()["sessions"]:
        if each["id"] != but:
            client.delete(f"/v1/sessions/{each['id']}")


@pytest.mark.parametrize(("path", "method"), PLACES, ids=lambda each: each)
def test_every_request_is_answered_as_described(opened, service, path, method):
    client, session = opened
    schemathesis = pytest.importorskip("schemathesis")
    operation = schemathesis.openapi.from_dict(DESCRIBED)[path][method.upper()]
    mode = schemathesis.GenerationMode
    modes = [mode.POSITIVE, *([mode.NEGATIVE] if operation.body else [])]
    # A valid request may still be refused: the tenant may not have it, or there is no such session.
    usual = [schemathesis.checks.CHECKS.get_one("positive_data_acceptance")]
    # 413 is none of what this one expects.
    rejection = schemathesis.checks.CHECKS.get_one("negative_data_rejection")

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        case=st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes]), is_here=st.booleans()
    )
    def check(case, is_here):
        if is_here and "session" in (case.path_parameters or {}) and method != "delete":
            case.path_parameters["session"] = session
        answer = case.call(base_url=service, headers={"Authorization": f"Bearer {ALICE}"}, timeout=300)
        excluded = [*usual, rejection] if answer.status_code == 413 else usual
        case.validate_response(answer, excluded_checks=excluded)
        close_all(client, session)

    check()


def test_the_page_shows_every_request_and_loads_nothing(service):
    answer = calls.get(f"{service}/docs")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for path, methods in DESCRIBED["paths"].items():
        for method in methods:
            assert f"<b>{method.upper()}</b> <code>{path}</code>" in answer.text
    links = re.findall(r"""(?:href|src)=["']?([^"'> ]+)""", answer.text)
    assert links[0] == "openapi.json"
    assert all(link.startswith("#") for link in links[1:])
    names = set(re.findall(r'id="(\w+)"', answer.text))
    assert {link[1:] for link in links[1:]} <= names


def test_the_description_needs_no_token_and_what_it_describes_does(service):
    described = calls.get(f"{service}/openapi.json").json()
    for path, methods in described["paths"].items():
        for method, said in methods.items():
            status = calls.request(method, service + re.sub(r"\{\w+\}", "x", path)).status_code
            assert (status == 401) is (said.get("security") != []), (method, path)


def test_a_path_or_a_method_that_is_not_there_is_said_as_other_errors_are(alice):
    answer = alice.get("/v1/nothing")
    assert (answer.status_code, answer.json()["error"]["kind"]) == (404, "not_found")
    answer = alice.delete("/v1/executors")
    assert (answer.status_code, answer.json()["error"]["kind"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]
