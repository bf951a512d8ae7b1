"""Files of a box as objects that are read when asked for, and a guest's names made safe on this machine."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]' if sys.platform == "win32" else r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFile:
    """A file that guest code wrote.

    Args:
        name: Relative to the scratch folder; the guest's choice.
        size: In bytes, when the run ended.
        pieces: Returns its bytes piece by piece, as they are now: until the session is closed or empties its folder.
    """

    name: str
    size: int
    pieces: Callable[[], Iterable[bytes]] = field(repr=False)

    def read(self) -> bytes:
        """Return all of its bytes."""
        return b"".join(self.pieces())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to `path`; below it, by its own name, where that is a folder or ends with "/". Return where it is."""
        is_folder = os.path.isdir(path) or os.fspath(path).endswith(("/", os.sep))
        return write_file(path, self.name, self.pieces()) if is_folder else _write(Path(path), self.pieces())

    def kept(self) -> GuestFile:
        """Return the file with its bytes read: it lives on without its session."""
        return _kept(self.name, self.read())

    def __reduce__(self) -> tuple[Callable[[str, bytes], GuestFile], tuple[str, bytes]]:
        return _kept, (self.name, self.read())  # a copy has the bytes: the session stays where it is


def _kept(name: str, data: bytes) -> GuestFile:
    return GuestFile(name=name, size=len(data), pieces=lambda: (data,))


def save_all(files: Mapping[str, GuestFile], folder: str | os.PathLike[str]) -> list[Path]:
    """Write files into a folder by their names; return where they are."""
    return [write_file(folder, file.name, file.pieces()) for file in files.values()]


def write_file(folder: str | os.PathLike[str], name: str, data: bytes | Iterable[bytes]) -> Path:
    """Write below `folder` under a guest's name, made safe. Return where.

    Raises:
        OSError: A link, or something that is no folder, is in the way (the caller's fault).
    """
    parts = [_UNSAFE.sub("_", part) for part in PurePosixPath(name).parts]
    # SECURITY: the guest chose the name; nothing of it may lead out of the folder.
    parts = [part for part in parts if part not in ("", ".", "..", "/", "//")] or ["file"]
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for part in parts[:-1]:
        place /= part
        with suppress(FileExistsError):
            place.mkdir()
        if place.is_symlink() or not place.is_dir():
            raise NotADirectoryError(f"{str(place)!r} is a link or no folder: nothing is written there")
    return _write(place / parts[-1], data)


def _write(path: Path, data: bytes | Iterable[bytes]) -> Path:
    # SECURITY: a link that lies there already is not followed.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as stream:
        stream.writelines((data,) if isinstance(data, bytes) else data)
    return path
