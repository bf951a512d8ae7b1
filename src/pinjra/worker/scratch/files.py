"""Requests for scratch files -> their answers. The subclasses say how a name leads to a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import BinaryIO, Literal

from pinjra.core.file_names import is_file_name
from pinjra.wire.messages import Done, GetFile, ListFiles, PutFile

_PIECE_BYTES = 72 << 20  # below what one message may carry (wire.frames.MESSAGE_BYTES)
_MAX_FILES = 10_000  # names in one listing
_MAX_CHARS = 4 << 20  # of all of them: 10,000 names as long as a path may be are more than a message holds

Mode = Literal["rb", "wb", "ab"]


class ScratchError(Exception):
    """A request was not carried out. `kind` is the problem of the message `Done`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Files(ABC):
    """The files of one session.

    Args:
        quota_bytes: What all files together may hold after a `put`; None for no quota.
    """

    def __init__(self, quota_bytes: float | None) -> None:
        self.quota_bytes = quota_bytes
        self._left = -1.0  # of the quota, as of the file that was begun last

    @abstractmethod
    def _open(self, name: str, mode: Mode) -> BinaryIO:
        """Return a regular file, made with its folders for "wb".

        Raises:
            OSError, ScratchError: There is none, or something else.
        """

    @abstractmethod
    def _found(self) -> Iterator[tuple[str, int]]:
        """Yield relative name and size of each regular file."""

    def answer(self, message: PutFile | GetFile | ListFiles) -> Done:
        """Carry out a request; return what to answer."""
        request = message.request
        try:
            match message:
                case PutFile():
                    self.put(message.name, message.blobs[0] if message.blobs else b"", message.offset)
                    return Done(request=request)
                case GetFile():
                    piece = self.get(message.name, message.offset, message.size)
                    return Done(request=request, blobs=(piece,))
                case ListFiles():
                    return Done(request=request, files=self.sizes())
        except ScratchError as error:
            return Done(request=request, problem=error.kind, message=str(error))
        except OSError as error:
            return Done(request=request, problem="error", message=str(error))

    def put(self, name: str, data: bytes, offset: int = 0) -> None:
        """Write one file, making its folders; with an offset, the next piece of a file that ends there.

        Raises:
            ScratchError: The name leaves the folder or meets something else, or the quota is too small.
        """
        _check(name)
        if self.quota_bytes is not None:
            if not offset or self._left < 0:  # not for each piece: there may be thousands of files
                self._left = self.quota_bytes - sum(self.sizes().values())
            self._left -= len(data)
            if self._left < 0:
                why = f"{name!r} ({len(data)} bytes) does not fit into {int(self.quota_bytes)} bytes"
                raise ScratchError("quota", why)
        try:
            with self._open(name, "ab" if offset else "wb") as stream:
                if offset and stream.tell() != offset:
                    raise ScratchError("refused", f"{name!r} was changed while it was written")
                stream.write(data)
        except OSError as error:
            raise ScratchError("refused", f"{name!r} cannot be written: {error.strerror}") from error

    def get(self, name: str, offset: int, size: int) -> bytes:
        """Return `size` bytes of one regular file from `offset` on; fewer at its end.

        Raises:
            ScratchError: There is no such regular file.
        """
        _check(name)
        try:
            with self._open(name, "rb") as stream:
                stream.seek(max(offset, 0))
                return stream.read(min(max(size, 0), _PIECE_BYTES))
        except OSError as error:
            raise ScratchError("not-found", f"{name!r}: no such regular file") from error

    def sizes(self) -> dict[str, int]:
        """Return relative name → size of each regular file, at most 10,000 of them and 4 Mi characters."""
        found: dict[str, int] = {}
        chars = 0
        for name, size in self._found():
            shown = name.encode("utf-8", "replace").decode("utf-8")
            found[shown] = size
            chars += len(shown)
            if len(found) >= _MAX_FILES or chars >= _MAX_CHARS:
                break
        return found


def _check(name: str) -> None:
    if not is_file_name(name):
        raise ScratchError("refused", f"not a plain relative path: {name!r}")
