"""The scratch folder before and after a run -> names and sizes of what the run wrote."""

from __future__ import annotations

import os
from collections.abc import Iterator

__all__ = ["FileStates"]

_MAX_FILES = 10_000  # that are looked at
_MAX_TOLD = 1_000
_MAX_DEPTH = 32
_CACHES = frozenset(["__pycache__"])  # written by libraries, beside all hidden names


class FileStates:
    """What the files of a folder were when this was made: links are not followed, hidden names and caches not looked at."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._before = dict(self._found())

    def changed(self) -> dict[str, int]:
        """Return relative name → bytes of each regular file that is new, or not as it was."""
        now = self._found()
        written = ((name, state[0]) for name, state in now if self._before.get(name) != state)
        return {name: size for (name, size), _ in zip(written, range(_MAX_TOLD), strict=False)}

    def _found(self) -> Iterator[tuple[str, tuple[int, int, int]]]:
        found = _walk(self._folder, "", _MAX_DEPTH)
        return (each for each, _ in zip(found, range(_MAX_FILES), strict=False))


def _walk(folder: str, prefix: str, depth: int) -> Iterator[tuple[str, tuple[int, int, int]]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith((".", "fontlist-v")) or entry.name in _CACHES:
                    continue
                if entry.is_dir(follow_symlinks=False) and depth:
                    yield from _walk(entry.path, f"{prefix}{entry.name}/", depth - 1)
                elif entry.is_file(follow_symlinks=False) and _is_told(entry.name):
                    found = entry.stat(follow_symlinks=False)
                    yield prefix + entry.name, (found.st_size, found.st_mtime_ns, found.st_ino)
    except OSError:  # the program has taken it away, or its right to look
        return


def _is_told(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # not UTF-8: it has no name on the wire
        return False
    return True
