"""Files of problems and of samples (JSON lines, plain or .gz) -> programs and their cases, by what the lines have.

| a problem has | it is | its cases |
| --- | --- | --- |
| `prompt`, `test`, `entry_point` | HumanEval | one test, in another box than the sample |
| `test_list` | MBPP | one test a line, with `test_setup_code` |
| `cases` | standard input and output | one each: `stdin`, `stdout`, `compare` |
"""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinjra.core.errors import ConfigurationError
from pinjra.fleet.cases import Case

__all__ = ["Problem", "Sample", "read_problems", "read_samples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem: what stands before a sample, and what it must do.

    Args:
        reference: The data set's own solution, "" where there is none.
    """

    id: str
    before: str = ""
    reference: str = ""
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer to a problem: a `completion` goes behind the problem's own text, a `code` stands alone."""

    task: str
    completion: str = ""
    code: str = ""

    def program(self, problem: Problem) -> str:
        """Return the whole program."""
        return self.code or problem.before + self.completion


def _rows(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object).

    Raises:
        ConfigurationError: The file cannot be read, or a line is no JSON object (the caller's fault).
    """
    opened = gzip.open if str(path).endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError("not a JSON object")
                    yield number, row
    except (OSError, EOFError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}, line {number if 'number' in locals() else 1}: {error}") from error


def read_problems(path: str | Path) -> dict[str, Problem]:
    """Return id -> problem of a file.

    Raises:
        ConfigurationError: A line is no problem of a known kind (the caller's fault).
    """
    found = {}
    for number, row in _rows(path):
        make = next((make for key, make in _KINDS.items() if key in row), None)
        if make is None or "task_id" not in row:
            raise ConfigurationError(
                f"{path}, line {number}: a problem has task_id and one of {', '.join(_KINDS)}"
            )
        try:
            problem = make(row)
        except (KeyError, TypeError, SyntaxError) as error:
            raise ConfigurationError(f"{path}, line {number}: {error!r}") from error
        found[problem.id] = problem
    return found


def read_samples(path: str | Path) -> list[Sample]:
    """Return the samples of a file.

    Raises:
        ConfigurationError: A line has no task_id, or neither completion nor code (the caller's fault).
    """
    found = []
    for number, row in _rows(path):
        text = row.get("completion", row.get("code"))
        if "task_id" not in row or not isinstance(text, str):
            raise ConfigurationError(f"{path}, line {number}: a sample has task_id, and completion or code")
        found.append(
            Sample(task=str(row["task_id"]), completion=row.get("completion", ""), code=row.get("code", ""))
        )
    return found


def _human_eval(row: Mapping[str, Any]) -> Problem:
    # The prompt's own helpers belong to the test's side too: else a sample could replace what the test measures with.
    case = Case(test=row["test"], setup=f"{row['prompt']}    pass\n", entry=row["entry_point"])
    return Problem(
        id=str(row["task_id"]),
        before=row["prompt"],
        reference=row.get("canonical_solution", ""),
        cases=(case,),
    )


def _mbpp(row: Mapping[str, Any]) -> Problem:
    setup = "\n".join([row.get("test_setup_code", ""), *row.get("test_imports", ())])
    tests: Sequence[str] = row["test_list"]
    return Problem(
        id=str(row["task_id"]),
        reference=row.get("code", ""),
        cases=tuple(Case(test=test, setup=setup, entry=_tested(row.get("code", ""), test)) for test in tests),
    )


def _tested(reference: str, test: str) -> str:
    """Return the function of the reference that a test calls: it is the sample's even where Python has one of that name."""
    called = {node.id for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Name)}
    defined = [node.name for node in ast.parse(reference).body if isinstance(node, ast.FunctionDef)]
    return next((name for name in reversed(defined) if name in called), "")


def _input_output(row: Mapping[str, Any]) -> Problem:
    cases = tuple(
        Case(stdin=case.get("stdin", ""), stdout=case["stdout"], compare=case.get("compare", "lines"))
        for case in row["cases"]
    )
    return Problem(id=str(row["task_id"]), reference=row.get("code", ""), cases=cases)


_KINDS = {"entry_point": _human_eval, "test_list": _mbpp, "cases": _input_output}
