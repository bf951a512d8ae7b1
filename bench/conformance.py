"""The conformance harness's visible split -> is each miss of the `local` executor in the table, with its rule, and no other?

    python bench/conformance.py --harness ../shared/bench/conformance.py [--python PYTHON_WITH_ITS_TESTS] [--suites plain,…] [--write]

Fails when a miss is not in `tests/guard/misses.tsv`, or a listed one passes. `--write` makes the table anew; a miss whose error fits
no rule is written with the rule `?`, which fails until somebody has looked. The rules are explained in `docs/conformance.md`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tests" / "guard" / "misses.tsv"
_OWN_TESTS = (
    "plain",
    "doctest",
)  # cut out of the standard library's tests, which some distributions leave out

# What the guard says -> the rule. First match wins.
RULES: tuple[tuple[str, str], ...] = (
    ("text", r"\b(exec|eval|compile)\(\) is not available"),
    ("pickle", r"import of (pickle|copyreg)\b|__reduce__|__setstate__|cannot pickle"),
    ("internals", r"attribute '(f_|gi_|cr_|ag_|co_|__code__|__objclass__)"),
    (
        "process",
        r"import of (gc|weakref|builtins|dis|traceback|locale|test\.\w+) is refused|setrecursionlimit",
    ),
    ("process", r"redirect_stdout|re\.(purge|Scanner) is not authorised|import of re\.Scanner"),
    ("unauthorised", r"import of \w+ is not authorised; authorised"),
    ("unauthorised", r"import _\w+|from _io import"),
    ("backtracking", r"time exponential"),
    (
        "class statement",
        r"__bases__' of a class cannot|can be set in a class statement only|may not derive from super",
    ),
    ("class statement", r"__match_args__ must be|object\.__init__\(\) takes exactly one|for isinstance only"),
    ("private", r"is private|is not authorised|cannot import"),
    (
        "host objects",
        r"cannot be changed by|functions and classes of your own only|mappingproxy|KeyError: '__d",
    ),
    ("private", r"expected 1 argument, got 2"),  # operator.__lt__: the proxy's own
)
# Differences that are no errors, each looked at ("Different on purpose" in the page), and errors that hide the refusal.
DIFFERENT: dict[str, str] = {
    "test_descr::MiscTests.test_type_lookup_mro_reference": "class statement",
    "test_typing::ForwardRefTests.test_forward_equality_namespace": "forward references",
    "test_typing::ForwardRefTests.test_forward_recursion_actually": "forward references",
}


def rule_of(suite: str, test: str, error: str) -> str:
    """Return the rule that a miss falls under, "?" if none is known."""
    if suite in ("libdoc", "doctest"):
        return _EXAMPLES.get(test) or ("crossing" if suite == "libdoc" else "?")
    if test in DIFFERENT:
        return DIFFERENT[test]
    return next((rule for rule, pattern in RULES if re.search(pattern, error)), "?")


_GENERATORS = "test_generators::doctest:test.test_generators.__test__."
_GENEXPS = "test_genexps::doctest:test.test_genexps.__test__.doctests#"
_FRAMES = ("coroutine#43", "email#11", "email#18", "syntax#29", "syntax#32")
_WEAK = ("weakref#3", "weakref#7", "weakref#9")
_SUPPORT = ("coroutine#67", "coroutine#71", "email#13")
_TYPES = (
    *(f"coroutine#{n}" for n in (9, 83, 85, 87, 91)),
    *("email#8", "email#10"),
    *(f"syntax#{n}" for n in (6, 8, 10, 12, 14, 16, 18, 20)),
)
# Examples print what came of a step: the error of a missing name, or a value that crossed, tells nothing more.
_EXAMPLES: dict[str, str] = {
    **dict.fromkeys((_GENERATORS + name for name in _FRAMES), "internals"),
    **dict.fromkeys((_GENERATORS + name for name in _WEAK), "process"),
    **dict.fromkeys((_GENERATORS + name for name in _SUPPORT), "process"),
    **dict.fromkeys((_GENERATORS + name for name in _TYPES), "crossing"),
    **dict.fromkeys((_GENEXPS + n for n in ("12", "30")), "crossing"),
    _GENEXPS + "64": "internals",
    **dict.fromkeys((_GENEXPS + n for n in ("66", "78", "80")), "process"),
}


def run(harness: Path, python: str, suites: list[str]) -> dict[tuple[str, str], str]:
    """Return (suite, test) -> error of every miss.

    Raises:
        subprocess.CalledProcessError: The harness failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        paths = [
            "tests/adapters",
            "src",
            *(str(p) for p in (ROOT / ".venv").glob("lib/python*/site-packages")),
        ]
        options = [part for path in paths for part in ("--path", str(ROOT / path))]
        command = [python, str(harness), "--adapter", "harness:bench_local", "--split", "visible", *options]
        subprocess.run([*command, "--suites", ",".join(suites), "--out", str(out)], check=True, cwd=ROOT)
        found = json.loads(out.read_text())["suites"]
    return {
        (suite, test): str(miss.get("error") or "")
        for suite in suites
        for test, miss in found[suite]["failures"].items()
    }


def read_table() -> dict[tuple[str, str], str]:
    """Return (suite, test) -> rule."""
    rows = (line.split("\t") for line in TABLE.read_text().splitlines() if line and not line.startswith("#"))
    return {(suite, test): rule for suite, test, rule in rows}


def write_table(rules: dict[tuple[str, str], str]) -> None:
    """Write the table, sorted."""
    head = "# suite\ttest\trule (docs/conformance.md); made by bench/conformance.py --write\n"
    TABLE.write_text(head + "".join(f"{s}\t{t}\t{rule}\n" for (s, t), rule in sorted(rules.items())))


def main() -> int:
    """Run the suites and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--harness", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable, help="for the suites made of CPython's own tests")
    parser.add_argument("--suites", default="programs,humaneval,mbpp,libdoc,plain,doctest")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    suites = given.suites.split(",")
    own = [suite for suite in suites if suite in _OWN_TESTS]
    other = [suite for suite in suites if suite not in _OWN_TESTS]
    missed = run(given.harness, given.python, own) if own else {}
    missed |= run(given.harness, sys.executable, other) if other else {}
    table = read_table() if TABLE.exists() else {}
    if given.write:
        kept = {key: rule for key, rule in table.items() if key[0] not in suites}
        table = {**kept, **{key: rule_of(*key, error) for key, error in missed.items()}}
        write_table(table)
    return report(missed, {key: rule for key, rule in table.items() if key[0] in suites})


def report(missed: dict[tuple[str, str], str], table: dict[tuple[str, str], str]) -> int:
    """Print what does not fit; return the exit status."""
    whole = {suite for suite, test in table if test == "*"}
    new = [key for key in missed if key not in table and key[0] not in whole]
    wrong = [f"not in the table: {' '.join(key)}: {missed[key][-200:]}" for key in new]
    wrong += [
        f"passes, but is listed: {' '.join(key)}" for key in table if key not in missed and key[1] != "*"
    ]
    wrong += [f"nobody has looked: {' '.join(key)}" for key, rule in table.items() if rule == "?"]
    print("\n".join(wrong) or f"{len(missed)} misses, each with its rule")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
