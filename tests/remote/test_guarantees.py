"""The table of docs/remote.md says what the executors say. `scripts/guarantees-table` writes it anew with these same tests."""

from __future__ import annotations

import re
from typing import Any

import pytest
from remote_standins.chosen import SERVED
from remote_standins.shared import COLUMNS, PAGE, check_row, compare

from pinjra.core.access import PARAMETERS
from pinjra.core.errors import ExecutorUnavailable
from pinjra.executors.registry import BUILTIN, executor_class

# Containers and ssh stand in files of their own, where their servers are.
HERE = [name for name in BUILTIN if name not in ("docker", "oci", "ssh")]


@pytest.mark.parametrize("name", HERE)
def test_the_table_says_what_the_executor_says(name: str, request: pytest.FixtureRequest):
    make: Any = request.getfixturevalue(name) if name in SERVED else executor_class(name)
    try:
        with make() as executor:
            guarantees = executor.guarantees
    except ExecutorUnavailable as error:
        pytest.skip(f"cannot be opened here: {error}")
    if name == "jail" and guarantees.missing:
        pytest.skip(f"the kernel here offers less than the table says: {guarantees.missing}")
    check_row(name, guarantees)


# these differ by system
@pytest.mark.parametrize("name", [name for name in BUILTIN if name not in ("jail", "local")])
def test_the_table_says_what_gets_in_and_out(name: str):
    access = executor_class(name).ACCESS  # type: ignore[attr-defined]
    compare(name, f"| `{name}` | {' | '.join(access.get(parameter, '–') for parameter in PARAMETERS)} |")


def test_the_table_has_a_row_for_every_executor_and_the_columns_of_the_code():
    text = PAGE.read_text("utf-8")
    assert f"| backend | {' | '.join(COLUMNS)} |" in text
    assert f"| backend | {' | '.join(PARAMETERS)} |" in text
    assert re.findall(r"^\| `(\w+)` \| ", text, re.MULTILINE)[: len(BUILTIN)] == list(BUILTIN)
