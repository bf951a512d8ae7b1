"""Where files of this user's are kept that can be had again: weights, packages, compiled modules."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pinjra.core.errors import ConfigurationError


def cache_folder() -> Path:
    """Return the user's cache folder for Pinjra, by the conventions of the system (XDG on Linux); not created.

    Raises:
        ConfigurationError: As `home_folder`.
    """
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home_folder() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home_folder() / "Library" / "Caches"
    else:
        given = os.environ.get("XDG_CACHE_HOME", "")
        # relative: ignored (XDG spec)
        base = Path(given) if Path(given).is_absolute() else home_folder() / ".cache"
    return base / "pinjra"


def made(folder: Path, mode: int = 0o777) -> Path:
    """Return the folder, made if need be.

    Raises:
        ConfigurationError: It cannot be (the operator's fault).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=mode)
    except OSError as error:
        raise ConfigurationError(
            f"the folder {folder} cannot be made ({error.strerror}): set HOME, or XDG_CACHE_HOME, to one of this user's"
        ) from error
    return folder


def home_folder() -> Path:
    """Return the user's home folder.

    Raises:
        ConfigurationError: Nobody says where it is (the operator's fault): a container's user that is in no list.
    """
    try:
        return Path.home()
    except RuntimeError as error:
        raise ConfigurationError("this user has no home folder that is known here: set HOME") from error
