"""File names from the host -> bytes in the scratch folder, and back, where the process itself cannot leave the folder.

For boxes that resolve every path below the folder whatever links guest code has laid (WASI's preopened folders). Elsewhere
`scratch` walks the path itself; WASI has no descriptors of folders that Python could walk with.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from pinjra.wire.messages import Done, Failed, FileData, FileList, GetFile, ListFiles, Message, PutFile

__all__ = ["Folder"]

_FILE_BYTES = 72 << 20  # below what one message may carry (wire.frames.WireLimits)
_MAX_FILES = 10_000  # names in one listing
_MAX_DEPTH = 32


class NoRoom(Exception):
    """The quota does not hold a file."""


class Folder:
    """Answers the host's requests for files.

    Args:
        path: An existing folder.
        quota_bytes: What all files together may hold after a `PutFile`; None for no quota.
    """

    def __init__(self, path: str, quota_bytes: float | None) -> None:
        self._path = path
        self.quota_bytes = quota_bytes

    def answer(self, message: PutFile | GetFile | ListFiles) -> Message:
        """Carry out a request; return what to answer."""
        request = message.request
        try:
            if isinstance(message, PutFile):
                return self._put(message)
            if isinstance(message, GetFile):
                return self._get(message)
            return FileList(request=request, files=dict(self._sizes()))
        except (OSError, ValueError) as error:
            return Failed(request=request, kind="refused", message=f"{type(error).__name__}: {error}"[:500])

    def _put(self, message: PutFile) -> Message:
        try:
            self.put(message.name, message.blobs[0] if message.blobs else b"", message.offset)
        except NoRoom as error:
            return Failed(request=message.request, kind="quota", message=str(error))
        return Done(request=message.request)

    def put(self, name: str, data: bytes, offset: int = 0) -> None:
        """Write one file, making its folders; with an offset, the next piece of a file that ends there.

        Raises:
            NoRoom: The quota is too small.
            OSError, ValueError: The name leaves the folder, or meets something else than a file of that size.
        """
        used = sum(size for _name, size in self._sizes())
        if self.quota_bytes is not None and used + len(data) > self.quota_bytes:
            raise NoRoom(f"{name!r} ({len(data)} bytes) does not fit into {int(self.quota_bytes)} bytes")
        path = self._below(name)
        self._make_folders(name)
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            raise ValueError(f"{name!r} is no file")
        if offset and os.path.getsize(path) != offset:
            raise ValueError(f"{name!r} was changed while it was written")
        with open(path, "ab" if offset else "wb") as stream:
            stream.write(data)

    def _get(self, message: GetFile) -> Message:
        path = self._below(message.name)
        try:
            is_file = stat.S_ISREG(os.lstat(path).st_mode)
        except OSError:
            is_file = False
        if not is_file:
            why = f"{message.name!r}: no such regular file"
            return Failed(request=message.request, kind="not-found", message=why)
        with open(path, "rb") as stream:
            stream.seek(max(message.offset, 0))
            data = stream.read(_FILE_BYTES + 1 if message.size is None else message.size)
        if len(data) > _FILE_BYTES:
            why = f"{message.name!r} is larger than {_FILE_BYTES} bytes"
            return Failed(request=message.request, kind="refused", message=why)
        return FileData(request=message.request, blobs=(data,))

    def _make_folders(self, name: str) -> None:
        path = self._path
        for part in name.split("/")[:-1]:  # os.makedirs would ask for "/", which is not there
            path = f"{path}/{part}"
            if not os.path.isdir(path):
                os.mkdir(path)

    def _below(self, name: str) -> str:
        parts = name.split("/")
        if any(part in ("", ".", "..") for part in parts) or "\0" in name or len(parts) > _MAX_DEPTH:
            raise ValueError(f"not a plain relative path: {name!r}")
        return "/".join((self._path, *parts))

    def _sizes(self) -> Iterator[tuple[str, int]]:
        """Yield relative name and size of each regular file, at most 10,000 of them."""
        count = 0
        for folder, folders, names in os.walk(self._path):
            for name in names:
                path = os.path.join(folder, name)
                found = os.lstat(path)
                if not stat.S_ISREG(found.st_mode):
                    continue
                yield os.path.relpath(path, self._path).encode("utf-8", "replace").decode(), found.st_size
                count += 1
                if count >= _MAX_FILES:
                    return
            if folder.count("/") - self._path.count("/") >= _MAX_DEPTH:
                folders.clear()
