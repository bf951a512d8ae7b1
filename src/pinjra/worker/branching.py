"""A scratch folder -> a copy of it for a session that is forked off. Links are copied as links, never followed."""

from __future__ import annotations

import os
import secrets
import stat

from pinjra.jail.walls import disk_quota as quota
from pinjra.worker.scratch.files import ScratchError
from pinjra.worker.scratch.requests import BRANCH_PREFIX, Scratch

__all__ = ["copy_scratch"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 1 << 20
_MAX_DEPTH = 32  # as deep as files from the host may lie
_MAX_ENTRIES = 10_000  # as many as a listing has


def copy_scratch(source: Scratch) -> Scratch:
    """Return a copy of a folder: beside it when it was made here, else within it. It has the same quota.

    Raises:
        ScratchError: There is no room for the copy, or it is too deep or has too many entries.
    """
    top = os.path.dirname(source.path) if source.is_ours else source.path
    path = os.path.join(top, BRANCH_PREFIX + secrets.token_hex(8))
    os.mkdir(path, 0o700)  # fails where guest code has laid something of this name
    copier = _Copier(source.quota_bytes)
    try:
        copier.copy(os.open(source.path, _FOLDER), os.open(path, _FOLDER), 0)
        return Scratch(path, source.quota_bytes, is_ours=True)
    except OSError as error:
        quota.remove(path)
        raise ScratchError("error", f"the scratch files cannot be copied: {error.strerror}") from error
    except ScratchError:
        quota.remove(path)
        raise


class _Copier:
    """What is left that may be copied."""

    def __init__(self, quota_bytes: float | None) -> None:
        self._bytes = quota_bytes
        self._entries = _MAX_ENTRIES

    def copy(self, source: int, target: int, depth: int) -> None:
        """Copy what is in the folder `source`; close both descriptors."""
        try:
            for name in os.listdir(source):
                if depth == 0 and name.startswith(BRANCH_PREFIX):
                    continue
                self._entries -= 1
                if self._entries < 0 or depth >= _MAX_DEPTH:
                    raise ScratchError(
                        "quota", "the scratch folder is too deep or has too many entries to copy"
                    )
                self._copy_entry(name, source, target, depth)
        finally:
            os.close(source)
            os.close(target)

    def _copy_entry(self, name: str, source: int, target: int, depth: int) -> None:
        mode = os.stat(name, dir_fd=source, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            os.mkdir(name, dir_fd=target)
            self.copy(os.open(name, _FOLDER, dir_fd=source), os.open(name, _FOLDER, dir_fd=target), depth + 1)
        elif stat.S_ISLNK(mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISREG(mode):  # pipes and sockets are no files
            reader = os.open(name, _READ, dir_fd=source)
            try:
                writer = os.open(name, _WRITE, stat.S_IMODE(mode) & 0o777, dir_fd=target)
                self._copy_bytes(reader, writer)
            finally:
                os.close(reader)

    def _copy_bytes(self, reader: int, writer: int) -> None:
        with os.fdopen(writer, "wb", buffering=0) as file:
            while data := os.read(reader, _PIECE):
                if self._bytes is not None:
                    self._bytes -= len(data)
                    if self._bytes < 0:
                        raise ScratchError(
                            "quota", "the scratch files do not fit into the quota a second time"
                        )
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
