"""What every part of the rewriter shares: names of guards, scopes, temporaries; and the rewriting of loops."""

# ruff: noqa: D102, N802

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast, overload

from pinjra.guard.subjects import Subjects
from pinjra.guard.tree import LOAD, child_fields

__all__ = ["LAZY", "Loops", "Rewriter"]

_Node = TypeVar("_Node", bound=ast.AST)
LAZY = frozenset(["enumerate", "zip", "map", "filter", "reversed"])
_GROWERS = {"append", "extend", "insert", "__iadd__", "__setitem__", "update", "add", "push", "send"}
_STEADY = frozenset(
    ["print", "len", "str", "int", "float", "isinstance", "range", "sum", "min", "max", "abs", "round"]
)
_FREE_TURNS = 64  # turns of nested loops over displays and literal ranges that are free: less than paying for the loop costs
_MANY = 1 << 20
_GROWING = (ast.Yield, ast.Await, ast.AugAssign)


class Rewriter:
    """One pass over the tree: `visit_X` for each class X of nodes that becomes something else.

    `_scope` is the kind of scope that code at hand runs in: m(odule), c(lass), f(unction), g(athering comprehension in one of
    these but a class), generator expre(s)sion there, or x: expressions without room for temporaries (iterables, annotations,
    bases, anything but functions in a class).
    """

    def __init__(self) -> None:
        self.used: set[str] = set()
        self._scope = "m"
        self._class: str | None = None
        self._temps = 0
        # Of the functions around the code at hand, innermost last; None where code runs in a scope of its own.
        self._functions: list[Subjects] = []
        self._subjects: Subjects | None = None
        self._future = False
        # CPython allows no walrus in a comprehension's iterable, not even in a lambda there.
        self._in_iterable = False
        # How often code at hand may run for one payment, by loops whose turns are free.
        self._free = 1
        self._methods: dict[type[ast.AST], Callable[..., ast.AST]] = {}

    # --- primitives

    def guard(self, name: str) -> ast.Name:
        self.used.add("$" + name)
        return ast.Name("$" + name, ast.Load())

    def call(self, name: str, *args: ast.expr) -> ast.Call:
        return ast.Call(self.guard(name), list(args), [])

    def tick(self) -> ast.stmt:
        """Return `for $_ in $ticks: break`: a tick without a call."""
        self.used.add("$_")
        return ast.For(ast.Name("$_", ast.Store()), self.guard("ticks"), [ast.Break()], [])

    def temp(self) -> str:
        self._temps += 1
        self.used.add(f"${self._temps}")
        return f"${self._temps}"

    def block(self, body: Sequence[_Node]) -> list[_Node]:
        """Return the rewritten nodes; a statement may become several."""
        result: list[_Node] = []
        for node in body:
            new: object = node if node is None else self.visit(node)  # `{**d}` has no key
            if type(new) is list:
                result.extend(new)
            else:
                result.append(cast(_Node, new))
        return result

    def bound(self, *names: str | None) -> None:
        """Note that code of the function at hand binds these names."""
        if self._functions:
            self._functions[-1].bound.update(name for name in names if name)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if self._functions and type(node.ctx) is not ast.Load:
            self._functions[-1].bound.add(node.id)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.stmt:
        for function in self._functions:
            function.bound.update(node.names)
        return node

    def visit_MatchAs(self, node: ast.AST) -> ast.AST:
        self.bound(getattr(node, "name", None), getattr(node, "rest", None))
        return self.generic(node)

    visit_MatchStar = visit_MatchMapping = visit_MatchAs  # noqa: N815 (the visitor's naming)

    @contextmanager
    def scope(self, kind: str) -> Iterator[None]:
        before = self._scope, self._subjects, self._free
        self._scope, self._subjects = kind, None
        self._free = 1 if kind == "f" else self._free
        try:
            yield
        finally:
            self._scope, self._subjects, self._free = before

    @contextmanager
    def _iterable_part(self) -> Iterator[None]:
        before, self._in_iterable = self._in_iterable, True
        try:
            yield
        finally:
            self._in_iterable = before

    def _roomless(self) -> str:
        """Return the scope of expressions that run here but may not hold a walrus (defaults, bases, iterables)."""
        return "c" if self._scope == "c" else "x"

    def _mangled(self, name: str) -> str:
        """Return `name` as the compiler will store it (Python reference, "Private name mangling")."""
        if self._class is None or not name.startswith("__") or name.endswith("__"):
            return name
        stripped = self._class.lstrip("_")
        return f"_{stripped}{name}" if stripped else name

    @overload
    def visit(self, node: ast.expr) -> ast.expr: ...

    @overload
    def visit(self, node: _Node) -> _Node: ...

    def visit(self, node: ast.AST) -> ast.AST:
        kind = type(node)
        method = self._methods.get(kind)
        if method is None:
            method = self._methods[kind] = getattr(self, "visit_" + kind.__name__, self.generic)
        return method(node)

    def generic(self, node: _Node) -> _Node:
        """Rewrite the parts of `node` in their places."""
        space = node.__dict__
        for name in child_fields(type(node)):
            value = space.get(name)
            if type(value) is list:
                if value:
                    space[name] = self.block(value)
            elif value is not None:
                space[name] = self.visit(value)
        return node


