"""On Linux nothing falls back to a weaker executor by itself: what cannot be had is said, and it ends there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from pinjra.executors.registry import default_executor

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no jail")
ROOT = Path(__file__).parents[2]
# A machine without pidfd_open has no jail; it is told to have neither docker nor wasm.
POOR = """
import os, struct, sys
from pinjra.jail.walls import seccomp
from pinjra.jail.walls.syscalls import NUMBERS
line = lambda code, operand, then=0, otherwise=0: struct.pack("HBBI", code, then, otherwise, operand)
seccomp.apply(line(0x20, 0) + line(0x15, NUMBERS["pidfd_open"], 0, 1) + line(6, 0x50000 | 38) + line(6, 0x7FFF0000))
os.environ.update(DOCKER_HOST="tcp://127.0.0.1:9", XDG_CACHE_HOME="/nonexistent", HOME="/nonexistent")
"""
NO_WASM = "sys.modules['wasmtime'] = None\n"


FAKE = """#!/bin/sh
case "$*" in
*'models list'*) echo '{"name": "qwen2.5-coder-1.5b", "path": "x"}' ;;
*'doctor --best'*) echo 'jail is not available here: ...' >&2; exit 1 ;;
*'pinjra run'*) echo RAN ;;
esac
"""


def on_a_poor_machine(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", POOR + NO_WASM + code], capture_output=True, text=True, timeout=120
    )


@linux
def test_doctor_prints_no_executor_where_none_keeps_code_in() -> None:
    done = on_a_poor_machine("from pinjra.cli import main\nsys.argv = ['pinjra', 'doctor', '--best']\nmain()")
    assert (done.returncode, done.stdout) == (1, "")
    assert "jail is not available here: the jail cannot give a start here (pidfd_open" in done.stderr
    assert "docker is not available here" in done.stderr
    assert "wasm is not available here" in done.stderr
    assert "say --executor local yourself" in done.stderr


@linux
def test_an_agent_stops_where_the_jail_cannot_start() -> None:
    code = (
        "from pinjra import CodeAgent\nfrom pinjra.models.scripted import ScriptedModel\n"
        "agent = CodeAgent([], ScriptedModel(['```py\\nfinal_answer(1)\\n```']))\n"
        "print(agent.executor_type)\nagent.run('x')"
    )
    done = on_a_poor_machine(code)
    assert done.returncode == 1
    assert done.stdout.startswith("jail\n")
    assert "JailUnavailable" in done.stderr


@linux
def test_the_users_own_word_is_taken() -> None:
    code = "from pinjra.cli import main\nsys.argv = ['pinjra', 'exec', '-c', '6 * 7', '--executor', 'local']\nmain()"
    done = on_a_poor_machine(code)
    assert (done.returncode, done.stdout) == (0, "42\n")


@linux
def test_try_stops_before_it_asks_a_model(tmp_path: Path) -> None:
    home = tmp_path / "pinjra"
    shutil.copytree(ROOT / "scripts", home / "scripts")
    shutil.copy(ROOT / "pyproject.toml", home)
    python = home / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(FAKE)
    python.chmod(0o755)
    done = subprocess.run([home / "scripts" / "try", "question"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 4
    assert "RAN" not in done.stdout
    assert "No executor keeps the model's code away from this machine here" in done.stderr


def test_elsewhere_the_default_is_wasm_or_local_with_a_warning() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        name = default_executor("darwin")
    assert name in ("wasm", "local")
    assert [str(warning.message)[:21] for warning in caught] == (
        ['executor_type="local"'] if name == "local" else []
    )
    code = "import warnings\nfrom pinjra.executors.registry import default_executor\nprint(default_executor('win32'))"
    done = subprocess.run(
        [sys.executable, "-c", "import sys\n" + NO_WASM + code],
        capture_output=True, text=True, timeout=300, env={**os.environ, "XDG_CACHE_HOME": "/nonexistent"},
    )  # fmt: skip
    assert done.stdout == "local\n"
    assert "RuntimeWarning" in done.stderr
