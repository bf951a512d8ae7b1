"""scripts/try says how to use it, and refuses what it does not understand, before it sets anything up."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

TRY = Path(__file__).parents[2] / "scripts" / "try"


@pytest.mark.parametrize(
    "arguments", [(), ("--help",), ("one", "two"), ("--small",), ("question", "--imports")]
)
def test_wrong_arguments_show_the_usage_and_have_status_2(arguments, tmp_path):
    done = subprocess.run([TRY, *arguments], capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert 'scripts/try "QUESTION" --small' in done.stderr
    assert "Installing" not in done.stderr
