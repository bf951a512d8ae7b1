"""Faults of networks, vendors and disks: each is exact afterwards, or an error that names it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from remote_standins.chosen import SERVED, VENDORS
from remote_standins.shared import check_full_scratch_folder

from pinjra.core.errors import BackendError, SessionLost, StartupFailed
from pinjra.core.limits import Limits

RESUMED = ("e2b", "modal", "blaxel", "daytona")  # a cut stream goes on where it was; elsewhere it is a loss


class Vendor(NamedTuple):
    """An executor's class, and the stand-in that it talks to."""

    name: str
    make: Any
    server: Any


@pytest.fixture
def vendor(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    """A vendor whose stand-in does nothing wrong before and after."""
    name = request.param
    make, server = request.getfixturevalue(name), request.getfixturevalue(f"{name}_server")
    server.faults.clear()
    yield Vendor(name, make, server)
    server.faults.clear()


def each(*names: str) -> pytest.MarkDecorator:
    """Give a test these vendors."""
    return pytest.mark.parametrize("vendor", names or VENDORS, indirect=True)


# ---------------------------------------------------------------- the stream


@each(*RESUMED)
def test_a_stream_cut_three_times_loses_nothing_and_repeats_nothing(vendor: Vendor):
    calls: list[int] = []

    def tick(n: int) -> int:
        calls.append(n)
        if n in (7, 15, 23):
            vendor.server.cut()
        return n * 10

    with vendor.make() as executor:
        executor.send_tools({"tick": tick})
        code = "total = 0\nfor i in range(30):\n    print('line', i)\n    total += tick(i)\ntotal"
        done = executor.run(code)
        assert done.error is None, done.error
        assert done.value == sum(n * 10 for n in range(30))
        assert done.stdout == "".join(f"line {i}\n" for i in range(30))
        assert calls == list(range(30))
        assert executor.run("total").value == done.value


@each()
def test_output_that_comes_in_crumbs_is_the_same(vendor: Vendor, monkeypatch: pytest.MonkeyPatch):
    # Daytona's SDK holds a last crumb of one or two characters back: what it takes to go on is tried often here.
    monkeypatch.setattr("pinjra.executors.remote.daytona.STALL_SECONDS", 0.2)
    vendor.server.faults.piece_bytes = 11
    with vendor.make() as executor:
        executor.send_tools({"echo": lambda text: text})
        done = executor.run("print('ü' * 200)\nx = echo('€' * 300)\nx")
        assert done.value == "€" * 300
        assert done.stdout == "ü" * 200 + "\n"


@each(*RESUMED)
def test_input_that_is_refused_once_is_sent_again_exactly_or_fails_by_name(vendor: Vendor):
    with vendor.make() as executor:
        executor.run("x = 1")
        vendor.server.faults.inputs_to_refuse = 1
        try:
            assert executor.run("x += 1\nx").value == 2
        except BackendError as error:
            assert "injected" in str(error)
        assert vendor.server.faults.inputs_to_refuse == 0


# ---------------------------------------------------------------- the sandbox


@each("e2b", "blaxel", "daytona", "kubernetes")
@pytest.mark.parametrize("code", [401, 500, 503])
def test_a_creation_that_is_refused_is_told_with_the_vendors_words(vendor: Vendor, code: int):
    vendor.server.faults.refusals[:] = [code] * 9  # an SDK may ask again
    with pytest.raises((StartupFailed, BackendError), match="injected: n"):
        vendor.make()


@each("modal")
def test_a_creation_beyond_the_quota_is_told_with_the_vendors_words(vendor: Vendor):
    vendor.server.faults.refusals[:] = [429] * 9
    with pytest.raises(StartupFailed, match=r"Modal did not start a sandbox: .*injected: no capacity"):
        vendor.make()


@each()
def test_a_killed_sandbox_is_noticed_between_runs_and_reset_starts_another(vendor: Vendor):
    with vendor.make() as executor:
        executor.run("x = 1")
        vendor.server.on_loop(vendor.server.kill_all)
        for _ in range(2):
            with pytest.raises(SessionLost):
                executor.run("x")
        executor.reset()
        assert executor.run("1 + 1").value == 2


@each()
def test_the_end_of_a_lifetime_in_a_run_is_a_loss_and_reset_starts_another(vendor: Vendor):
    with vendor.make() as executor:
        executor.run("x = 1")
        executor.send_tools({"wait": lambda: vendor.server.on_loop(vendor.server.expire_all)})
        with pytest.raises(SessionLost) as caught:
            executor.run("wait()\nx")
        if vendor.name == "e2b":
            assert "the sandbox is gone" in str(caught.value)
        executor.reset()
        assert executor.run("1 + 1").value == 2


def test_a_sandbox_is_kept_alive_for_as_long_as_its_session(e2b: Any, e2b_server: Any):
    with e2b(timeout_seconds=1) as executor:
        before = len(e2b_server.requests)

        def is_kept() -> bool:
            return "timeout" in [what for what, _ in e2b_server.requests[before:]]

        executor.send_tools({"is_kept": is_kept})
        assert executor.run("import time\nwhile not is_kept():\n    time.sleep(0.05)\n'kept'").value == "kept"


# ---------------------------------------------------------------- clocks and disks


@each()
def test_a_clock_that_jumps_ends_no_run(vendor: Vendor, monkeypatch: pytest.MonkeyPatch):
    real = time.time
    with vendor.make(limits=Limits(wall_seconds=30)) as executor:
        executor.send_tools({"jump": lambda hours: monkeypatch.setattr(time, "time", lambda: real() + hours)})
        assert executor.run("jump(7200)\n1").value == 1
        assert executor.run("jump(-7200)\n2").value == 2
        assert executor.run("3").value == 3


@pytest.mark.parametrize("name", SERVED)
def test_a_full_scratch_folder_is_an_error_of_the_guest_and_the_session_lives_on(
    name: str, request: pytest.FixtureRequest
):
    check_full_scratch_folder(request.getfixturevalue(name))
