"""Guest source -> code: bounded, parsed, checked, rewritten, compiled. Also the plain way, for `guard=False`."""

from __future__ import annotations

import ast
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pinjra.guard.check import check
from pinjra.guard.errors import GuardRefused, Violation
from pinjra.guard.imports import has_libraries
from pinjra.guard.policy import Policy
from pinjra.guard.rewrite import RESULT, rewrite

__all__ = ["RESULT", "GuardedCode", "compile_guarded", "compile_plain"]

_SOURCE_BYTES = 4 << 20  # CPython's parser needs about 100 times the memory of the source
_DEPTH = 4_000  # Python frames for walking the tree; they take no C stack on CPython 3.11 and later


@dataclass(frozen=True)
class GuardedCode:
    """Code that has passed the guard, and the source it came from."""

    code: types.CodeType
    source: str
    filename: str
    temporaries: tuple[str, ...] = ()  # names of the rewriter's own, to be forgotten after the run

    @property
    def is_coroutine(self) -> bool:
        """Return whether the code awaits at its top level."""
        return bool(self.code.co_flags & 0x80)  # inspect.CO_COROUTINE


def compile_guarded(source: str, policy: Policy, *, filename: str = "<guest>") -> GuardedCode:
    """Return the guarded code of a guest's program; its last expression is stored as `$result`.

    Raises:
        GuardRefused: The policy does not allow what the source asks for (the guest's fault).
        SyntaxError: The source does not parse, or is nested too deeply.
    """
    tree = _parse(source, filename)
    with _translated(filename):
        violations = check(tree, policy)
        if violations:
            raise GuardRefused(violations)
        with _deep():
            tree = rewrite(tree, libraries=has_libraries(policy))
        code = _compile(tree, filename)
    declared = [name for node in tree.body if isinstance(node, ast.Global) for name in node.names]
    return GuardedCode(
        code, source, filename, tuple(name for name in declared if name[0] == "$" and name[1:].isdigit())
    )


def compile_plain(source: str, *, filename: str = "<guest>") -> GuardedCode:
    """Return the program as it is, only with its last expression stored as `$result`.

    Raises:
        SyntaxError: The source does not parse.
    """
    tree = _parse(source, filename)
    with _translated(filename):
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = tree.body[-1]
            tree.body[-1] = ast.copy_location(ast.Assign([ast.Name(RESULT, ast.Store())], last.value), last)
            ast.fix_missing_locations(tree.body[-1])
        return GuardedCode(_compile(tree, filename), source, filename)


def _parse(source: str, filename: str) -> ast.Module:
    if len(source) > _SOURCE_BYTES:
        violation = Violation(
            1, f"the source has {len(source):,} characters; at most {_SOURCE_BYTES:,} are taken"
        )
        raise GuardRefused((violation,))
    with _translated(filename):
        return ast.parse(source, filename)


def _compile(tree: ast.Module, filename: str) -> types.CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        code: types.CodeType = compile(
            tree, filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )
    return code


@contextmanager
def _translated(filename: str) -> Iterator[None]:
    """Turn what the parser and compiler raise on absurd input into SyntaxError."""
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


@contextmanager
def _deep() -> Iterator[None]:
    """Give the rewriter's recursion more room; never while C code recurses."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEPTH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
