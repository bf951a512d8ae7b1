"""`executor_type="e2b"` with E2B's own SDK against this service: no account, no cloud."""

from __future__ import annotations

import pytest
from remote_standins.page import check_first_program
from remote_standins.page import page as page

from pinjra.cli.agent_checks import AGENT_CHECKS
from pinjra.executors.conformance import run_check
from pinjra.executors.registry import executor_class

from .conftest import ALICE

pytest.importorskip("e2b_code_interpreter", reason="the SDK of E2B is not installed", exc_type=ImportError)
pytest.importorskip("IPython", exc_type=ImportError)


@pytest.fixture
def environment(service, monkeypatch):
    for name, value in (("E2B_API_URL", service), ("E2B_SANDBOX_URL", service), ("E2B_API_KEY", ALICE)):
        monkeypatch.setenv(name, value)


def test_the_first_program_runs_in_a_sandbox_of_this_service(page, environment):  # noqa: F811 (the fixture)
    check_first_program(page, "e2b", install=False)  # the packages of this machine are those of the sandbox


@pytest.mark.parametrize("wanted", AGENT_CHECKS, ids=lambda check: check.name)
def test_agents_work_and_managed_ones_in_sandboxes_of_their_own(wanted, environment):
    result = run_check(executor_class("e2b"), wanted)
    assert result.status == "passed", result.reason
