"""Guest source -> code: bounded, parsed, checked, rewritten, compiled. Also the plain way, for `guard=False`."""

from __future__ import annotations

import ast
import copy
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pinjra.guard.budget import OperationBudget
from pinjra.guard.check import Tree, check
from pinjra.guard.errors import GuardRefused, Violation
from pinjra.guard.policy import Policy
from pinjra.guard.rewrite import rewrite, with_guards

RESULT = "$result"
"""The global that holds the value of a program's last expression; no source can spell it."""

_SOURCE_BYTES = 4 << 20  # CPython's parser needs about 100 times the memory of the source
_AWAITS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
# Levels of a tree; in WebAssembly the stack is small.
_DEEPEST = 1_000 if sys.platform in ("emscripten", "wasi") else 3_000


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
        with _quiet(), _translated(filename), _deep():  # a model would take warnings for output
            tree = _parse(source, filename)
            _keep_last(tree)
            return self._guarded(tree, filename, "exec", _AWAITS)

    def source(
        self, source: str | bytes | Tree, filename: str, mode: str, flags: int = 0, optimize: int = -1
    ) -> types.CodeType:
        """Return what `compile(source, filename, mode, flags, optimize=optimize)` would, guarded.

        Raises:
            GuardRefused: The policy does not allow what the source asks for (the guest's fault).
            Exception: As the real one does.
        """
        with _deep():
            if isinstance(source, ast.AST):
                compile(source, filename, mode, flags, dont_inherit=True)  # says what is wrong with it
                tree = copy.deepcopy(source)
            else:
                tree = compile(source, filename, mode, flags | ast.PyCF_ONLY_AST, dont_inherit=True)
            return self._guarded(tree, filename, mode, flags, optimize)

    def _guarded(
        self, tree: Tree, filename: str, mode: str, flags: int, optimize: int = -1
    ) -> types.CodeType:
        findings = check(tree, self._policy)
        if findings.violations:
            raise GuardRefused(tuple(findings.violations))
        rewrite(findings.places)
        code: types.CodeType = compile(tree, filename, mode, flags, True, optimize)
        return with_guards(code, self._budget.ticks)


def compile_plain(source: str, filename: str) -> types.CodeType:
    """Return the program as it is, only with its last expression stored as `$result`.

    Raises:
        SyntaxError: The source does not parse.
    """
    with _quiet(), _translated(filename), _deep():
        tree = _parse(source, filename)
        _keep_last(tree)
        code: types.CodeType = compile(tree, filename, "exec", flags=_AWAITS, dont_inherit=True)
    return code


def is_coroutine(code: types.CodeType) -> bool:
    """Return whether a program awaits at its top level."""
    return bool(code.co_flags & 0x80)  # inspect.CO_COROUTINE


def _parse(source: str, filename: str) -> ast.Module:
    if len(source) > _SOURCE_BYTES:
        message = f"the source has {len(source):,} characters; at most {_SOURCE_BYTES:,} are taken"
        raise GuardRefused((Violation(1, message),))
    return ast.parse(source, filename)


def _keep_last(tree: ast.Module) -> None:
    """Store the value of a last expression as `$result`."""
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = tree.body[-1]
        target = ast.copy_location(ast.Name(RESULT, ast.Store()), last)
        tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing of what the compiler only warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        yield


@contextmanager
def _deep() -> Iterator[None]:
    """Allow a tree as many levels as a text: of a tree each level counts as a call, of a text every third."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, min(3 * limit, _DEEPEST)))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


@contextmanager
def _translated(filename: str) -> Iterator[None]:
    """Turn what the parser and compiler raise on absurd input into SyntaxError."""
    try:
        yield
    except RecursionError:
        raise SyntaxError("the source is nested too deeply", (filename, 1, None, None)) from None
    except MemoryError:
        raise SyntaxError("the source is too complex to be parsed", (filename, 1, None, None)) from None
    except (ValueError, OverflowError) as error:  # a NUL byte, a surrogate, a number with too many digits
        raise SyntaxError(str(error), (filename, 1, None, None)) from None
