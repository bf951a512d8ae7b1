"""What is asked of Daytona, and its faults; the contract itself is in test_vendors."""

from __future__ import annotations

from typing import Any

import pytest

from pinjra.core.errors import StartupFailed
from pinjra.executors.remote.daytona import INPUT_BYTES, _whole_lines


def test_a_sandbox_is_asked_for_without_a_network_and_deleted_at_close(daytona: Any, daytona_server: Any):
    with daytona(timeout_seconds=130) as executor:
        assert executor.run("1 + 1").value == 2
        asked = daytona_server.created[-1]
        assert asked["networkBlockAll"] is True
        assert asked["autoStopInterval"] == 3
        assert asked["autoDeleteInterval"] == 0
        assert len(daytona_server.sandboxes) == 1
    assert daytona_server.sandboxes == {}


def test_an_image_is_asked_for_with_the_memory_of_the_limits(daytona: Any, daytona_server: Any):
    with daytona(image="python:3.12-slim", cpus=2):
        asked = daytona_server.created[-1]
    assert asked["buildInfo"]["dockerfileContent"].startswith("FROM python:3.12-slim")
    assert (asked["cpu"], asked["memory"]) == (2, 2)


def test_imports_are_installed_before_the_network_is_taken_away(daytona: Any, daytona_server: Any):
    with daytona(["PIL.Image", "json", "yaml"], install=True):
        assert daytona_server.created[-1]["networkBlockAll"] is False
        assert daytona_server.executed[-1].endswith("pillow pyyaml")
        assert daytona_server.networks[-1]["networkBlockAll"] is True


def test_a_failed_installation_is_an_error_and_leaves_no_sandbox(
    daytona: Any, daytona_server: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(daytona_server, "exec_code", 1)
    with pytest.raises(StartupFailed, match="installing yeaml in the sandbox failed: injected: no such"):
        daytona(["yeaml"], install=True)
    assert daytona_server.sandboxes == {}


def test_input_is_cut_at_the_ends_of_lines_only():
    long = b"x" * (2 * INPUT_BYTES) + b"\n"
    data = b"a\nb\n" + long + b"c\n" * INPUT_BYTES
    pieces = list(_whole_lines(data))
    assert b"".join(pieces) == data
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert max(len(piece) for piece in pieces) == len(long)


def test_the_key_is_in_no_text_of_an_executor(daytona: Any):
    with daytona() as executor:
        assert "0" * 40 not in repr(executor) + str(executor.guarantees) + str(executor.run("1 / 0"))
