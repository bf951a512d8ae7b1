"""Hostile programs on imports: none may set `escaped` to anything true, nor change what its header says the host keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pinjra.core.limits import Limits
from pinjra.guard.imports import DEFAULT_AUTHORIZED
from pinjra.guard.interpreter import Interpreter
from pinjra.guard.policy import Policy

PROGRAMS = sorted((Path(__file__).parent.parent / "escapes").glob("imports_*.py"))


def header(source: str, key: str) -> str:
    found = re.search(rf"^# {key}:(.*)$", source, re.MULTILINE)
    return found[1].strip() if found else ""


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_hostile_program_does_not_reach_the_host(program: Path) -> None:
    source = program.read_text()
    imports = [name.strip() for name in header(source, "imports").split(",") if name.strip()]
    for name in imports:
        pytest.importorskip(name)
    host: dict[str, object] = {}
    exec(header(source, "host"), host)
    kept = f"({header(source, 'unchanged')},)" if header(source, "unchanged") else "()"
    before = eval(kept, host)
    interpreter = Interpreter(
        Policy((*DEFAULT_AUTHORIZED, *imports)),
        limits=Limits(operations=50_000_000),
        write=lambda stream, text: None,
    )

    outcome = interpreter.run(source + "\nnot escaped")

    assert outcome.error is None, outcome.error
    assert outcome.value is True, interpreter.run("escaped").value
    assert eval(kept, host) == before
