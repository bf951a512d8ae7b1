"""`a * b`, `a ** b`, `a << b`, `a % b` -> the same with a price tag where operands can explode.

Literals settle most cases here. The rest gets an inline test of exact types that keeps ordinary numbers out of any
Python call; what fails the test goes to the guard function (`$mul`, …), which prices and computes.
Operands that are no names are kept in temporaries, where the scope has room for them (`temps`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

__all__ = ["GUARDED", "guarded_operation", "is_plain", "is_plain_format", "is_short"]

GUARDED: dict[type[ast.operator], str] = {ast.Mult: "mul", ast.Pow: "pow", ast.LShift: "lsh", ast.Mod: "mod"}
_SMALL = 16  # a sequence may grow by this factor unpriced: the same as four doublings by `+`
_WORD = 1 << 62  # an int below this is two machine words: multiplying by it costs linear time
_DIGIT = (1 << 30) - 1  # the largest int that CPython compares without a call
_SHIFT = 4096  # bits that a shift may add unpriced
_NESTED = re.compile(r":[^{}]*\{")
_WIDTH = re.compile(r"%[^a-zA-Z%]*(\d{5,}|\*)")

Guard = Callable[[str], ast.Name]
Temp = Callable[[], str]


def is_plain(op: ast.operator, left: ast.expr, right: ast.expr) -> bool:
    """Return whether literals alone show that the operation cannot explode."""
    lv, rv = _literal(left), _literal(right)
    if isinstance(op, ast.Mod):
        return isinstance(lv, (int, float)) or (isinstance(lv, (str, bytes)) and _narrow(lv))
    if isinstance(op, ast.LShift):
        return isinstance(rv, int) and rv < _SHIFT
    if isinstance(op, ast.Pow):
        return isinstance(lv, float) or isinstance(rv, float) or (_small(lv, 1 << 16) and _small(rv, 64))
    if isinstance(lv, float) or isinstance(rv, float):
        return True
    known = isinstance(lv, (int, str, bytes)) or isinstance(left, (ast.List, ast.Tuple))
    return (known and _small(rv, _SMALL + 1)) or (_small(lv, _SMALL + 1) and rv is not None)


def _literal(node: ast.expr) -> object:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        node = node.operand
    return node.value if isinstance(node, ast.Constant) else None


def _small(value: object, bound: int) -> bool:
    return isinstance(value, int) and value < bound


def _narrow(template: str | bytes) -> bool:
    text = template if isinstance(template, str) else template.decode("latin-1")
    return _WIDTH.search(text) is None


def guarded_operation(
    node: ast.BinOp, guard: Guard, temp: Temp | None, *, names_hold: bool, single: bool
) -> ast.expr:
    """Return `node` with its test, or a call of the guard function.

    Args:
        temp: Makes a fresh name for a temporary; None where the scope has no room for any.
        single: At most one temporary.
        names_hold: Loading a name twice gives the same object (not so in a class body, whose mapping may be a guest's).
    """
    call = ast.Call(guard(GUARDED[type(node.op)]), [node.left, node.right], [])
    left, right = _Operand(node.left, temp, names_hold), _Operand(node.right, temp, names_hold)
    if isinstance(node.op, ast.Mod):
        if not left.cheap or not right.atomic:
            return call
        test: ast.expr = _is_number(left, guard)
    elif isinstance(node.op, ast.Pow):
        if not left.cheap or not (_small(_literal(node.right), 5) and right.atomic):
            return call
        test = _or(_is(left, "float", guard), _and(_is(left, "int", guard), *_bounded(left)))
    elif isinstance(node.op, ast.LShift):
        if not (isinstance(node.right, ast.Name) and left.atomic and names_hold):
            return call
        few = ast.Compare(right.again(), [ast.Lt()], [ast.Constant(_SHIFT)])
        test = _and(_is(right, "int", guard), few)
    elif not left.cheap or not right.cheap or (single and not left.atomic and not right.atomic):
        return call
    else:
        test = _multiplication_test(left, right, guard)
    slow = ast.Call(guard(GUARDED[type(node.op)]), [left.again(), right.again()], [])
    return ast.IfExp(test, ast.BinOp(left.again(), node.op, right.again()), slow)


def _multiplication_test(left: _Operand, right: _Operand, guard: Guard) -> ast.expr:
    for one, other in ((left, right), (right, left)):
        value = _literal(one.node)
        if isinstance(value, int) and -_WORD < value < _WORD:
            return _is_number(other, guard)
    if left.atomic and right.atomic:
        tests = [_is(left, "int", guard), _is(right, "int", guard), *_bounded(right)]
        both = _and(*tests[_same_name(left.node, right.node) :])
        if _same_name(left.node, right.node):
            return _or(_is(right, "float", guard), both)
        return _or(_is(right, "float", guard), both, _is(left, "float", guard))
    first = ast.Compare(_type(left.first(), guard), [ast.Is()], [_type(right.first(), guard)])
    word = _and(_is(right, "int", guard), *_bounded(right))
    return _and(first, _or(_is(right, "float", guard), word))


def _same_name(one: ast.expr, other: ast.expr) -> bool:
    return isinstance(one, ast.Name) and isinstance(other, ast.Name) and one.id == other.id


class _Operand:
    """One operand: the expression for its first evaluation and a cheap one for later use."""

    def __init__(self, node: ast.expr, temp: Temp | None, names_hold: bool) -> None:
        self.node = node
        self.atomic = _literal(node) is not None or (isinstance(node, ast.Name) and names_hold)
        self.cheap = self.atomic or temp is not None
        self._name: str | None = None
        self._temp = temp
        self._seen = False

    def first(self) -> ast.expr:
        self._seen = True
        if self.atomic:
            return self.node
        assert self._temp is not None  # noqa: S101 (callers asked `cheap`)
        self._name = self._temp()
        return ast.NamedExpr(ast.Name(self._name, ast.Store()), self.node)

    def again(self) -> ast.expr:
        if not self._seen or self.atomic:
            return self.first() if not self._seen else self.node
        assert self._name is not None  # noqa: S101 (first() set it)
        return ast.Name(self._name, ast.Load())


def _type(expr: ast.expr, guard: Guard) -> ast.expr:
    return ast.Call(guard("type"), [expr], [])


def _is(operand: _Operand, kind: str, guard: Guard) -> ast.expr:
    return ast.Compare(_type(operand.again(), guard), [ast.Is()], [guard(kind)])


def _is_number(operand: _Operand, guard: Guard) -> ast.expr:
    return _or(_is(operand, "int", guard), _is(operand, "float", guard))


def _bounded(operand: _Operand) -> list[ast.expr]:
    """Return tests that a known int is one digit of CPython's: two comparisons without a call."""
    low = ast.UnaryOp(ast.USub(), ast.Constant(_DIGIT))
    return [
        ast.Compare(operand.again(), [ast.Lt()], [ast.Constant(_DIGIT)]),
        ast.Compare(operand.again(), [ast.Gt()], [low]),
    ]


def _or(*tests: ast.expr) -> ast.expr:
    return ast.BoolOp(ast.Or(), list(tests))


def _and(*tests: ast.expr) -> ast.expr:
    return ast.BoolOp(ast.And(), list(tests))


def is_plain_format(func: ast.expr, node: ast.Call) -> bool:
    """Return whether the call is `"literal".format(…)` whose fields are bare names and numbers."""
    if not (isinstance(func, ast.Attribute) and isinstance(func.value, ast.Constant)):
        return False
    template = func.value.value
    return type(template) is str and not set("[.") & set(template) and _is_short_text(template)


def is_short(spec: ast.expr) -> bool:
    """Return whether a format spec is literal text without a large width."""
    values = spec.values if isinstance(spec, ast.JoinedStr) else [spec]
    return all(isinstance(v, ast.Constant) and _is_short_text(str(v.value)) for v in values)


def _is_short_text(text: str) -> bool:
    return _NESTED.search(text) is None and not any(r.isdigit() and len(r) > 4 for r in _digit_runs(text))


def _digit_runs(text: str) -> list[str]:
    return "".join(c if c.isdigit() else " " for c in text).split()