class Loops(Rewriter):
    """Loops and comprehensions: what they run over is metered, `while` becomes a loop over ticks."""

    def _iterable(self, node: ast.expr, body: Sequence[ast.AST], steady: bool) -> ast.expr:
        """Return the guarded form of what a loop runs over, and note whether its turns are paid.

        A few over displays or literal numbers are free: the source bounds them, also where such loops are nested.
        """
        turns, self._free = self._free * max(1, _turns(node)), 1
        if turns <= _FREE_TURNS:
            self._free = turns
            if not isinstance(node, ast.Call):
                return self.visit(node)
            real = ast.Compare(ast.Name("range", LOAD), [ast.Is()], [self.guard("range")])
            return ast.copy_location(ast.IfExp(real, node, self.call("i", node)), node)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in LAZY
            and node.args
        ):
            node = self.generic(node)
            lazy = "e" if steady and not any(_may_grow(part) for part in body) else "b"
            return ast.copy_location(ast.Call(self.guard(lazy), [node.func, *node.args], node.keywords), node)
        guard = "i" if steady and not any(_may_grow(part) for part in body) else "j"
        return ast.copy_location(self.call(guard, self.visit(node)), node)

    def visit_For(self, node: ast.For) -> ast.stmt:
        parts, before = [node.target, *node.body], self._free
        node.iter = self._iterable(node.iter, parts, steady=True)
        node.target = self.visit(node.target)
        node.body = self.block(node.body)
        self._free = before
        node.orelse = self.block(node.orelse)
        return node

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.stmt:
        node = self.generic(node)
        node.body.insert(0, ast.copy_location(ast.Expr(self.call("t")), node))
        return node

    def visit_While(self, node: ast.While) -> ast.stmt:
        test = self.visit(node.test)
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        before, self._free = self._free, 1
        node.body = self.block(node.body)
        self._free = before
        node.orelse = self.block(node.orelse)
        if node.orelse:
            node.test = ast.copy_location(ast.BoolOp(ast.And(), [self.call("t"), test]), node.test)
            return node
        leave = ast.copy_location(ast.If(ast.UnaryOp(ast.Not(), test), [ast.Break()], []), test)
        self.used.add("$_")
        head = [] if endless else [leave]
        loop = ast.For(ast.Name("$_", ast.Store()), self.guard("ticks"), [*head, *node.body], [])
        return ast.copy_location(loop, node)

    def _comprehension(
        self, node: ast.expr, generators: list[ast.comprehension], results: list[ast.expr], first: str
    ) -> None:
        """Rewrite all but the results; `first` is the scope that the first iterable is evaluated in."""
        steady = not isinstance(node, ast.GeneratorExp)
        parts = [*results, *(test for generator in generators for test in generator.ifs)]
        for index, generator in enumerate(generators):
            with self.scope("x" if index else first), self._iterable_part():
                if generator.is_async:
                    generator.iter = self.visit(generator.iter)
                else:
                    generator.iter = self._iterable(generator.iter, parts, steady)
                free = self._free
            self._free = free
        for generator in generators:
            generator.target = self.visit(generator.target)
            generator.ifs = self.block(generator.ifs)
            if generator.is_async:
                generator.ifs.insert(0, self.call("t"))

    def _inner(self, kind: str) -> str:
        """Return the scope of a comprehension's elements, whose walrus binds in the scope around it."""
        return kind if self._scope in "fmgs" and not self._in_iterable else "x"

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        kind, first = (
            "s" if isinstance(node, ast.GeneratorExp) or self._scope == "s" else "g",
            self._roomless(),
        )
        with self.scope(self._inner(kind)):
            self._comprehension(node, node.generators, [node.elt], first)
            node.elt = self.visit(node.elt)
        return node

    visit_SetComp = visit_GeneratorExp = visit_ListComp  # noqa: N815 (the visitor's naming)

    def visit_DictComp(self, node: ast.DictComp) -> ast.expr:
        kind, first = "s" if self._scope == "s" else "g", self._roomless()
        with self.scope(self._inner(kind)):
            self._comprehension(node, node.generators, [node.key, node.value], first)
            node.key, node.value = self.visit(node.key), self.visit(node.value)
        return node


def _turns(node: ast.expr) -> int:
    """Return how often a loop over this turns where the source tells (a display, `range` of literal numbers), else many."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)) and not any(
        isinstance(e, ast.Starred) for e in node.elts
    ):
        return len(node.elts)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range"):
        return _MANY
    numbers = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and type(arg.value) is int]
    if not 1 <= len(numbers) == len(node.args) <= 2 or node.keywords:
        return _MANY
    return min(max(0, numbers[-1] - (numbers[0] if len(numbers) == 2 else 0)), _MANY)


def _may_grow(part: ast.AST) -> bool:
    """Return whether running `part` could make a list longer without a tick (see `fuel`)."""
    todo: list[ast.AST] = [part]
    for node in todo:  # grows as it goes
        kind = type(node)
        if kind is ast.Call:
            func = node.func  # type: ignore[attr-defined]
            if type(func) is ast.Attribute:
                if func.attr in _GROWERS:
                    return True
            elif not (type(func) is ast.Name and func.id in _STEADY):
                return True
        elif kind in _GROWING or (kind is ast.Slice and not isinstance(getattr(node, "ctx", None), ast.Load)):
            return True
        space = node.__dict__
        for name in child_fields(kind):
            value = space.get(name)
            if type(value) is list:
                todo.extend([item for item in value if item is not None])
            elif value is not None:
                todo.append(value)
    return False
