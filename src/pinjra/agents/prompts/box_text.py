"""The box that code runs in -> the words a prompt tells of it: what can be imported, started and reached there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import cast

from pinjra.core.access import PARAMETERS, Access, AccessOptions, parse_access
from pinjra.executors.base import PythonExecutor
from pinjra.guard.imports import DEFAULT_AUTHORIZED

# The standard modules a model most often wants; the executor's own list decides.
_USUAL = (
    "collections", "datetime", "itertools", "math", "random", "re", "statistics", "time", "json", "dataclasses",
    "functools", "decimal", "fractions", "string", "heapq", "calendar",
)  # fmt: skip
_ANY = "any module that is installed"
_NAME = re.compile(r"[A-Za-z0-9_.-]+")  # of a requirement, in front of its version


def import_words(
    box: PythonExecutor | type[PythonExecutor],
    given: Mapping[str, object],
    additional: Iterable[str],
    access: Access,
) -> str:
    """Return which modules code may import in a box: one that is open, or one of a class with these parameters."""
    is_open = isinstance(box, PythonExecutor)
    own = cast("Iterable[str]", getattr(box, "authorized_imports", ())) if is_open else ()
    names = [name for name in dict.fromkeys([*additional, *own]) if name not in DEFAULT_AUTHORIZED]
    names += [name for name in _package_names(access) if name not in names]
    mode = getattr(box, "imports", None) or given.get("imports") or getattr(box, "IMPORTS", "listed")
    is_guarded = getattr(box, "guard", True) if is_open else given.get("guard", True)
    if "*" in names or mode == "all" or not is_guarded:
        return _ANY
    if mode == "standard":
        return ", ".join([f"the whole standard library ({', '.join(_USUAL[:6])}, …)", *names])
    return ", ".join([*_USUAL, *(name for name in names if name not in _USUAL)])


def access_of(box: PythonExecutor | type[PythonExecutor], given: Mapping[str, object]) -> Access:
    """Return what a box has, or one of a class with these parameters would have."""
    if isinstance(box, PythonExecutor):
        return getattr(box, "access", Access())
    return parse_access(cast("AccessOptions", {name: given[name] for name in PARAMETERS if name in given}))


def _package_names(access: Access) -> list[str]:
    found = (_NAME.match(package) for package in access.packages)
    return [match[0].replace("-", "_").lower() for match in found if match]
