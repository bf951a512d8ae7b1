"""Guest source -> code: bounded, parsed, checked, rewritten, compiled. Also the plain way, for `guard=False`."""

from __future__ import annotations

import ast
import copy
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pinjra.guard.budget import OperationBudget
from pinjra.guard.check import Tree, check
from pinjra.guard.errors import GuardRefused, Violation
from pinjra.guard.policy import Policy
from pinjra.guard.rewrite import rewrite, with_guards

__all__ = ["RESULT", "Compiler", "compile_plain", "is_coroutine"]

RESULT = "$result"
"""The global that holds the value of a program's last expression; no source can spell it."""

_SOURCE_BYTES = 4 << 20  # CPython's parser needs about 100 times the memory of the source
_AWAITS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


class Compiler:
    """Compiles for one interpreter: by its policy, with ticks of its budget."""

    def __init__(self, policy: Policy, budget: OperationBudget) -> None:
        self._policy = policy
        self._budget = budget

    def program(self, source: str, filename: str) -> types.CodeType:
        """Return the code of a guest's program; its last expression is stored as `$result`.

        Raises:
            GuardRefused: The policy does not allow what the source asks for (the guest's fault).
            SyntaxError: The source does not parse, or is nested too deeply.
        """
        tree = _parse(source, filename)
        _keep_last(tree)
        return self._guarded(tree, filename, "exec", _AWAITS)

    def source(
        self, source: str | bytes | Tree, filename: str, mode: str, flags: int = 0, optimize: int = -1
    ) -> types.CodeType:
        """Return what `compile(source, filename, mode, flags, optimize=optimize)` would, guarded.

        Raises:
            GuardRefused, SyntaxError, ValueError, TypeError: As `program`, and as the real one.
        """
        if isinstance(source, ast.AST):
            tree = copy.deepcopy(source)
        else:
            tree = compile(source, filename, mode, flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        return self._guarded(tree, filename, mode, flags, optimize)

    def _guarded(
        self, tree: Tree, filename: str, mode: str, flags: int, optimize: int = -1
    ) -> types.CodeType:
        with _translated(filename):
            findings = check(tree, self._policy)
            if findings.violations:
                raise GuardRefused(tuple(findings.violations))
            rewrite(findings.places)
            code: types.CodeType = compile(
                tree, filename, mode, flags=flags, dont_inherit=True, optimize=optimize
            )
            return with_guards(code, self._budget.ticks)


def compile_plain(source: str, filename: str) -> types.CodeType:
    """Return the program as it is, only with its last expression stored as `$result`.

    Raises:
        SyntaxError: The source does not parse.
    """
    tree = _parse(source, filename)
    _keep_last(tree)
    with _translated(filename):
        code: types.CodeType = compile(tree, filename, "exec", flags=_AWAITS, dont_inherit=True)
    return code


def is_coroutine(code: types.CodeType) -> bool:
    """Return whether a program awaits at its top level."""
    return bool(code.co_flags & 0x80)  # inspect.CO_COROUTINE


def _parse(source: str, filename: str) -> ast.Module:
    if len(source) > _SOURCE_BYTES:
        message = f"the source has {len(source):,} characters; at most {_SOURCE_BYTES:,} are taken"
        raise GuardRefused((Violation(1, message),))
    with _translated(filename):
        return ast.parse(source, filename)


def _keep_last(tree: ast.Module) -> None:
    """Store the value of a last expression as `$result`."""
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = tree.body[-1]
        target = ast.copy_location(ast.Name(RESULT, ast.Store()), last)
        tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)


@contextmanager
def _translated(filename: str) -> Iterator[None]:
    """Turn what the parser and compiler raise on absurd input into SyntaxError; say nothing of what they only warn of."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            yield
    except RecursionError:
        raise SyntaxError("the source is nested too deeply", (filename, 1, None, None)) from None
    except MemoryError:
        raise SyntaxError("the source is too complex to be parsed", (filename, 1, None, None)) from None
    except (ValueError, OverflowError) as error:  # a NUL byte, a surrogate, a number with too many digits
        raise SyntaxError(str(error), (filename, 1, None, None)) from None
