"""Requests for scratch files -> their answers."""

from __future__ import annotations

from pinjra.wire.messages import (
    Done,
    Failed,
    FileData,
    FileList,
    GetFile,
    ListFiles,
    Message,
    PutFile,
)
from pinjra.worker.scratch.requests import Scratch, ScratchError

__all__ = ["Files"]

_FILE_BYTES = 72 << 20  # below what one message may carry (wire.frames.WireLimits)


class Files:
    """Answers the host's requests for files."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch

    def answer(self, message: Message) -> Message:
        """Carry out one of PutFile, GetFile, ListFiles; return what to answer."""
        request = getattr(message, "request", 0)
        try:
            if isinstance(message, PutFile):
                self.scratch.put(message.name, message.blobs[0] if message.blobs else b"", message.offset)
                return Done(request=request)
            if isinstance(message, GetFile):
                return FileData(request=request, blobs=(self._get(message),))
            if isinstance(message, ListFiles):
                return FileList(request=request, files=self.scratch.sizes())
        except ScratchError as error:
            return Failed(request=request, kind=error.kind, message=str(error))
        except OSError as error:
            return Failed(request=request, kind="error", message=str(error))
        return Failed(request=request, kind="refused", message=f"no such request: {type(message).__name__}")

    def _get(self, message: GetFile) -> bytes:
        if message.size is None:
            return self.scratch.get(message.name, _FILE_BYTES)
        return self.scratch.get_part(message.name, message.offset, min(message.size, _FILE_BYTES))
