"""scripts/try says how to use it, and refuses what it does not understand, before it sets anything up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TRY = Path(__file__).parents[2] / "scripts" / "try"


@pytest.mark.parametrize(
    "arguments", [(), ("--help",), ("one", "two"), ("--small",), ("question", "--imports")]
)
def test_wrong_arguments_show_the_usage_and_have_status_2(arguments, tmp_path):
    done = subprocess.run([TRY, *arguments], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert 'scripts/try "QUESTION" --small' in done.stderr
    assert "Installing" not in done.stderr


def test_without_a_package_index_it_says_what_to_check(tmp_path):
    home = tmp_path / "pinjra"
    shutil.copytree(TRY.parent, home / "scripts")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TRY.parents[1] / name, home)
    subprocess.run([sys.executable, "-m", "venv", home / ".venv"], check=True, timeout=120)
    env = {
        **os.environ,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,
    }
    env.pop("PIP_EXTRA_INDEX_URL", None)
    done = subprocess.run(
        [home / "scripts" / "try", "question"], capture_output=True, text=True, timeout=120, env=env
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "Installing Pinjra"  # the environment that was there is used
    assert (
        "pip could not get the packages (see above). Check the network, or set PIP_INDEX_URL." in done.stderr
    )
    assert "Traceback" not in done.stderr
