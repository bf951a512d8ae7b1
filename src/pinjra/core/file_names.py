"""The one rule for names of files below a scratch folder."""

from __future__ import annotations

import os

from pinjra.core.errors import ConfigurationError

MOST_PARTS = 32  # folders in one another, and a file
_PART_BYTES = 255  # of one name in a folder, on every file system


def is_file_name(name: str) -> bool:
    """Return whether `name` is a plain relative path: not absolute, not empty, no part "..", or with a NUL, or over 255 bytes."""
    parts = name.split("/")
    is_bad = "\0" in name or any(part in ("", ".", "..") or _bytes_of(part) > _PART_BYTES for part in parts)
    return not is_bad and len(parts) <= MOST_PARTS


def check_file_name(name: str) -> str:
    """Return `name` when it is a plain relative path below the scratch folder.

    Raises:
        ConfigurationError: It is not; see `is_file_name`.
    """
    if not is_file_name(name):
        raise ConfigurationError(f"a scratch file's name must be a plain relative path, not {name!r:.300}")
    return name


def _bytes_of(part: str) -> int:
    try:
        return len(os.fsencode(part))
    except UnicodeEncodeError:  # half a surrogate pair: no file has such a name
        return _PART_BYTES + 1
