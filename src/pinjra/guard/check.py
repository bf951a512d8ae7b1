"""Syntax tree -> violations. Every node class and field is looked up in a closed table; unknown is refused.

Names and attribute names are judged here, before anything runs; what depends on objects is left to the guards that
`rewrite` puts in. The walk is a loop, not a recursion: a deep tree cannot overflow it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from pinjra.guard.errors import Violation
from pinjra.guard.grammar import FIELDS
from pinjra.guard.policy import REFUSED_NAMES, UNBINDABLE_ATTRIBUTES, Kind, Policy, kind_of

__all__ = ["check"]

_POSITIONS = frozenset(["lineno", "col_offset", "end_lineno", "end_col_offset"])
_MAX_VIOLATIONS = 20
# Fields that hold text or numbers.
_TEXT_NAMES = """
arg asname attr conversion id is_async is_lazy
kind kwd_attrs level module rest simple str type_comment
"""
_TEXTS = frozenset(_TEXT_NAMES.split())
# Contexts and operators.
_LEAVES = frozenset(
    getattr(ast, name)
    for name, fields in FIELDS.items()
    if not fields and hasattr(ast, name) and not getattr(ast, name)._fields
)
_SUSPECT = REFUSED_NAMES | {"__name__", "__module__"}
_known: dict[type[ast.AST], tuple[str, ...]] = {}


def check(tree: ast.Module, policy: Policy) -> tuple[Violation, ...]:
    """Return what the policy does not allow in `tree`, first line first; at most 20."""
    found: list[Violation] = []
    line = 1
    todo: list[ast.AST | None] = [tree]
    for node in todo:  # grows as it goes
        if node is None:  # `{**d}` has no key, an argument no default
            continue
        kind, space = type(node), node.__dict__
        line = space.get("lineno", line)
        fields = _known.get(kind)
        if fields is None and (fields := _reviewed(kind)) is None:
            found.extend(_unknown(node, line))
            continue
        judge = _JUDGES.get(kind)
        if judge is not None and not (kind is ast.Name and _is_harmless(space["id"])):
            found.extend(judge(node, line))
        if len(found) >= _MAX_VIOLATIONS:
            break
        for name in fields:
            value = space.get(name)
            if type(value) is list:
                todo.extend(value)
            elif value is not None and type(value) not in _LEAVES:
                todo.append(value)
    if policy.protected:
        found.extend(_protected(tree.body, policy.protected))
    return tuple(sorted(found[:_MAX_VIOLATIONS], key=lambda violation: violation.line))


def _is_harmless(name: str) -> bool:
    """Return what most names are, cheaply."""
    return name not in _SUSPECT and "$" not in name


def _reviewed(kind: type[ast.AST]) -> tuple[str, ...] | None:
    """Return the fields of this class of node that hold nodes; None where somebody has to review it first."""
    fields = FIELDS.get(kind.__name__)
    if fields is None or not fields.issuperset(kind._fields) or not _POSITIONS.issuperset(kind._attributes):
        return None
    hidden = _TEXTS if kind.__name__ == "TypeAlias" else _TEXTS | {"name"}
    if issubclass(kind, (ast.Global, ast.Nonlocal)):
        hidden = hidden | {"names"}
    elif issubclass(kind, (ast.Constant, ast.MatchSingleton)):
        hidden = hidden | {"value"}
    _known[kind] = tuple(name for name in kind._fields if name not in hidden)
    return _known[kind]


def _unknown(node: ast.AST, line: int) -> Iterator[Violation]:
    """Yield a violation for a node or field that nobody has reviewed."""
    name = type(node).__name__
    fields = FIELDS.get(name)
    if fields is None:
        yield Violation(line, f"{name} is syntax that the guard does not know")
    elif not fields.issuperset(node._fields) or not _POSITIONS.issuperset(node._attributes):
        yield Violation(line, f"{name} has a part that the guard does not know: {node._fields!r}")


def _name(name: str | None, line: int) -> Iterator[Violation]:
    if name is not None and (name in REFUSED_NAMES or "$" in name):
        yield Violation(line, f"the name {name!r} is not available", "use an import or another name")


def _names(*names: str | None) -> list[str]:
    return [name for name in names if name]


def _judge_name(node: ast.Name, line: int) -> Iterator[Violation]:
    yield from _name(node.id, line)
    if node.id in ("__name__", "__module__") and not isinstance(node.ctx, ast.Load):
        yield Violation(line, f"{node.id} cannot be set: host code trusts it")


def _judge_attribute(node: ast.Attribute, line: int) -> Iterator[Violation]:
    if kind_of(node.attr) is Kind.DENIED:
        yield Violation(line, f"attribute {node.attr!r} is not available", "use its public attributes")
    elif node.attr in UNBINDABLE_ATTRIBUTES and not isinstance(node.ctx, ast.Load):
        yield Violation(line, f"attribute {node.attr!r} can be set in a class statement only")


def _judge_pattern(node: ast.MatchClass, line: int) -> Iterator[Violation]:
    for name in node.kwd_attrs:
        if kind_of(name) is not Kind.PUBLIC:
            hint = "capture the object and use its attributes"
            yield Violation(line, f"attribute {name!r} is not available in a pattern", hint)


def _judge_import(node: ast.Import | ast.ImportFrom, line: int) -> Iterator[Violation]:
    if getattr(node, "is_lazy", 0):  # Python 3.15: the module would be loaded where no guard stands
        yield Violation(line, "lazy imports are not available", "use a plain import statement")
    for alias in node.names:
        yield from _name(alias.asname or alias.name.partition(".")[0], line)
        if isinstance(node, ast.ImportFrom) and kind_of(alias.name) is Kind.DENIED:
            yield Violation(line, f"{alias.name!r} cannot be imported")


def _judge_binder(node: ast.AST, line: int) -> Iterator[Violation]:
    """Judge the name that a def, class, argument, handler, pattern or type parameter binds."""
    for field in ("name", "arg", "rest"):
        value = getattr(node, field, None)
        if isinstance(value, str):
            yield from _name(value, line)


def _judge_dict_comprehension(node: ast.DictComp, line: int) -> Iterator[Violation]:
    if getattr(node, "value", None) is None:  # Python 3.15: {**d for d in dicts}
        yield Violation(line, "unpacking in a dict comprehension is not available", "use a loop and update()")


def _judge_scope(node: ast.Global | ast.Nonlocal, line: int) -> Iterator[Violation]:
    for name in node.names:
        yield from _name(name, line)


_BINDERS = ("FunctionDef", "AsyncFunctionDef", "ClassDef", "arg", "ExceptHandler", "MatchAs", "MatchStar")
_JUDGES: dict[type[ast.AST], Callable[..., Iterator[Violation]]] = {
    ast.Name: _judge_name,
    ast.Attribute: _judge_attribute,
    ast.MatchClass: _judge_pattern,
    ast.Import: _judge_import,
    ast.ImportFrom: _judge_import,
    ast.DictComp: _judge_dict_comprehension,
    ast.Global: _judge_scope,
    ast.Nonlocal: _judge_scope,
    **{
        getattr(ast, name): _judge_binder
        for name in (*_BINDERS, "MatchMapping", "TypeVar", "ParamSpec", "TypeVarTuple")
        if hasattr(ast, name)
    },
}


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
    return _names(getattr(node, "name", None), getattr(node, "rest", None))
