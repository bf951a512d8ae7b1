"""Each hostile program runs in a process of its own, next to canaries; only the canaries judge."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

_ESCAPES = sorted((Path(__file__).parents[1] / "escapes").glob("guard_*.py"))
_HOST = Path(__file__).with_name("escape_host.py")


@pytest.mark.parametrize("program", _ESCAPES, ids=lambda path: path.stem)
def test_no_escape_reaches_a_canary(program: Path, tmp_path: Path) -> None:
    secret, file_secret = secrets.token_hex(16), secrets.token_hex(16)
    (tmp_path / "secret.txt").write_text(file_secret)
    done = subprocess.run(
        [sys.executable, str(_HOST), str(program), str(tmp_path)],
        env={**os.environ, "PINJRA_CANARY": secret},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 0, f"the host died: {done.returncode} {done.stderr[-500:]}"
    assert secret not in done.stdout + done.stderr, "the host's environment leaked"
    assert file_secret not in done.stdout + done.stderr, "a file of the host leaked"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.txt"], "a file was written"
    assert "HOST INTACT" in done.stdout, done.stdout[-2000:]


def test_the_canaries_see_an_escape_when_there_is_one(tmp_path: Path) -> None:
    program = tmp_path / "open.py"
    program.write_text("print(tool.__globals__['os'].environ['PINJRA_CANARY'])")
    done = subprocess.run(
        [sys.executable, str(_HOST), str(program), str(tmp_path), "plain"],
        env={**os.environ, "PINJRA_CANARY": "seen"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "seen" in done.stdout
