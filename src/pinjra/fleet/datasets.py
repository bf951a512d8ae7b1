"""Files of problems and of samples (JSON lines, plain or .gz) -> programs and their cases, by what the lines have.

| a problem has | it is | its cases |
| --- | --- | --- |
| `prompt`, `test`, `entry_point` | HumanEval | one test, in another box than the sample |
| `test_list` | MBPP | one test a line, with `test_setup_code` |
| `inputs`, `outputs` | APPS, TACO, CodeContests | one each: text, or with `fn_name` a call with JSON |
| `assert_case` | verl's | one test each |
| `cases` | standard input and output, or the other fields of a `Case` | one each: `stdin`, `stdout`, `compare` |
"""

from __future__ import annotations

import ast
import gzip
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinjra.core.errors import ConfigurationError
from pinjra.fleet.cases import Case

_FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^ {0,3}\1|\Z)", re.DOTALL | re.MULTILINE)


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
        try:
            cases = cases_of(row)
        except (KeyError, TypeError, ValueError, SyntaxError, ConfigurationError) as error:
            said = error if isinstance(error, ConfigurationError) else repr(error)
            raise ConfigurationError(f"{path}, line {number}: {said}") from error
        if not cases or "task_id" not in row:
            raise ConfigurationError(
                f"{path}, line {number}: a problem has task_id and one of {', '.join(_CASES)}"
            )
        name = str(row["task_id"])
        before = str(row.get("prompt", "")) if "entry_point" in row else ""
        reference = str(row.get("canonical_solution", row.get("code", "")))
        found[name] = Problem(id=name, before=before, reference=reference, cases=cases)
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


def code_of(answer: str) -> str:
    """Return the program in what a model said: its last fenced block, or all of it where there is none."""
    blocks = [found[2] for found in _FENCED.finditer(answer)]
    return blocks[-1] if blocks else answer


def cases_of(row: Mapping[str, Any]) -> tuple[Case, ...]:
    """Return the cases of a problem as data sets have it; none where it is of no known kind."""
    return next((make(row) for key, make in _CASES.items() if row.get(key)), ())


def _of_human_eval(row: Mapping[str, Any]) -> tuple[Case, ...]:
    # The prompt's own helpers belong to the test's side too: else a sample could replace what the test measures with.
    return (Case(test=row["test"], setup=f"{row['prompt']}    pass\n", entry=row["entry_point"]),)


def _of_mbpp(row: Mapping[str, Any]) -> tuple[Case, ...]:
    setup = "\n".join([row.get("test_setup_code", ""), *row.get("test_imports", ())])
    tests: Sequence[str] = row["test_list"]
    return tuple(Case(test=test, setup=setup, entry=_tested(row.get("code", ""), test)) for test in tests)


def _tested(reference: str, test: str) -> str:
    """Return the function of the reference that a test calls: it is the sample's even where Python has one of that name."""
    with warnings.catch_warnings(action="ignore"):  # of other people's code
        called = {node.id for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Name)}
        defined = [node.name for node in ast.parse(reference).body if isinstance(node, ast.FunctionDef)]
    return next((name for name in reversed(defined) if name in called), "")


def _of_input_output(row: Mapping[str, Any]) -> tuple[Case, ...]:
    return tuple(Case(**({"compare": "json", **case} if "call" in case else case)) for case in row["cases"])


def _of_inputs(row: Mapping[str, Any]) -> tuple[Case, ...]:
    pairs = list(zip(row["inputs"], row["outputs"], strict=True))
    name = row.get("fn_name")
    if not name:
        return tuple(Case(stdin=_text(given), stdout=_text(wanted)) for given, wanted in pairs)
    return tuple(
        Case(call=name, args=tuple(_arguments(given)), equals=_from_json(wanted), compare="json")
        for given, wanted in pairs
    )


def _of_asserts(row: Mapping[str, Any]) -> tuple[Case, ...]:
    return tuple(Case(test=test) for test in row["assert_case"])


def _text(value: object) -> str:
    """Return what is read or printed; some data sets have lists of lines."""
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _arguments(given: Any) -> Sequence[Any]:
    """Return a call's arguments: a list of them, or a text with one JSON a line."""
    return (
        [json.loads(line) for line in given.splitlines() if line] if isinstance(given, str) else list(given)
    )


def _from_json(wanted: object) -> object:
    try:
        return json.loads(wanted) if isinstance(wanted, str) else wanted
    except ValueError:  # a text as it is
        return wanted


_CASES = {
    "entry_point": _of_human_eval,
    "test_list": _of_mbpp,
    "assert_case": _of_asserts,
    "inputs": _of_inputs,
    "cases": _of_input_output,
}
