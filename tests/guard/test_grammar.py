from __future__ import annotations

import ast
import sys
import warnings
from pathlib import Path

import pytest

from pinjra.guard.policy.syntax import FIELDS

_REVIEWED = Path(__file__).parents[1] / "grammar"
_ABSTRACT = {
    "AST",
    "mod",
    "stmt",
    "expr",
    "expr_context",
    "boolop",
    "operator",
    "unaryop",
    "cmpop",
    "excepthandler",
}
_ABSTRACT |= {"pattern", "type_ignore", "type_param", "slice"}
_OLD = {
    "Num",
    "Str",
    "Bytes",
    "NameConstant",
    "Ellipsis",
    "Index",
    "ExtSlice",
    "Suite",
    "AugLoad",
    "AugStore",
    "Param",
}
_NOT_IN_PROGRAMS = {"FunctionType", "Interactive", "Expression", "TypeIgnore"}


def _reviewed(version: str) -> dict[str, tuple[str, ...]]:
    table = {}
    for line in (_REVIEWED / f"{version}.txt").read_text().splitlines():
        name, fields = line.rstrip(")").split("(")
        table[name] = tuple(filter(None, fields.split(", ")))
    return table


def test_the_running_python_has_no_syntax_that_was_not_reviewed() -> None:
    reviewed = _reviewed(f"{sys.version_info[0]}.{sys.version_info[1]}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nodes = {
            name: getattr(ast, name) for name in dir(ast) if name not in _ABSTRACT | _OLD and name[0] != "_"
        }
    found = {n: c._fields for n, c in nodes.items() if isinstance(c, type) and issubclass(c, ast.AST)}
    assert found == reviewed


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14", "3.15"])
def test_every_reviewed_node_and_field_is_in_the_guards_table(version: str) -> None:
    for name, fields in _reviewed(version).items():
        if name not in _NOT_IN_PROGRAMS:
            assert FIELDS[name] >= set(fields), name


def test_an_unknown_field_is_refused() -> None:
    from pinjra.guard.check import check
    from pinjra.guard.policy import Policy

    class Extended(ast.Pass):
        _fields = ("extra",)
        _field_types = {"extra": object}

    Extended.__name__ = "Pass"
    tree = ast.parse("pass")
    tree.body[0] = Extended(extra=None, lineno=1, col_offset=0)
    assert "does not know" in check(tree, Policy()).violations[0].message


def test_an_unknown_node_is_refused() -> None:
    from pinjra.guard.check import check
    from pinjra.guard.policy import Policy

    class Defer(ast.stmt):
        _fields = ()

    tree = ast.parse("pass")
    tree.body[0] = Defer(lineno=1, col_offset=0)
    assert check(tree, Policy()).violations[0].message == "Defer is syntax that the guard does not know"


def test_syntax_of_newer_pythons_that_no_guard_stands_behind_is_refused() -> None:
    from pinjra.guard.check import check
    from pinjra.guard.policy import Policy

    lazy = ast.parse("import json")
    lazy.body[0].is_lazy = 1  # `lazy import json`, Python 3.15
    assert check(lazy, Policy()).violations[0].message == "lazy imports are not available"
