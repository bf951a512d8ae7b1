"""Syntax trees -> walks over them: which fields of a node hold nodes, looked up once a class. Compiling is mostly walking."""

from __future__ import annotations

import ast

__all__ = ["LOAD", "child_fields", "locate"]

LOAD = ast.Load()

# Fields of names, constants and operators: no node in them is ever rewritten.
_ATOM_NAMES = """
arg asname attr conversion ctx id is_async is_lazy kind kwd_attrs
level module name op ops rest simple str type_comment type_ignores
"""
_ATOMS = frozenset(_ATOM_NAMES.split())
_children: dict[type[ast.AST], tuple[str, ...]] = {}


def child_fields(kind: type[ast.AST]) -> tuple[str, ...]:
    """Return which fields of this class of node hold expressions, statements or parts of them."""
    found = _children.get(kind)
    if found is None:
        is_value = issubclass(kind, (ast.Constant, ast.MatchSingleton))
        is_names = issubclass(kind, (ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom))
        hidden = _ATOMS | ({"value"} if is_value else set()) | ({"names"} if is_names else set())
        found = _children[kind] = tuple(name for name in kind._fields if name not in hidden)
    return found


def locate(tree: ast.AST) -> None:
    """Give each node without a line the line of the node that it is part of."""
    todo: list[tuple[ast.AST, int, int]] = [(tree, 1, 0)]
    for node, line, column in todo:  # grows as it goes
        kind = type(node)
        if "lineno" in (space := node.__dict__):
            line, column = space["lineno"], space["col_offset"]
        elif "lineno" in kind._attributes:
            space["lineno"], space["col_offset"] = line, column
        for name in _children.get(kind) or child_fields(kind):
            value = space.get(name)
            if type(value) is list:
                for part in value:
                    if part is not None:
                        todo.append((part, line, column))
            elif value is not None:
                todo.append((value, line, column))
