"""The table of docs/remote.md says what the executors say. `scripts/guarantees-table` writes it anew with these same tests."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from remote_standins.chosen import FIXTURES

from pinjra.core.errors import ExecutorUnavailable
from pinjra.executors.doctor import COLUMNS, guarantee_row
from pinjra.executors.registry import BUILTIN, executor_class

PAGE = Path(__file__).resolve().parents[2] / "docs" / "remote.md"


@pytest.mark.parametrize("name", BUILTIN)
def test_the_table_says_what_the_executor_says(name: str, request: pytest.FixtureRequest):
    make: Any = request.getfixturevalue(FIXTURES[name]) if name in FIXTURES else executor_class(name)
    try:
        with make() as executor:
            guarantees = executor.guarantees
    except ExecutorUnavailable as error:
        pytest.skip(f"cannot be opened here: {error}")
    lacking = [m for m in guarantees.missing if name == "jail" or m.startswith(("landlock", "seccomp"))]
    if name in ("jail", "ssh") and lacking:
        pytest.skip(f"the kernel here offers less than the table says: {lacking}")
    row = guarantee_row(name, guarantees)
    if os.environ.get("PINJRA_WRITE_TABLE"):
        write(name, row)
    assert row in PAGE.read_text("utf-8").splitlines()


def write(name: str, row: str) -> None:
    """Put a row where the old one stands."""
    text = PAGE.read_text("utf-8")
    assert f"| `{name}` |" in text, f"docs/remote.md needs a row for {name}"
    PAGE.write_text(re.sub(rf"^\| `{name}` \|.*$", lambda _: row, text, count=1, flags=re.MULTILINE), "utf-8")


def test_the_table_has_a_row_for_every_executor_and_the_columns_of_the_code():
    text = PAGE.read_text("utf-8")
    assert f"| backend | {' | '.join(COLUMNS)} |" in text
    assert re.findall(r"^\| `(\w+)` \| ", text, re.MULTILINE)[: len(BUILTIN)] == list(BUILTIN)
