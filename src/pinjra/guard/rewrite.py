"""Nodes of a checked tree -> the same with ticks of the operation budget in them. Everything else stays as it was.

| source | becomes |
| --- | --- |
| for x in e, also in comprehensions | for x in compress(e, TICKS) |
| while c: …, async for … | while c: True in TICKS; … |
| def f(): …, lambda: e, where they call something | True in TICKS; …, True in TICKS and e |
| except E: … | except E: True in TICKS; … |

`True in TICKS` reads one value from an endless iterator of True, which pays for 1,024 at a time or raises (see `budget`): one
instruction without a call. TICKS and compress are constants of the code object that no source can spell: nothing can
be put in front of them, and `globals()`, `locals()` and `dir()` show nothing of them.

A function that calls nothing takes no tick: it cannot recurse, and whoever calls it in a loop pays. A stop cannot be swallowed,
because handlers tick, and whatever else could go on is a loop or calls something.

Does not work: names of guards as globals (a class body's mapping may hide them, pickled functions do not find them in another
process); a variable for the tick's value (`locals()` shows it).
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Mapping
from itertools import compress

# A tuple of a frozenset: the compiler makes such a constant of no source.
_TICKS = (frozenset(["ticks"]),)
_COMPRESS = (frozenset(["compress"]),)


def rewrite(places: list[ast.AST]) -> None:
    """Put ticks into nodes of a tree."""
    for node in places:
        CHANGES[type(node)](node)


def with_guards(code: types.CodeType, ticks: object) -> types.CodeType:
    """Return `code` with the real objects in the places that `rewrite` left for them."""
    guards = {_TICKS: ticks, _COMPRESS: compress}
    constants = tuple(_filled(constant, guards, ticks) for constant in code.co_consts)
    return code.replace(co_consts=constants)


def _filled(constant: object, guards: Mapping[tuple[frozenset[str]], object], ticks: object) -> object:
    if type(constant) is types.CodeType:
        return with_guards(constant, ticks)
    return guards.get(constant, constant) if type(constant) is tuple else constant


# ---------------------------------------------------------------- parts


def _constant(value: tuple[frozenset[str]], near: ast.AST) -> ast.expr:
    return ast.copy_location(ast.Constant(value), near)  # type: ignore[arg-type]  # the compiler takes it


def _tick(near: ast.AST) -> ast.expr:
    """Return `True in TICKS`."""
    true = ast.copy_location(ast.Constant(True), near)
    return ast.copy_location(ast.Compare(true, [ast.In()], [_constant(_TICKS, near)]), near)


def _tick_statement(near: ast.AST) -> ast.stmt:
    return ast.copy_location(ast.Expr(_tick(near)), near)


def _metered(iterable: ast.expr) -> ast.expr:
    """Return `compress(iterable, TICKS)`: lazy, nothing is read ahead."""
    stand_in = _constant(_COMPRESS, iterable)
    # The compiler makes one constant of it, and of a constant alone it would warn: that it cannot be called.
    function = ast.copy_location(ast.BoolOp(ast.Or(), [stand_in, stand_in]), iterable)
    return ast.copy_location(ast.Call(function, [iterable, _constant(_TICKS, iterable)], []), iterable)


def _is_no_line(node: ast.stmt, at: int) -> bool:
    """Return whether no code is made of a function's statement: a tracer would see the tick's line there, and Python has none."""
    if isinstance(node, ast.Expr):
        return not at and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    is_declared = isinstance(node, ast.AnnAssign) and node.simple and node.value is None
    return bool(is_declared) or isinstance(node, (ast.Global, ast.Nonlocal))


def _calls(node: ast.AST) -> bool:
    """Return whether running `node` may call something by name."""
    return any(isinstance(part, (ast.Call, ast.With, ast.AsyncWith, ast.Await)) for part in ast.walk(node))


# ---------------------------------------------------------------- one change a kind of node


def _change_function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    if any(map(_calls, node.body)):
        last = len(node.body) - 1
        at = next((at for at, part in enumerate(node.body) if not _is_no_line(part, at)), last)
        first = node.body[at]
        near = next(iter(getattr(first, "decorator_list", ())), first)
        node.body.insert(at, _tick_statement(near))


def _change_lambda(node: ast.Lambda) -> None:
    if _calls(node.body):
        node.body = ast.copy_location(ast.BoolOp(ast.And(), [_tick(node.body), node.body]), node.body)


def _change_for(node: ast.For) -> None:
    node.iter = _metered(node.iter)


def _change_comprehension(node: ast.comprehension) -> None:
    if node.is_async:
        node.ifs.insert(0, _tick(node.iter))
    else:
        node.iter = _metered(node.iter)


def _change_body(node: ast.While | ast.AsyncFor | ast.ExceptHandler) -> None:
    node.body.insert(0, _tick_statement(node.body[0]))


CHANGES: dict[type[ast.AST], Callable[..., None]] = {
    ast.FunctionDef: _change_function,
    ast.AsyncFunctionDef: _change_function,
    ast.Lambda: _change_lambda,
    ast.For: _change_for,
    ast.comprehension: _change_comprehension,
    ast.While: _change_body,
    ast.AsyncFor: _change_body,
    ast.ExceptHandler: _change_body,
}
