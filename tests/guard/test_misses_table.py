"""The table of conformance misses: each stands once, under a rule that the page explains."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path(__file__).parents[2]
_ROWS = [
    line.split("\t") for line in (_ROOT / "tests/guard/misses.tsv").read_text().splitlines() if line[0] != "#"
]


def test_every_miss_has_a_rule_that_is_explained() -> None:
    page = (_ROOT / "docs/conformance.md").read_text()
    assert {rule for _, _, rule in _ROWS if f"| {rule} |" not in page} == set()


def test_no_miss_stands_twice() -> None:
    assert len({(suite, test) for suite, test, _ in _ROWS}) == len(_ROWS)
