"""Faults of networks, vendors and disks: each is exact afterwards, or an error that names it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from pinjra.core.errors import ConfigurationError, SessionLost, StartupFailed
from pinjra.core.limits import Limits


@pytest.fixture
def refusing(e2b_server: Any) -> Iterator[list[int]]:
    yield e2b_server.refusals
    e2b_server.refusals.clear()


@pytest.mark.parametrize("code", [401, 500, 503])
def test_a_creation_that_the_vendor_refuses_is_told_with_its_words(e2b: Any, refusing: list[int], code: int):
    refusing[:] = [code] * 9  # the SDK itself asks again
    with pytest.raises(StartupFailed, match=r"E2B did not start a sandbox: .*injected: no capacity"):
        e2b()


@pytest.fixture
def crumbs(e2b_server: Any) -> Iterator[None]:
    e2b_server.processes.piece_bytes = 11
    yield
    e2b_server.processes.piece_bytes = 32 << 10


def test_output_that_comes_in_crumbs_is_the_same(e2b: Any, crumbs: None):
    with e2b() as executor:
        executor.send_tools({"echo": lambda text: text})
        done = executor.run("print('ü' * 200)\nx = echo('€' * 300)\nx")
        assert done.value == "€" * 300
        assert done.stdout == "ü" * 200 + "\n"


def test_the_end_of_a_lifetime_is_a_loss_that_is_named_and_reset_starts_anew(e2b: Any, e2b_server: Any):
    before = set(e2b_server.sandboxes)
    with e2b() as executor:
        executor.run("x = 1")
        (sandbox,) = set(e2b_server.sandboxes) - before
        executor.send_tools({"wait": lambda: e2b_server.on_loop(e2b_server.expire, sandbox)})
        with pytest.raises(SessionLost, match="the sandbox is gone"):
            executor.run("wait()\nx")
        executor.reset()
        assert executor.run("1 + 1").value == 2


def test_a_sandbox_is_kept_alive_for_as_long_as_its_session(e2b: Any, e2b_server: Any):
    with e2b(timeout_seconds=1) as executor:
        before = len(e2b_server.requests)

        def is_kept() -> bool:
            return "timeout" in [what for what, _ in e2b_server.requests[before:]]

        executor.send_tools({"is_kept": is_kept})
        assert executor.run("import time\nwhile not is_kept():\n    time.sleep(0.05)\n'kept'").value == "kept"


def test_a_clock_that_jumps_ends_no_run(e2b: Any, monkeypatch: pytest.MonkeyPatch):
    real = time.time
    with e2b(limits=Limits(wall_seconds=30)) as executor:
        executor.send_tools({"jump": lambda hours: monkeypatch.setattr(time, "time", lambda: real() + hours)})
        assert executor.run("jump(7200)\n1").value == 1
        assert executor.run("jump(-7200)\n2").value == 2
        assert executor.run("3").value == 3


@pytest.mark.docker
def test_a_full_scratch_folder_is_an_error_of_the_guest_and_the_session_lives_on(docker_executor: Any):
    with docker_executor(limits=Limits(disk_bytes=4 << 20), guard=False) as executor:
        done = executor.run("x = 1\nwith open('f', 'wb') as f:\n    f.write(bytes(8 << 20))")
        assert done.error is not None
        assert executor.run("import os\nos.path.exists('f') and os.remove('f')\n2").value == 2
        with pytest.raises(ConfigurationError, match="quota"):
            executor.put_file("large", bytes(5 << 20))
        executor.put_file("small", b"s")
        assert executor.get_file("small") == b"s"
