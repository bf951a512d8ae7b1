"""Regular expression -> whether matching it can take time exponential in the text.

Exponential backtracking needs a repeat inside a repeat where one text can be split between the turns in more than one way:
`(a+)+`, `(a|a)*`, `(\\w+\\s?)*`. A body that must begin or end with a character that its inner repeat cannot take is safe:
`(\\w+,)*`, `(\\.\\w+)+`. The check is on the parsed pattern and errs to "safe" for what it does not understand: it is a
price list, not a proof. Polynomial patterns (`.*.*=`) pass.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable

if sys.version_info >= (3, 11):  # noqa: UP036 (the worker runs this on Python 3.10, too)
    from re import _constants as codes  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]
else:
    import sre_constants as codes
    import sre_parse as parser

__all__ = ["is_ambiguous"]

# Characters by which sets are compared: one of each sort that patterns tell apart.
_SAMPLE = [chr(n) for n in range(128)] + ["é", "ß", "中", "\u2003", "٣", "😀"]
# A repeat that may turn this often is as good as endless.
_MANY = 10
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT)


def is_ambiguous(pattern: str | bytes, flags: int) -> bool:
    """Return whether `pattern` repeats something that repeats itself ambiguously; False where it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = parser.parse(pattern, flags)
    except Exception:
        return False
    return _search(tree, tree.state.flags)


def _search(items: Iterable[tuple[object, object]], flags: int) -> bool:
    for op, arg in items:
        for body in _bodies(op, arg):
            if op in _REPEATS and _repeats_often(arg) and _is_loose(list(body), flags):
                return True
            if _search(body, flags):
                return True
    return False


def _bodies(op: object, arg: object) -> list[list[tuple[object, object]]]:
    """Return the patterns inside one item."""
    if op in _REPEATS or op is getattr(codes, "POSSESSIVE_REPEAT", None):
        return [arg[2]]  # type: ignore[index]
    if op is codes.SUBPATTERN:
        return [arg[3]]  # type: ignore[index]
    if op is codes.BRANCH:
        return list(arg[1])  # type: ignore[index]
    if op in (codes.ASSERT, codes.ASSERT_NOT):
        return [arg[1]]  # type: ignore[index]
    if op is getattr(codes, "ATOMIC_GROUP", None):
        return [arg]  # type: ignore[list-item]
    if op is codes.GROUPREF_EXISTS:
        return [body for body in arg[1:] if body]  # type: ignore[index]
    return []


def _repeats_often(arg: object) -> bool:
    low, high = arg[0], arg[1]  # type: ignore[index]
    return bool(high == codes.MAXREPEAT or (high >= _MANY and high != low))


def _unwrap(items: list[tuple[object, object]]) -> list[tuple[object, object]]:
    """Return the items with plain groups opened."""
    opened: list[tuple[object, object]] = []
    for op, arg in items:
        if op is codes.SUBPATTERN and not arg[1] and not arg[2]:  # type: ignore[index]
            opened.extend(_unwrap(list(arg[3])))  # type: ignore[index]
        else:
            opened.append((op, arg))
    return opened


def _is_loose(items: list[tuple[object, object]], flags: int) -> bool:
    """Return whether a repeated body can take one text in two ways."""
    items = _unwrap(items)
    if len(items) == 1 and items[0][0] is codes.BRANCH:
        branches = [_unwrap(list(branch)) for branch in items[0][1][1]]  # type: ignore[index]
        if any(_is_loose(branch, flags) for branch in branches if branch):
            return True
        return _overlap(branches, flags)
    for place, (op, arg) in enumerate(items):
        inner, most = _variable(op, arg, flags)
        if inner is None:
            continue
        rest = items[:place] + items[place + 1 :]
        fences = [_chars([item], flags) for item in rest if _is_needed(item)]
        if (most > 1 or fences) and not any(fence is not None and not fence & inner for fence in fences):
            return True
    return False


def _variable(op: object, arg: object, flags: int) -> tuple[frozenset[str] | None, int]:
    """Return what an item of variable length can take (None when its length is fixed or unknown) and how often."""
    if op in _REPEATS and arg[0] != arg[1]:  # type: ignore[index]
        return _chars(_unwrap(list(arg[2])), flags), int(arg[1])  # type: ignore[index]
    if op is codes.BRANCH and any(not list(branch) for branch in arg[1]):  # type: ignore[index]
        return _chars([(op, arg)], flags), 1
    return None, 0


def _is_needed(item: tuple[object, object]) -> bool:
    op, arg = item
    return op in (codes.LITERAL, codes.NOT_LITERAL, codes.IN, codes.ANY) or (op in _REPEATS and arg[0] > 0)  # type: ignore[index]


def _overlap(branches: list[list[tuple[object, object]]], flags: int) -> bool:
    """Return whether two branches of one fixed character each can take the same one."""
    seen: set[str] = set()
    for branch in branches:
        if len(branch) != 1 or branch[0][0] in _REPEATS:
            continue
        taken = _chars(branch, flags)
        if taken is None:
            continue
        if taken & seen:
            return True
        seen |= taken
    return False


def _chars(items: list[tuple[object, object]], flags: int) -> frozenset[str] | None:
    """Return which of the sample (and of the pattern's own literals) the items can take; None when unknown."""
    taken: frozenset[str] = frozenset()
    for op, arg in items:
        if op in _REPEATS:
            more = _chars(_unwrap(list(arg[2])), flags)  # type: ignore[index]
        elif op is codes.BRANCH:
            parts = [_chars(_unwrap(list(branch)), flags) for branch in arg[1]]  # type: ignore[index]
            more = None if None in parts else frozenset().union(*(p for p in parts if p is not None))
        elif op is codes.AT:
            continue
        else:
            more = _one(op, arg, flags)
        if more is None:
            return None
        taken |= more
    return taken


def _one(op: object, arg: object, flags: int) -> frozenset[str] | None:
    import re

    if op is codes.LITERAL:
        char = chr(arg)  # type: ignore[arg-type]
        return frozenset({char, char.lower(), char.upper()} if flags & re.IGNORECASE else {char})
    if op is codes.NOT_LITERAL:
        return frozenset(_SAMPLE) - {chr(arg)}  # type: ignore[arg-type]
    if op is codes.ANY:
        return frozenset(_SAMPLE) - (frozenset() if flags & re.DOTALL else {"\n"})
    if op is codes.IN:
        return _set(arg, flags)  # type: ignore[arg-type]
    return None


_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdigit,
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_WORD": lambda c: c.isalnum() or c == "_",
}


def _set(items: list[tuple[object, object]], flags: int) -> frozenset[str] | None:
    taken: set[str] = set()
    negated = False
    for op, arg in items:
        if op is codes.NEGATE:
            negated = True
        elif op is codes.LITERAL:
            taken |= _one(op, arg, flags) or set()
        elif op is codes.RANGE:
            low, high = arg[0], arg[1]  # type: ignore[index]
            taken |= {c for c in _SAMPLE if low <= ord(c) <= high} | {chr(low), chr(high)}
        elif op is codes.CATEGORY:
            name = str(arg)
            test = _CATEGORIES.get(name.replace("_NOT_", "_"))
            if test is None:
                return None
            taken |= {c for c in _SAMPLE if test(c) != ("_NOT_" in name)}
        else:
            return None
    return frozenset(_SAMPLE) - taken if negated else frozenset(taken)
