"""What a box has that a process of its own has not: variables and folders of the host's choice, memory that ends with it."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

__all__ = ["do_without_tracker", "link_folders", "reseed", "set_variables"]

_TRACKER = "multiprocessing.resource_tracker"


def set_variables(pairs: Iterable[str]) -> None:
    """Set variables from texts like "NAME=value"; a time zone is in force at once."""
    for pair in pairs:
        name, _, value = pair.partition("=")
        os.environ[name] = value
        if name == "PYTHONPATH":
            _search_first(value.split(os.pathsep))
    if hasattr(time, "tzset"):
        time.tzset()


def _search_first(folders: Iterable[str]) -> None:
    """Search these before the installed packages, and behind what Python brings."""
    installed = [n for n, path in enumerate(sys.path) if path.endswith(("site-packages", "dist-packages"))]
    at = min(installed, default=len(sys.path))
    sys.path[at:at] = [folder for folder in folders if folder and folder not in sys.path]


def link_folders(pairs: Iterable[str]) -> None:
    """Make links from texts like "name=path" here; they are anew in each interpreter, as a reset empties the folder.

    Links, not mounts: whatever empties the scratch folder takes the link away, never what is behind it.
    """
    for pair in pairs:
        name, _, path = pair.partition("=")
        if not os.path.lexists(name):
            os.symlink(path, name)


def reseed() -> None:
    """Draw other random numbers than the process that this one was forked from."""
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def do_without_tracker() -> None:
    """Let `multiprocessing` start no process that removes named memory and semaphores behind it: they end with the box.

    That process is a Python of its own. Where no program may be started it ends at once, and `SharedMemory` or `Lock` fail with a
    broken pipe, whenever it has ended before they write to it.
    """
    sys.meta_path.insert(0, _WithoutTracker())


class _WithoutTracker(MetaPathFinder):
    """Finds the tracker's module, and no other: what costs 40 ms is imported when it is wanted."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname == _TRACKER else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        for name in ("ensure_running", "register", "unregister"):
            setattr(module, name, _nothing)


def _nothing(*_: object) -> None:
    """Do nothing, and be no reason to start a process."""
