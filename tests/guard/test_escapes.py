"""Hostile programs: guard_* outlive their budget if they can, imports_* set `escaped` where they get through."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.guard.support import Session

from pinjra.core.execution import Cause

_ESCAPES = Path(__file__).parents[1] / "escapes"
_OUTLIVE = sorted(_ESCAPES.glob("guard_*.py"))
_REACH = sorted(_ESCAPES.glob("imports_*.py"))
_HOST = """
import sys
from pathlib import Path
from pinjra.core.limits import Limits
from pinjra.guard.interpreter import Interpreter
from pinjra.guard.policy import Policy
interpreter = Interpreter(Policy(imports="standard"), limits=Limits(operations=300_000))
error = interpreter.run(Path(sys.argv[1]).read_text()).error
print("ended by", error.cause.value if error and error.cause else error)
"""


@pytest.mark.parametrize("program", _OUTLIVE, ids=lambda path: path.stem)
def test_no_program_outlives_its_budget(program: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HOST, str(program)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.endswith(f"ended by {Cause.OPERATIONS.value}\n"), (
        done.stdout[-500:] + done.stderr[-500:]
    )


@pytest.mark.parametrize("program", _REACH, ids=lambda path: path.stem)
def test_no_program_reaches_a_module_that_was_not_authorised(program: Path, process_kept: None) -> None:
    source = program.read_text()
    found = re.search(r"^# imports:(.*)$", source, re.MULTILINE)
    authorized = [name.strip() for name in found[1].split(",") if name.strip()] if found else []
    session = Session(*authorized)
    session.interpreter.own_process()
    assert session.value(source + "\nescaped") == []
