"""Vendors' real SDKs against stand-ins on loopback that run the real worker: the contract, and what is asked of them."""

from __future__ import annotations

from typing import Any

import pytest
from remote_standins.chosen import CHECKS, VENDORS, chosen, keep_contract, named

from pinjra.core.errors import ConfigurationError
from pinjra.executors.conformance.suite import Check

# The wire and the worker are the same everywhere: one is given every check, the others what their streams could break.
FEW = [(vendor, check) for vendor in VENDORS for check in chosen()]
REST = [("e2b", check) for check in CHECKS if check not in chosen()]
GIVEN = [*FEW, *(pytest.param(*given, marks=pytest.mark.slow) for given in REST)]


@pytest.mark.parametrize(("vendor", "wanted"), GIVEN, ids=[f"{v}-{named(c)}" for v, c in FEW + REST])
def test_a_vendors_sandbox_keeps_the_contract(vendor: str, wanted: Check, request: pytest.FixtureRequest):
    keep_contract(request.getfixturevalue(vendor), wanted)


def test_a_sandbox_is_asked_for_without_the_internet_and_ended_at_close(e2b: Any, e2b_server: Any):
    before = set(e2b_server.sandboxes)
    with e2b() as executor:
        (sandbox,) = set(e2b_server.sandboxes) - before
        assert e2b_server.sandboxes[sandbox]["allow_internet_access"] is False
        assert executor.run("1 + 1").value == 2
    assert sandbox not in e2b_server.sandboxes


def test_a_modal_sandbox_is_asked_for_without_a_network_and_terminated_at_close(
    modal: Any, modal_server: Any
):
    with modal() as executor:
        assert executor.run("1 + 1").value == 2
        name = f"sb-{len(modal_server.control.created)}"
        assert "BLOCKED" in str(modal_server.control.created[-1].definition.network_access)
    assert name in modal_server.control.terminated


@pytest.mark.parametrize(
    ("vendor", "variable"),
    [
        ("e2b", "E2B_API_KEY"),
        ("modal", "MODAL_TOKEN_ID"),
        ("blaxel", "BL_API_KEY"),
        ("daytona", "DAYTONA_API_KEY"),
    ],
)
def test_a_missing_key_is_one_clear_line(
    vendor: str, variable: str, request: pytest.FixtureRequest, monkeypatch: Any
):
    from pinjra.executors.registry import executor_class

    request.getfixturevalue(vendor)
    monkeypatch.delenv(variable)
    with pytest.raises(ConfigurationError, match=variable):
        executor_class(vendor)()
    assert variable in executor_class(vendor).diagnose()


def test_keys_are_in_no_text_of_an_executor(e2b: Any):
    with e2b() as executor:
        assert "0" * 40 not in repr(executor) + str(executor.guarantees) + str(executor.run("1 / 0"))
