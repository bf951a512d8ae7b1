"""Files that go into a box, checked before anything is sent."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pinjra.core.errors import ConfigurationError
from pinjra.core.file_names import check_file_name

GivenFiles = Sequence[str | os.PathLike[str] | Mapping[str, object]] | Mapping[str, object]
"""Paths of this machine, and dicts of name → bytes or path."""


class Readable(Protocol):
    """What is open for reading: a file, a pipe."""

    def read(self, size: int, /) -> bytes | str:
        """Return at most so much; nothing at the end."""
        ...


GivenInput = str | bytes | Readable
"""A standard input; text as UTF-8."""
_HEAD_BYTES, _HEAD_LINES, _HEAD_CHARS = 4096, 5, 200  # of a text file, for a prompt
_DESCRIBED = 50  # files in a prompt
_TEXTS = {".csv", ".tsv", ".txt", ".md", ".json", ".jsonl", ".xml", ".html", ".yaml", ".yml", ".log", ".py", ".sql"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenFile:
    """A file for a box: its name there, and its bytes or where they are."""

    name: str
    size: int
    source: bytes | Path = field(repr=False)

    def read(self) -> bytes:
        """Return its bytes."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    def pieces(self, most_bytes: int) -> Iterator[bytes]:
        """Yield its bytes, at most so many at a time; one empty piece for an empty file."""
        if isinstance(self.source, bytes):
            for start in range(0, max(len(self.source), 1), most_bytes):
                yield self.source[start : start + most_bytes]
            return
        with self.source.open("rb") as file:
            yield file.read(most_bytes)
            while piece := file.read(most_bytes):
                yield piece

    def head(self) -> list[str]:
        """Return the first lines of a text or table; none of anything else."""
        if not is_text(self.name):
            return []
        start = next(iter(self.pieces(_HEAD_BYTES)))
        lines = start.decode("utf-8", "replace").splitlines()
        return [line[:_HEAD_CHARS] for line in lines[:_HEAD_LINES]]


def is_text(name: str) -> bool:
    """Return whether a file's first lines can be told, by its name."""
    return Path(name).suffix.lower() in _TEXTS


def given_files(
    files: GivenFiles | None, quota_bytes: float | None, what: str = "files"
) -> tuple[GivenFile, ...]:
    """Return what `files=` names.

    Args:
        what: The parameter's name, for an error.

    Raises:
        ConfigurationError: A name is bad or given twice, a file is not there, or all are more than the quota (the
            caller's fault).
    """
    found: dict[str, GivenFile] = {}
    for name, content in _pairs(files):
        if check_file_name(name) in found:
            raise ConfigurationError(f"files: {name!r} is given twice; say {{'another name': path}} for one")
        found[name] = given_file(name, content)
    total = sum(file.size for file in found.values())
    if quota_bytes is not None and total > quota_bytes:
        raise ConfigurationError(
            f"{what}: {total} bytes are more than Limits.disk_bytes ({int(quota_bytes)})"
        )
    return tuple(found.values())


def _pairs(files: object) -> Iterator[tuple[str, object]]:
    if files is None:
        return
    if isinstance(files, (str, os.PathLike, bytes)) or not isinstance(files, Iterable):
        raise ConfigurationError(f'files is a list, such as ["a.csv", {{"b.txt": b"…"}}], not {files!r:.100}')
    for item in [files] if isinstance(files, Mapping) else files:
        if isinstance(item, Mapping):
            yield from ((str(name), content) for name, content in item.items())
        elif isinstance(item, (str, os.PathLike)):
            yield Path(item).name, Path(item)
        else:
            raise ConfigurationError(f"files: a path or a dict of name and bytes, not {type(item).__name__}")


def given_file(name: str, content: object) -> GivenFile:
    """Return a file that is given as bytes or as a path.

    Raises:
        ConfigurationError: It is neither, or there is no such file (the caller's fault).
    """
    if isinstance(content, (bytes, bytearray, memoryview)):
        return GivenFile(name=name, size=len(bytes(content)), source=bytes(content))
    if isinstance(content, os.PathLike):
        path = Path(content)
        if not path.is_file():
            raise ConfigurationError(f"files: there is no file {str(path)!r}")
        return GivenFile(name=name, size=path.stat().st_size, source=path)
    raise ConfigurationError(f"files: {name!r} is bytes or a Path, not {type(content).__name__}")


def describe_files(files: Iterable[GivenFile]) -> str:
    """Return the words about files for a prompt: names, sizes and the first lines of texts; "" without files."""
    given = list(files)
    if not given:
        return ""
    lines = ["", "These files are in the working folder, open them by these names:"]
    for file in given[:_DESCRIBED]:
        lines.append(f"- {file.name} ({file.size} bytes)")
        lines += [f"    {line}" for line in file.head()]
    if len(given) > _DESCRIBED:
        lines.append(f"- and {len(given) - _DESCRIBED} more")
    return "\n".join(lines)
