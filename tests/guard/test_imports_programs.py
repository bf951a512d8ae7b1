"""Programs over the default modules: what guest code prints is what CPython prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pinjra.core.limits import Limits
from pinjra.guard.imports import DEFAULT_AUTHORIZED
from pinjra.guard.interpreter import Interpreter
from pinjra.guard.policy import Policy

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("imports_*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_prints_what_it_prints_in_cpython(program: Path) -> None:
    plain = subprocess.run([sys.executable, str(program)], capture_output=True, check=True)
    printed: list[str] = []
    interpreter = Interpreter(
        Policy(DEFAULT_AUTHORIZED), limits=Limits(), write=lambda stream, text: printed.append(text)
    )

    outcome = interpreter.run(program.read_text())

    assert outcome.error is None, outcome.error
    assert "".join(printed) == plain.stdout.decode()
