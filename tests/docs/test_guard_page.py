"""docs/guard.md shows the guard's policy as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def test_the_tables_of_the_page_are_printed_from_the_policy() -> None:
    done = subprocess.run([sys.executable, str(_ROOT / "scripts" / "policy-tables"), "--check"], check=False)
    assert done.returncode == 0, "run scripts/policy-tables"
