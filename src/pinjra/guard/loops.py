"""What every part of the rewriter shares: names of guards, scopes, temporaries; and the rewriting of loops."""

# ruff: noqa: D102

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["LAZY", "Loops", "Rewriter"]

_Node = TypeVar("_Node", bound=ast.AST)
LAZY = frozenset(["enumerate", "zip", "map", "filter", "reversed"])
_GROWERS = frozenset(
    ["append", "extend", "insert", "__iadd__", "__setitem__", "update", "add", "push", "send"]
)
_STEADY = frozenset(
    ["print", "len", "str", "int", "float", "isinstance", "range", "sum", "min", "max", "abs", "round"]
)


class Rewriter(ast.NodeTransformer):
    """One pass over the tree.

    `_scope` is the kind of scope that code at hand runs in: m(odule), c(lass), f(unction), or x: expressions without
    room for temporaries (comprehensions, annotations, bases).
    """

    def __init__(self) -> None:
        self.used: set[str] = set()
        self._scope = "m"
        self._class: str | None = None
        self._temps = 0
        # The first parameter of the function at hand, where it always names one object (see `subjects`).
        self._subject: str | None = None
        self._subject_used = False
        self._future = False
        # CPython allows no walrus in a comprehension's iterable, not even in a lambda there.
        self._in_iterable = False

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

    def block(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for node in body:
            new = self.visit(node)
            result.extend(new if isinstance(new, list) else [new])
        return result

    def visit_all(self, nodes: Sequence[_Node]) -> list[_Node]:
        return [self.visit(node) for node in nodes]

    @contextmanager
    def scope(self, kind: str) -> Iterator[None]:
        before = self._scope, self._subject
        self._scope, self._subject = kind, None
        try:
            yield
        finally:
            self._scope, self._subject = before

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

    def generic(self, node: _Node) -> _Node:
        result: _Node = self.generic_visit(node)  # type: ignore[assignment]
        return result


class Loops(Rewriter):
    """Loops and comprehensions: what they run over is metered, `while` becomes a loop over ticks."""

    def _iterable(self, node: ast.expr, body: Sequence[ast.AST], steady: bool) -> ast.expr:
        """Return the guarded form of what a loop runs over."""
        if isinstance(node, (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Constant)):
            return self.visit(node)  # type: ignore[no-any-return]
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
        parts = [node.target, *node.body]
        node.iter = self._iterable(node.iter, parts, steady=True)
        node.target = self.visit(node.target)
        node.body, node.orelse = self.block(node.body), self.block(node.orelse)
        return node

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.stmt:
        node = self.generic(node)
        node.body.insert(0, ast.copy_location(ast.Expr(self.call("t")), node))
        return node

    def visit_While(self, node: ast.While) -> ast.stmt:
        test = self.visit(node.test)
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        node.body, node.orelse = self.block(node.body), self.block(node.orelse)
        if node.orelse:
            node.test = ast.copy_location(ast.BoolOp(ast.And(), [self.call("t"), test]), node.test)
            return node
        leave = ast.copy_location(
            ast.If(ast.UnaryOp(ast.Not(), test), [ast.copy_location(ast.Break(), test)], []), test
        )
        self.used.add("$_")
        head = [] if endless else [leave]
        loop = ast.For(ast.Name("$_", ast.Store()), self.guard("ticks"), [*head, *node.body], [])
        return ast.copy_location(loop, node)

    def _comprehension(
        self, node: _Node, generators: list[ast.comprehension], results: list[ast.expr]
    ) -> _Node:
        steady = not isinstance(node, ast.GeneratorExp)
        parts = [*results, *(test for generator in generators for test in generator.ifs)]
        for index, generator in enumerate(generators):
            with self.scope("x" if index else self._roomless()), self._iterable_part():
                if generator.is_async:
                    generator.iter = self.visit(generator.iter)
                else:
                    generator.iter = self._iterable(generator.iter, parts, steady)
        with self.scope("x"):
            for generator in generators:
                generator.target = self.visit(generator.target)
                generator.ifs = self.visit_all(generator.ifs)
                if generator.is_async:
                    generator.ifs.insert(0, self.call("t"))
        return node

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        self._comprehension(node, node.generators, [node.elt])
        with self.scope("x"):
            node.elt = self.visit(node.elt)
        return node

    visit_SetComp = visit_ListComp  # type: ignore[assignment]  # noqa: N815 (the visitor's naming)
    visit_GeneratorExp = visit_ListComp  # type: ignore[assignment]  # noqa: N815

    def visit_DictComp(self, node: ast.DictComp) -> ast.expr:
        self._comprehension(node, node.generators, [node.key, node.value])
        with self.scope("x"):
            node.key, node.value = self.visit(node.key), self.visit(node.value)
        return node


def _may_grow(part: ast.AST) -> bool:
    """Return whether running `part` could make a list longer without a tick (see `fuel`)."""
    for node in ast.walk(part):
        if isinstance(node, ast.Call):
            func = node.func
            if not isinstance(func, ast.Attribute):
                if not (isinstance(func, ast.Name) and func.id in _STEADY):
                    return True
            elif func.attr in _GROWERS:
                return True
        elif isinstance(node, (ast.Yield, ast.Await, ast.AugAssign)) or (
            isinstance(node, ast.Slice) and not isinstance(getattr(node, "ctx", None), ast.Load)
        ):
            return True
    return False
