"""Each program of examples/ runs as its first lines say, in an empty folder, and prints what it is for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pinjra.core.errors import ExecutorUnavailable
from pinjra.executors.registry import create_executor

EXAMPLES = Path(__file__).parents[2] / "examples"
# Program -> what it prints, what it leaves in its folder, and which packages of this Python it wants.
PROGRAMS: dict[str, tuple[list[str], list[str], list[str]]] = {
    "sales_report": (
        ["best month: 2026-03", "report/artifact-2.png True", "report/plot.png True", "2026-02    3500   3374    False"],
        ["report/plot.png", "report/summary.xlsx", "report/artifact-1.png", "report/artifact-2.png"],
        ["pandas", "matplotlib", "openpyxl"],
    ),
    "repository_tests": (["cloned: True", "FAILED (failures=1)", "another server: not reached"], [], []),
    "secret_api": (["total: 42", "the server saw the key: True", "the agent saw the key: False"], [], []),
    "team": (["worth: 524"], [], []),
    "approval": (["paid the printer; left: 470", "on the account: 470", "refused: True"], ["audit.jsonl"], []),
    "fork_search": (["never ends: TimeoutError", "points left: 200", "best: least squares"], [], []),
    "grading": (["right: passed", "wrong: wrong", "too slow: processor", "cheats: exception"], [], []),
    "user_formulas": (['{"value": 164}', '{"error": "the formula takes too much: memory"}', '{"value": 2}'], [], []),
    "many_at_once": (["True", "called: multiply"], [], []),
    "conversation": (["3", "box", "budget_error", "499500", "it saw what was done: True"], ["work.json"], []),
}  # fmt: skip


def test_every_program_of_the_folder_is_run_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_the_examples_does_what_it_says(name: str, tmp_path: Path) -> None:
    said, made, packages = PROGRAMS[name]
    for package in packages:
        pytest.importorskip(package)
    if name == "repository_tests" and not shutil.which("git"):
        pytest.skip("git is not installed")
    _needs_jail(network=["127.0.0.1:9"] if name in ("repository_tests", "secret_api") else [])
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONWARNINGS": "error"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert [line for line in said if line not in lines] == [], done.stdout
    assert [file for file in made if not (tmp_path / file).is_file()] == []


def _needs_jail(**options: object) -> None:
    try:
        create_executor("jail", executor_kwargs=options).close()
    except ExecutorUnavailable as error:
        pytest.skip(f"jail cannot run here: {error}")
