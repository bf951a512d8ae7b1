"""The conformance harness's suites -> how much real Python is right in each executor, and every miss with its error.

    python bench/conformance.py --harness ../shared/bench/conformance.py [--python PYTHON_WITH_ITS_TESTS] [--executors local,jail]

Fails when an executor is right in less than its share of the clean items (those that need nothing a sandbox would refuse).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHARES = {"jail": 0.99, "local": 0.97}  # of clean items, in every suite


def run(harness: Path, python: str, executor: str, suites: str) -> dict[str, Any]:
    """Return suite -> what the harness found.

    Raises:
        subprocess.CalledProcessError: The harness failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        installed = (ROOT / ".venv").glob("lib/python*/site-packages")
        options = [
            part for path in ("tests/adapters", "src", *installed) for part in ("--path", str(ROOT / path))
        ]
        options += ["--split", "visible", "--suites", suites, "--out", str(out)]
        command = [python, str(harness), "--adapter", f"harness:bench_{executor}", *options]
        subprocess.run(command, check=True, cwd=ROOT)
        found: dict[str, Any] = json.loads(out.read_text())["suites"]
        return found


def report(executor: str, found: dict[str, Any]) -> bool:
    """Print what was found; return whether enough of it is right."""
    enough = True
    for suite, result in found.items():
        all_, clean = result["all"], result["clean"]
        enough = enough and clean["passed"] >= SHARES[executor] * clean["of"]
        right = f"{all_['passed']}/{all_['of']} right, {clean['passed']}/{clean['of']} of the clean ones"
        print(f"{executor:6} {suite:10} {right}")
        for test, miss in result["failures"].items():
            print(f"       {test}: {str(miss.get('error') or '').splitlines()[:1]}")
    return enough


def main() -> int:
    """Run the suites in each executor."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--harness", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable, help="one that has CPython's own tests")
    parser.add_argument("--executors", default="local,jail")
    parser.add_argument("--suites", default="programs,humaneval,mbpp,plain")
    given = parser.parse_args()
    fine = [
        report(executor, run(given.harness, given.python, executor, given.suites))
        for executor in given.executors.split(",")
    ]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
