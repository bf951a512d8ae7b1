"""The files of a session where the process itself cannot leave the folder.

For boxes that resolve every path below the folder whatever links guest code has laid (WASI's preopened folders). Elsewhere
`Scratch` walks the path itself; WASI has no descriptors of folders that Python could walk with.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from pinjra.core.file_names import MOST_PARTS
from pinjra.worker.scratch.files import Files, Mode, ScratchError


class Folder(Files):
    """The files of one session, in a folder that exists."""

    def __init__(self, path: str, quota_bytes: float | None) -> None:
        super().__init__(quota_bytes)
        self._path = path

    def _open(self, name: str, mode: Mode) -> BinaryIO:
        path = f"{self._path}/{name}"
        if mode == "wb":
            self._make_folders(name)
        if (mode != "wb" or os.path.lexists(path)) and not stat.S_ISREG(os.lstat(path).st_mode):
            raise ScratchError("not-found" if mode == "rb" else "refused", f"{name!r}: no such regular file")
        return open(path, mode)

    def _make_folders(self, name: str) -> None:
        path = self._path
        for part in name.split("/")[:-1]:  # os.makedirs would ask for "/", which is not there
            path = f"{path}/{part}"
            if not os.path.isdir(path):
                os.mkdir(path)

    def _found(self) -> Iterator[tuple[str, int]]:
        for folder, folders, names in os.walk(self._path):
            for name in names:
                path = os.path.join(folder, name)
                found = os.lstat(path)
                if stat.S_ISREG(found.st_mode):
                    yield os.path.relpath(path, self._path), found.st_size
            if folder.count("/") - self._path.count("/") >= MOST_PARTS:
                folders.clear()
