"""Temporary folders that a kill leaves behind -> removed by whoever makes the next one.

Each folder is locked as long as its maker lives: the kernel lets go of a lock however a process ends, and in whichever
namespace. What does not work: process numbers in the names (they mean something else in each container that shares a /tmp).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pinjra.core.removal import FOLDER, remove

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there, and so nothing swept
    fcntl = None  # type: ignore[assignment]

_AGE_SECONDS = 600.0  # a folder is locked as soon as it is made: younger ones are left alone


def make_folder(prefix: str, place: str | None = None) -> tuple[str, int]:
    """Return a new folder in `place`, the temporary one unless given, and the descriptor to be kept as long as it is in use."""
    path = tempfile.mkdtemp(prefix=prefix, dir=place)
    if fcntl is None:
        return path, -1
    try:
        lock = os.open(path, FOLDER)
    except OSError:  # no descriptor is left
        os.rmdir(path)
        raise
    with suppress(OSError):  # no locks here (some of NFS, of FUSE): nothing is swept there either
        fcntl.flock(lock, fcntl.LOCK_SH)
    return path, lock


def own_folder(prefix: str) -> tuple[Path, int]:
    """Return as `make_folder`, and remove what makers that were killed have left."""
    sweep(prefix, remove)
    path, lock = make_folder(prefix)
    return Path(path), lock


def discard_folder(path: Path, lock: int) -> None:
    """Remove a folder and give up its lock; with a lock of -1 nothing is left to do."""
    if lock >= 0 or fcntl is None:
        remove(path)
    if lock >= 0:
        os.close(lock)


def sweep(
    prefix: str, remove: Callable[[str], object], age_seconds: float = _AGE_SECONDS, place: str | None = None
) -> None:
    """Remove what makers that are gone have left; another user's only as root.

    Args:
        remove: Removes a folder whose content is hostile.
        age_seconds: Younger folders are left alone.
        place: Where they are; None: in the temporary folder.
    """
    if fcntl is None:
        return
    now, uid = time.time(), os.geteuid()
    try:
        place = place or tempfile.gettempdir()
    except OSError:  # there is no writable folder, and so nothing that was left in it
        return
    with os.scandir(place) as entries:
        found = [entry.path for entry in entries if entry.name.startswith(prefix)]
    for path in found:
        try:
            folder = os.open(path, FOLDER)
        except OSError:  # a file, a link, another user's
            continue
        try:
            facts = os.fstat(folder)
            if now - facts.st_mtime > age_seconds and uid in (0, facts.st_uid):
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(path)
        except OSError:  # in use, or nobody can say
            continue
        finally:
            os.close(folder)
