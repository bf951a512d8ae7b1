"""Differential: each program of tests/programs gives the same output, value and exception as CPython itself."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import sys
import types
from pathlib import Path

import pytest
from tests.guard.support import Session

_PROGRAMS = sorted(
    [
        *(Path(__file__).parents[1] / "programs").glob("*.py"),
        *(Path(__file__).parent / "programs").glob("*.py"),
    ]
)
_NEEDS = re.compile(r"^# needs: (\d+)\.(\d+)$", re.MULTILINE)


def _plain(source: str) -> tuple[str, object, str | None]:
    """Return output, value and exception type of `source` under exec."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    module = types.ModuleType("__main__")
    before, sys.modules["__main__"] = sys.modules["__main__"], module
    out = io.StringIO()
    value, failure = None, None
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(tree, "<guest>", "exec"), module.__dict__)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "<guest>", "eval"), module.__dict__)
    except BaseException as error:
        failure = type(error).__name__
    finally:
        sys.modules["__main__"] = before
    return out.getvalue(), value, failure


@pytest.mark.parametrize("path", _PROGRAMS, ids=lambda path: path.stem)
def test_a_program_does_what_it_does_in_python(path: Path) -> None:
    source = path.read_text()
    needs = _NEEDS.search(source)
    if needs and sys.version_info[:2] < (int(needs[1]), int(needs[2])):
        pytest.skip(f"needs Python {needs[1]}.{needs[2]}")
    output, value, failure = _plain(source)
    session = Session()
    outcome = session.run(source)
    assert session.printed == output
    assert (outcome.error.type if outcome.error else None) == failure, outcome.error
    assert repr(outcome.value) == repr(value)
