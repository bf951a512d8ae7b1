"""The scratch folder before and after a run -> names and sizes of what the run wrote."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

_MAX_FILES = 10_000  # that are looked at
MOST_TOLD = 1_000
_MAX_DEPTH = 32
_CACHES = frozenset(["__pycache__"])  # written by libraries, beside all hidden names
_LOCK = "sem.mp-"  # of multiprocessing, which makes it in /dev/shm: in a jail that is the folder
_SETTLED_NANOSECONDS = 100_000_000  # file times are steps of up to 10 ms: a folder's newer one may come twice

_State = tuple[int, int, int]


class FileStates:
    """What the files of a folder are before a run: links are not followed, hidden names and caches not looked at.

    A folder with nothing in it changes its own times when something comes: then one look at these is enough.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._before: dict[str, _State] = {}
        self._empty: _State | None = None  # the folder's own times with which it was seen to be empty

    def begin_run(self) -> None:
        """Remember what there is."""
        if self._is_still_empty():
            return
        times = self._times()
        self._before = dict(self._found())
        is_settled = times is not None and max(times) < time.time_ns() - _SETTLED_NANOSECONDS
        self._empty = times if is_settled and _is_empty(self.folder) else None

    def changed(self) -> dict[str, int]:
        """Return relative name → bytes of each regular file that is new, or not as it was."""
        if self._is_still_empty():
            return {}
        now = self._found()
        written = ((name, state[0]) for name, state in now if self._before.get(name) != state)
        return {name: size for (name, size), _ in zip(written, range(MOST_TOLD), strict=False)}

    def _is_still_empty(self) -> bool:
        return self._empty is not None and self._times() == self._empty

    def _times(self) -> _State | None:
        try:
            found = os.stat(self.folder)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_ino

    def _found(self) -> Iterator[tuple[str, _State]]:
        found = _walk(self.folder, "", _MAX_DEPTH)
        return (each for each, _ in zip(found, range(_MAX_FILES), strict=False))


def _is_empty(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return all(_is_passed_over(entry.name) for entry in entries)
    except OSError:
        return False


def _is_passed_over(name: str) -> bool:
    return name.startswith((".", _LOCK)) or name in _CACHES


def _walk(folder: str, prefix: str, depth: int) -> Iterator[tuple[str, _State]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_passed_over(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False) and depth:
                    yield from _walk(entry.path, f"{prefix}{entry.name}/", depth - 1)
                elif entry.is_file(follow_symlinks=False) and _has_name(entry.name):
                    found = entry.stat(follow_symlinks=False)
                    yield prefix + entry.name, (found.st_size, found.st_mtime_ns, found.st_ino)
    except OSError:  # the program has taken it away, or its right to look
        return


def _has_name(name: str) -> bool:
    """Return whether a file has a name on the wire: one that is UTF-8."""
    return name == name.encode("utf-8", "replace").decode()
