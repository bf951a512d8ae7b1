"""Name of an optional package -> the package, or what to install."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from pinjra.core.errors import MissingDependency


def optional(package: str, install: str) -> ModuleType:
    """Return the package, imported.

    Args:
        install: An extra of Pinjra's, or the package itself: what pip installs.

    Raises:
        MissingDependency: It is not there, or what it imports is not (the operator's fault).
    """
    try:
        return import_module(package)
    except ImportError as error:
        why = "" if error.name == package else f" ({error})"
        raise MissingDependency(f"{package}{why}", f"pip install '{install}'") from None
