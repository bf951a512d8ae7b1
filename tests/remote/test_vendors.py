"""Vendors' real SDKs against stand-ins on loopback that run the real worker: the contract, and what is asked of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from remote_standins.chosen import CHECKS, VENDORS, chosen, keep_contract, named

from pinjra.core.access import Mount
from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
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


def test_the_hosts_that_are_named_are_on_the_vendors_own_list(
    e2b: Any, e2b_server: Any, modal: Any, modal_server: Any, daytona: Any, daytona_server: Any
):
    hosts = ["api.github.com", "*.wikipedia.org"]
    before = set(e2b_server.sandboxes)
    with e2b(network=hosts) as executor:
        (sandbox,) = set(e2b_server.sandboxes) - before
        asked = e2b_server.sandboxes[sandbox]
        assert asked["network"] == {"allowOut": hosts, "denyOut": ["0.0.0.0/0"]}
        assert executor.guarantees.network == "the vendor's allow-list"
    with modal(network=hosts):
        access = str(modal_server.control.created[-1].definition.network_access)
        assert all(host in access for host in hosts)
        assert "BLOCKED" not in access
    with daytona(network=hosts):
        asked = daytona_server.created[-1]
        assert (asked["networkBlockAll"], asked["domainAllowList"]) == (False, ",".join(hosts))


def test_a_port_of_a_host_is_more_than_a_vendors_list_knows(e2b: Any):
    with pytest.raises(ConfigurationError, match=r'has no ports.*executor_type="jail"'):
        e2b(network=["api.github.com:443"])


def test_packages_are_installed_before_the_network_is_taken_away(daytona: Any, daytona_server: Any):
    with daytona(packages=["polars==1.35.2"]):
        assert daytona_server.executed[-1].endswith("polars==1.35.2")
        assert daytona_server.networks[-1]["networkBlockAll"] is True


def test_a_copy_of_a_folder_that_is_to_be_written_to_is_refused_and_a_large_one_too(e2b: Any, tmp_path: Path):
    (tmp_path / "large").write_bytes(bytes(2 << 20))
    with pytest.raises(ConfigurationError, match=r"uploads a copy.*get_file"):
        e2b(mounts={"out": Mount(str(tmp_path), writable=True)})
    with pytest.raises(ConfigurationError, match=r"more than Limits\.disk_bytes"):
        e2b(mounts={"in": tmp_path}, limits=Limits(disk_bytes=1 << 20))


def test_links_of_a_folder_do_not_lead_out_of_it(e2b: Any, tmp_path: Path):
    (tmp_path / "shown").mkdir()
    (tmp_path / "secret").write_text("hunter2")
    (tmp_path / "shown" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "shown" / "folder").symlink_to(tmp_path)
    (tmp_path / "shown" / "a").write_text("a")
    with e2b(mounts={"in": tmp_path / "shown"}) as executor:
        assert executor.list_files() == {"in/a": 1}


# ---------------------------------------------------------------- parameters as other libraries document them


def test_parameters_that_are_documented_elsewhere_work(
    e2b: Any, e2b_server: Any, modal: Any, modal_server: Any, blaxel: Any
):
    before = set(e2b_server.sandboxes)
    with e2b([], None, timeout=77, metadata={"a": "b"}, envs={"GREETING": "hello"}) as executor:
        (sandbox,) = set(e2b_server.sandboxes) - before
        asked = e2b_server.sandboxes[sandbox]
        assert (asked["timeout"], asked["metadata"]) == (77, {"a": "b"})
        assert executor.access.env == ("GREETING=hello",)
    with modal([], None, app_name="mine", port=8888, create_kwargs={"timeout": 99}) as executor:
        assert modal_server.control.created[-1].definition.timeout_secs == 99
        assert executor("1 + 1").output == 2
    with blaxel(
        [], None, sandbox_name="mine", image="blaxel/x", memory=2048, ttl="10m", region="us-pdx-1"
    ) as executor:
        asked = {"name": "mine", "image": "blaxel/x", "memory": 2048, "ttl": "10m", "region": "us-pdx-1"}
        assert executor._parameters == asked
        assert executor("final_answer(3)").is_final_answer


@pytest.mark.parametrize("vendor", ["e2b", "modal", "blaxel"])
def test_what_is_documented_elsewhere_and_would_be_a_hole_is_refused(
    vendor: str, request: pytest.FixtureRequest
):
    with pytest.raises(ConfigurationError, match="ever unpickled"):
        request.getfixturevalue(vendor)([], None, allow_pickle=True)
