"""Syntax tree -> what the policy does not allow in it, and the nodes that `rewrite` changes. One walk, linear, not recursive.

Every node class and field is looked up in a closed table; unknown is refused. A deep tree cannot overflow the walk.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pinjra.guard.errors import Violation
from pinjra.guard.policy import Policy
from pinjra.guard.policy.names import NAMES_ALLOWED_BY, REFUSED_ATTRIBUTES, REFUSED_NAMES
from pinjra.guard.policy.syntax import FIELDS
from pinjra.guard.rewrite import CHANGES

_POSITIONS = frozenset(["lineno", "col_offset", "end_lineno", "end_col_offset"])
_MAX_VIOLATIONS = 20
# Fields that hold text, numbers, contexts or operators: no node in them needs a look.
_LEAF_FIELDS = """
arg asname attr conversion ctx id is_async is_lazy kind kwd_attrs level module name op ops rest simple str
type_comment type_ignores
"""
_LEAVES = frozenset(_LEAF_FIELDS.split())
_known: dict[type[ast.AST], tuple[str, ...]] = {}

Tree = ast.Module | ast.Expression | ast.Interactive


@dataclass
class Findings:
    """What a walk found.

    Args:
        violations: First line first; at most 20.
        places: Nodes that `rewrite` changes, outer ones first.
    """

    violations: list[Violation] = field(default_factory=list)
    places: list[ast.AST] = field(default_factory=list)


def check(tree: Tree, policy: Policy) -> Findings:
    """Return what the policy does not allow in `tree`, and where it has to be rewritten."""
    findings = Findings()
    found, places = findings.violations, findings.places
    judges = _LISTED_JUDGES if policy.mode == "listed" else _JUDGES
    line = 1
    todo: list[ast.AST | None] = [tree]
    for node in todo:  # grows as it goes
        if node is None:  # `{**d}` has no key, an argument no default
            continue
        kind, space = type(node), node.__dict__
        line = space.get("lineno", line)
        fields = _known.get(kind)
        if fields is None and (fields := _reviewed(kind)) is None:
            found.append(_unknown(node, line))
            continue
        if kind in CHANGES:
            places.append(node)
        if kind in judges:
            found.extend(judges[kind](node, line))
        if len(found) >= _MAX_VIOLATIONS:
            break
        for name in fields:
            value = space.get(name)
            if type(value) is list:
                todo.extend(value)
            elif value is not None:
                todo.append(value)
    if policy.protected and isinstance(tree, ast.Module):
        found.extend(_protected(tree.body, policy.protected))
    found.sort(key=lambda violation: violation.line)
    del found[_MAX_VIOLATIONS:]
    return findings


def _reviewed(kind: type[ast.AST]) -> tuple[str, ...] | None:
    """Return the fields of this class of node that hold nodes; None where somebody has to review it first."""
    fields = FIELDS.get(kind.__name__)
    if fields is None or not fields.issuperset(kind._fields) or not _POSITIONS.issuperset(kind._attributes):
        return None
    hidden = _LEAVES - ({"name"} if kind.__name__ == "TypeAlias" else set())
    if issubclass(kind, (ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom)):
        hidden = hidden | {"names"}
    elif issubclass(kind, (ast.Constant, ast.MatchSingleton)):
        hidden = hidden | {"value"}
    _known[kind] = tuple(name for name in kind._fields if name not in hidden)
    return _known[kind]


def _unknown(node: ast.AST, line: int) -> Violation:
    """Return the violation for a node or field that nobody has reviewed."""
    name = type(node).__name__
    if name not in FIELDS:
        return Violation(line, f"{name} is syntax that the guard does not know")
    return Violation(line, f"{name} has a part that the guard does not know: {node._fields!r}")


# ---------------------------------------------------------------- where imports are "listed"


def _judge_name(node: ast.Name, line: int) -> Iterator[Violation]:
    if node.id in REFUSED_NAMES:
        yield Violation(line, f"the name {node.id!r} is not available", NAMES_ALLOWED_BY)


def _judge_attribute(node: ast.Attribute, line: int) -> Iterator[Violation]:
    if node.attr in REFUSED_ATTRIBUTES:
        yield Violation(line, f"attribute {node.attr!r} is not available", NAMES_ALLOWED_BY)


def _judge_import(node: ast.Import | ast.ImportFrom, line: int) -> Iterator[Violation]:
    if getattr(node, "is_lazy", 0):  # Python 3.15: the module would be loaded where no guard stands
        yield Violation(line, "lazy imports are not available", "use a plain import statement")


_JUDGES: dict[type[ast.AST], Callable[..., Iterator[Violation]]] = {
    ast.Import: _judge_import,
    ast.ImportFrom: _judge_import,
}
_LISTED_JUDGES: dict[type[ast.AST], Callable[..., Iterator[Violation]]] = {
    **_JUDGES,
    ast.Name: _judge_name,
    ast.Attribute: _judge_attribute,
}


# ---------------------------------------------------------------- names of tools


def _protected(body: list[ast.stmt], protected: frozenset[str]) -> Iterator[Violation]:
    """Yield a violation for each protected name that is bound at module level, `global` included."""
    todo: list[tuple[ast.AST, bool]] = [(node, True) for node in body]
    while todo:
        node, at_module = todo.pop()
        names = _bound(node) if at_module else node.names if isinstance(node, ast.Global) else []
        for name in protected.intersection(names):
            message = f"{name} is a tool that exists: call it, do not define it"
            yield Violation(getattr(node, "lineno", 1), message, "choose another name")
        inner = at_module and not isinstance(node, _SCOPES)
        todo.extend((child, inner) for child in ast.iter_child_nodes(node))


_SCOPES = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def _bound(node: ast.AST) -> list[str]:
    """Return the names that `node` itself binds."""
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, (ast.arg, ast.Global)):
        return []
    return [name for name in (getattr(node, "name", None), getattr(node, "rest", None)) if name]
