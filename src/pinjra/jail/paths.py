"""This interpreter -> the folders and files that a session must be able to read, and no others."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from pinjra.jail import profile

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""The folder of this package."""


def is_library(path: str) -> bool:
    """Return whether an entry of sys.path is a place for installed packages, and not somebody's project."""
    name = os.path.basename(os.path.normpath(path))
    return (
        name in ("site-packages", "dist-packages", "lib-dynload")
        or name == os.path.basename(_library())
        or name.endswith(".zip")
    )


def readable(extra: Iterable[str], *, network: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what to show, and what was asked for and is not shown, with the reason.

    Args:
        extra: Folders with modules of the caller's own.
    """
    wanted = [*profile.SYSTEM_READABLE, *(profile.NETWORK_READABLE if network else ())]
    wanted += [_library(), *(path for path in sys.path if is_library(path)), PACKAGE]
    if sys.base_prefix not in ("/", "/usr", "/usr/local"):
        wanted.append(f"{sys.base_prefix}/lib")
    wanted += [path for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if os.path.isabs(path)]
    wanted += extra
    shown: dict[str, None] = {}
    left_out = []
    for path in wanted:
        if not os.path.exists(path):
            continue
        reason = _too_wide(path)
        if reason:
            left_out.append(f"{path}: {reason}")
        else:
            shown[os.path.abspath(path)] = None
    shown.update(dict.fromkeys(_mapped_files(tuple(map(os.path.realpath, shown)))))
    return tuple(shown), tuple(left_out)


def unreachable(shown: Iterable[str], *, is_private: bool = False) -> tuple[str, ...]:
    """Return which of these another user cannot reach, with the reason. A private view has its own above."""
    notes = []
    for path in shown:
        parents = [os.path.realpath(path)]
        while parents[-1] != "/" and not is_private:
            parents.append(os.path.dirname(parents[-1]))
        closed = [
            parent for parent in parents if not os.stat(parent).st_mode & 0o001 and os.path.isdir(parent)
        ]
        if closed:
            notes.append(f"{path}: the session's user cannot read it, {closed[-1]} is closed to others")
    return tuple(notes)


def scratch_for(shown: Iterable[str]) -> str:
    """Return where the scratch folder lies in the view: where programs expect it, unless libraries lie there."""
    return "/scratch" if holds("/tmp", shown) else "/tmp"  # noqa: S108


def holds(folder: str, shown: Iterable[str]) -> bool:
    """Return whether one of these paths is `folder` or lies below it."""
    return any(path == folder or path.startswith(f"{folder}/") for path in shown)


def _library() -> str:
    return os.path.dirname(os.__file__)


def _too_wide(path: str) -> str:
    """Return "" or why this folder would show more than a library."""
    real = os.path.realpath(path)
    home = os.path.expanduser("~")
    for never in (*profile.NEVER_READABLE, home):
        if real == never or never.startswith(real.rstrip("/") + "/"):
            return f"it holds {never}"
    return ""


def _mapped_files(shown: tuple[str, ...]) -> list[str]:
    """Return the libraries that are loaded already and lie outside of `shown`."""
    found = set()
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            path = line[73:].strip()
            if path.startswith("/") and ".so" in path and os.path.exists(path):
                found.add(path)
    return sorted(
        path for path in found if not any(path.startswith(f"{folder}/") or path == folder for folder in shown)
    )
