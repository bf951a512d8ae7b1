"""File names from the host -> bytes in the scratch folder, and back. Never through a link that guest code has laid there.

Every path is walked part by part with openat(2) and O_NOFOLLOW, from a descriptor of the folder that was opened
before guest code ran.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from pinjra.core.temporary_folders import make_folder, sweep
from pinjra.jail.walls import disk_quota as quota

__all__ = ["BRANCH_PREFIX", "Scratch", "ScratchError"]

_SAFELY = (
    os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
)  # SECURITY: no link of the guest's, and no wait at its pipes
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_FILES = 10_000  # names in one listing
_MAX_CHARS = 4 << 20  # of all of them: 10,000 names as long as a path may be are more than a message holds
_MAX_DEPTH = 32
_PREFIX = "pinjra-scratch-"
BRANCH_PREFIX = ".branch-"
"""Of the folders, below the scratch folder of a session, that are those of sessions forked off it."""


class ScratchError(Exception):
    """A request was not carried out. `kind` is that of the message `Failed`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Scratch:
    """The scratch folder of one session.

    Args:
        path: An existing folder, or "" to make one (removed by `remove`).
        quota_bytes: What all files together may hold after a `put`; None for no quota.
        is_ours: `remove` removes it. None: when it was made here.
    """

    def __init__(self, path: str, quota_bytes: float | None, *, is_ours: bool | None = None) -> None:
        self.is_ours = not path if is_ours is None else is_ours
        self.quota_bytes = quota_bytes
        if path:
            self.path, self._root = path, os.open(path, _FOLDER)
        else:
            sweep(_PREFIX, quota.remove)
            self.path, self._root = make_folder(_PREFIX)

    def put(self, name: str, data: bytes, offset: int = 0) -> None:
        """Write one file, making its folders; with an offset, the next piece of a file that ends there.

        Raises:
            ScratchError: The name leaves the folder or meets something that is no folder or file, or the quota is too
            small.
        """
        parts = _parts(name)
        if self.quota_bytes is not None and sum(self.sizes().values()) + len(data) > self.quota_bytes:
            raise ScratchError(
                "quota", f"{name!r} ({len(data)} bytes) does not fit into {int(self.quota_bytes)} bytes"
            )
        folder = self._open_folder(parts[:-1], make=True)
        try:
            how = os.O_APPEND if offset else os.O_CREAT | os.O_TRUNC
            file = os.open(parts[-1], os.O_WRONLY | how | _SAFELY, 0o644, dir_fd=folder)
            with os.fdopen(file, "wb") as stream:
                _require_regular(file, name)
                if offset and os.fstat(file).st_size != offset:
                    raise ScratchError("refused", f"{name!r} was changed while it was written")
                stream.write(data)
        except OSError as error:
            raise ScratchError("refused", f"{name!r} cannot be written: {error.strerror}") from error
        finally:
            os.close(folder)

    def get(self, name: str, limit_bytes: int) -> bytes:
        """Return the content of one regular file.

        Raises:
            ScratchError: There is no such regular file, or it is larger than `limit_bytes`.
        """
        data = self.get_part(name, 0, limit_bytes + 1)
        if len(data) > limit_bytes:
            raise ScratchError("refused", f"{name!r} is larger than {limit_bytes} bytes")
        return data

    def get_part(self, name: str, offset: int, size: int) -> bytes:
        """Return `size` bytes of one regular file from `offset` on; fewer at its end.

        Raises:
            ScratchError: There is no such regular file.
        """
        parts = _parts(name)
        folder = self._open_folder(parts[:-1], make=False)
        try:
            file = os.open(parts[-1], os.O_RDONLY | _SAFELY, dir_fd=folder)
            with os.fdopen(file, "rb") as stream:
                _require_regular(file, name)
                stream.seek(max(offset, 0))
                return stream.read(size)
        except OSError as error:
            raise ScratchError("not-found", f"{name!r}: no such regular file") from error
        finally:
            os.close(folder)

    def sizes(self) -> dict[str, int]:
        """Return relative name → size of each regular file, at most 10,000 of them and 4 Mi characters."""
        found: dict[str, int] = {}
        chars = 0
        for name, size in self._walk(self._root, "", _MAX_DEPTH):
            found[name] = size
            chars += len(name)
            if len(found) >= _MAX_FILES or chars >= _MAX_CHARS:
                break
        return found

    def clear(self) -> None:
        """Remove everything in the folder but the folders of branches."""
        for entry in os.listdir(self._root):
            if not entry.startswith(BRANCH_PREFIX):
                self._remove_entry(entry)

    def remove(self) -> None:
        """Remove the folder when it is ours; otherwise leave it as it is."""
        os.close(self._root)
        if self.is_ours:
            quota.remove(self.path)  # no depth of the guest's is too great for it

    def _remove_entry(self, entry: str) -> None:
        try:
            if stat.S_ISDIR(os.stat(entry, dir_fd=self._root, follow_symlinks=False).st_mode):
                # not a link: it was a folder, and its owner's processes are dead
                quota.open_up(entry, self._root)
                quota.remove(os.path.join(self.path, entry))
            else:
                os.unlink(entry, dir_fd=self._root)
        except OSError:
            pass

    def _walk(self, folder: int, prefix: str, depth: int) -> Iterator[tuple[str, int]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if folder == self._root and entry.name.startswith(BRANCH_PREFIX):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk_below(folder, entry.name, prefix, depth)
                elif entry.is_file(follow_symlinks=False):
                    yield _shown(prefix + entry.name), entry.stat(follow_symlinks=False).st_size

    def _walk_below(self, folder: int, name: str, prefix: str, depth: int) -> Iterator[tuple[str, int]]:
        if depth == 0:
            return
        try:
            below = os.open(name, _FOLDER, dir_fd=folder)
        except OSError:
            return
        try:
            yield from self._walk(below, f"{prefix}{name}/", depth - 1)
        finally:
            os.close(below)

    def _open_folder(self, parts: list[str], *, make: bool) -> int:
        folder = os.dup(self._root)
        for part in parts:
            try:
                below = self._step(folder, part, make=make)
            except OSError as error:
                raise ScratchError("refused" if make else "not-found", f"{part!r} is no folder") from error
            finally:
                os.close(folder)
            folder = below
        return folder

    def _step(self, folder: int, part: str, *, make: bool) -> int:
        if make:
            try:
                os.mkdir(part, dir_fd=folder)
            except FileExistsError:
                pass
        return os.open(
            part, _FOLDER, dir_fd=folder
        )  # SECURITY: O_NOFOLLOW: a link laid by the guest is refused


def _parts(name: str) -> list[str]:
    parts = name.split("/")
    bad = any(part in ("", ".", "..") or len(os.fsencode(part)) > 255 for part in parts)
    if bad or "\0" in name or len(parts) > _MAX_DEPTH:
        raise ScratchError("refused", f"not a plain relative path: {name!r}")
    return parts


def _require_regular(file: int, name: str) -> None:
    if not stat.S_ISREG(os.fstat(file).st_mode):
        raise ScratchError("refused", f"{name!r} is no regular file")


def _shown(name: str) -> str:
    return name.encode("utf-8", "replace").decode("utf-8")
