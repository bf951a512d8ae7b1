"""Where files of this user's are kept that can be had again: weights, packages, compiled modules."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Return the user's cache folder for Pinjra, by the conventions of the system (XDG on Linux); not created."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        given = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(given) if Path(given).is_absolute() else home / ".cache"  # relative: ignored (XDG spec)
    return base / "pinjra"
