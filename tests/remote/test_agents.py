"""Agents in sandboxes: the first program of the documentation, and managed agents in sessions of their own.

Containers and ssh have theirs in files of their own; of the vendors one is enough, since an agent sees no stream.
"""

from __future__ import annotations

from typing import Any

import pytest
from remote_standins.chosen import named
from remote_standins.page import check_first_program

from pinjra.cli.agent_checks import AGENT_CHECKS
from pinjra.executors.conformance import Check, run_check
from pinjra.executors.registry import executor_class


def test_the_first_program_runs_in_a_cloud_sandbox(page: str, e2b: Any, e2b_server: Any):
    before = len(e2b_server.requests)
    check_first_program(page, "e2b", install=False)  # the stand-in's sandbox is this machine
    assert [what for what, _ in e2b_server.requests[before:]].count("create") == 1


@pytest.mark.parametrize("wanted", AGENT_CHECKS, ids=named)
@pytest.mark.parametrize("name", ["local", "jail", "wasm", "e2b"])
def test_agents_work_and_managed_ones_in_sessions_of_their_own(
    name: str, wanted: Check, request: pytest.FixtureRequest
):
    make: Any = request.getfixturevalue(name) if name == "e2b" else executor_class(name)
    problem = "" if name == "e2b" else make.diagnose()
    if problem:
        pytest.skip(problem)
    result = run_check(make, wanted)
    assert result.status == "passed", result.reason
