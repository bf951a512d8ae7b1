"""What is checked of every backend, in the file of its own tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.executors.conformance.suite import Make
from pinjra.executors.guarantees import Guarantees

COLUMNS = [
    "boundary",
    "isolation",
    "network",
    "memory",
    "disk",
    "processes",
    "wall",
    "cpu",
    "rollback",
    "fork",
    "files",
]
PAGE = Path(__file__).resolve().parents[3] / "docs" / "remote.md"


def check_row(name: str, guarantees: Guarantees) -> None:
    """Compare a row of docs/remote.md with what an open session says."""
    cells = []
    for column in COLUMNS:
        value = getattr(guarantees, column)
        text = ", ".join(value) if isinstance(value, tuple) else value
        cells.append((text or "–").replace("|", "/"))
    compare(name, f"| `{name}` | {' | '.join(cells)} |")


def compare(name: str, row: str) -> None:
    """Assert that a row stands on the page; with PINJRA_WRITE_TABLE, write it first."""
    if os.environ.get("PINJRA_WRITE_TABLE"):
        write(name, row)
    assert row in PAGE.read_text("utf-8").splitlines()


def write(name: str, row: str) -> None:
    """Put a row where the old one stands, in the table with as many columns."""
    text = PAGE.read_text("utf-8")
    cells = row.count("|")
    old = [
        line for line in text.splitlines() if line.startswith(f"| `{name}` |") and line.count("|") == cells
    ]
    assert old, f"docs/remote.md needs a row for {name} with {cells - 1} cells"
    PAGE.write_text(text.replace(old[0], row), "utf-8")


def check_full_scratch_folder(make: Make) -> None:
    """A full folder is an error of the guest, a quota is kept, and the session lives on."""
    with make([], limits=Limits(disk_bytes=4 << 20), guard=False) as executor:
        done = executor.run("x = 1\nwith open('f', 'wb') as f:\n    f.write(bytes(8 << 20))")
        assert done.error is not None
        assert executor.run("import os\nos.path.exists('f') and os.remove('f')\n2").value == 2
        with pytest.raises(ConfigurationError, match="quota"):
            executor.put_file("large", bytes(5 << 20))
        executor.put_file("small", b"s")
        assert executor.get_file("small") == b"s"
