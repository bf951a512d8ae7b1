"""A call in source -> whether it could make a class, so that its function is asked for when it runs (see `births`).

A class is made of a name, bases and a namespace, an enumeration of a name and names of members; what calls such a maker later
(partial, starmap, call_soon, …) takes it as an argument, and more arguments after it. So a call with one argument makes none,
and neither does one whose second argument is a number: it is no name, no bases and no names of members.
"""

from __future__ import annotations

import ast

__all__ = ["DIRECT", "WATCHED_BUILTINS", "is_paid", "may_make_a_class"]

# Builtins with a metered stand-in, whose real one may be called where the arguments are paid for by themselves.
DIRECT = frozenset(["sum", "min", "max", "any", "all", "sorted"])
_PAID = (ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp, ast.List, ast.Tuple, ast.Set, ast.Dict)

# Builtins that are told by identity, because they are called with several arguments often.
WATCHED_BUILTINS = frozenset(["isinstance", "issubclass", "range", "divmod", "round"])
# call_later(0, f, a, b) takes a number first; with three arguments f gets only one.
_FEW = 3


def may_make_a_class(node: ast.Call) -> bool:
    """Return whether the function of this call has to be asked for."""
    args = node.args
    if any(isinstance(arg, ast.Starred) for arg in args):
        return True
    if len(args) < 2 or _is_inert(args[1]):
        return False
    if len(args) == 2 and isinstance(args[1], (ast.Tuple, ast.List)) and not args[1].elts:
        return False  # with a name alone, it names no members and is no namespace
    return not (len(args) <= _FEW and _is_inert(args[0]))


def _is_inert(arg: ast.expr) -> bool:
    """Return whether an argument is no text, no tuple, no class and nothing that calls one."""
    if isinstance(arg, ast.UnaryOp) and isinstance(arg.op, ast.USub):
        arg = arg.operand
    return isinstance(arg, ast.Constant) and not isinstance(arg.value, str)


def is_paid(node: ast.Call) -> bool:
    """Return whether a consumer is called with a comprehension, whose steps pay, or with several values to choose from."""
    args = node.args
    if any(isinstance(arg, ast.Starred) for arg in args):
        return False
    several = isinstance(node.func, ast.Name) and node.func.id in ("min", "max") and len(args) > 1
    return several or (len(args) > 0 and isinstance(args[0], _PAID))
