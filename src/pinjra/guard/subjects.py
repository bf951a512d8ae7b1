"""A function's tree -> the parameter whose ownership may be asked once a call instead of at every write.

Sound because the name is bound once, and because what `type(self) in $G` lets pass stays harmless when the guest changes
`self.__class__` in between: it could have written the same attributes just before.
"""

from __future__ import annotations

import ast

from pinjra.guard.policy import Kind, kind_of

__all__ = ["subject_of"]

_WORTH = 2  # uses from which one question at the start is cheaper than one at each


def subject_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    """Return the first parameter's name if nothing rebinds it and its attributes are written or private reads often."""
    parameters = [*function.args.posonlyargs, *function.args.args]
    if not parameters:
        return None
    name, uses = parameters[0].arg, 0
    for statement in function.body:
        for node in ast.walk(statement):
            if _rebinds(node, name):
                return None
            uses += _is_use(node, name)
    return name if uses >= _WORTH else None


def _rebinds(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Name):
        return node.id == name and not isinstance(node.ctx, ast.Load)
    if isinstance(node, (ast.Nonlocal, ast.Global)):
        return name in node.names
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)):
        return node.name == name
    if isinstance(node, ast.alias):
        return name in (node.asname, node.name.partition(".")[0])
    if isinstance(node, (ast.MatchAs, ast.MatchStar)):
        return node.name == name
    return isinstance(node, ast.MatchMapping) and node.rest == name


def _is_use(node: ast.AST, name: str) -> bool:
    if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name):
        return False
    return not isinstance(node.ctx, ast.Load) or (node.attr[:1] == "_" and kind_of(node.attr) is Kind.PRIVATE)
