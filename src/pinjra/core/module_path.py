"""Folders of modules: which are in one, which hold what is installed, and the place that Python gives to PYTHONPATH."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

_SUFFIXES = (".py", ".so", ".pyd")


def search_first(folders: Iterable[str]) -> None:
    """Search these before the installed packages, and behind what Python brings; they may be searched already."""
    first = [folder for folder in dict.fromkeys(folders) if folder]
    others = [path for path in sys.path if path not in first]
    installed = [n for n, path in enumerate(others) if path.endswith(("site-packages", "dist-packages"))]
    at = min(installed, default=len(others))
    sys.path[:] = [*others[:at], *first, *others[at:]]


def installed_folders() -> list[str]:
    """Return the folders of `sys.path` that hold what is installed beside Python itself."""
    return [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]


def modules_of(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the names of the modules and packages that lie in a folder."""
    for entry in os.scandir(folder):
        name = entry.name.partition(".")[0]
        is_module = entry.is_dir() or os.path.splitext(entry.name)[1] in _SUFFIXES
        if is_module and name.isidentifier() and not entry.name.endswith((".dist-info", ".libs", ".data")):
            yield name
