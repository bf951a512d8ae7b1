"""`mounts=` where no folder of this machine can be shown: what is in it is written into the scratch folder at the start."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from pinjra.core.access import Mount
from pinjra.core.errors import ConfigurationError
from pinjra.core.files import GivenFile, given_files
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport

UPLOADED = "uploaded at the start, never written back"


class UploadingExecutor(SessionExecutor):
    """A session far away, or without a way to this machine's files: its folders are copies."""

    ACCESS: ClassVar[Mapping[str, str]] = {**SessionExecutor.ACCESS, "mounts": UPLOADED}

    def _start(self, open_transport: Callable[[], Transport]) -> None:
        files = self._files()  # read, and refused, before anything is started
        super()._start(open_transport)
        self._upload(files)

    def reset(self) -> None:
        was_lost = self._connection.lost is not None
        super().reset()
        if not was_lost:
            self._upload(self._files())

    def _upload(self, files: tuple[GivenFile, ...]) -> None:
        try:
            for file in files:
                self.put_file(file.name, file.source)
        except BaseException:
            self._end()
            raise

    def _files(self) -> tuple[GivenFile, ...]:
        """Return what is to be uploaded."""
        found: dict[str, object] = {}
        for name, mount in self.access.mounts:
            if mount.volume:
                continue  # the backend shows it
            if mount.writable:
                instead = ', or Mount("persistentVolumeClaim:NAME", writable=True)' if self.VOLUMES else ""
                raise ConfigurationError(
                    f"mounts= for {name!r}: {type(self).__name__} uploads a copy, so nothing that is written there comes back; "
                    f'use get_file(), or executor_type="jail" or "docker"{instead}'
                )
            found.update(_regular_files(name, mount))
        return given_files(found, self.limits.disk_bytes, "mounts")


def _regular_files(name: str, mount: Mount) -> Iterator[tuple[str, Path]]:
    """Yield (name in the box, path) of every regular file; links are left out, since they may lead elsewhere."""
    if os.path.isfile(mount.path):
        yield name, Path(mount.path)
    for folder, _folders, names in os.walk(mount.path):
        below = os.path.relpath(folder, mount.path)
        for each in sorted(names):
            path = Path(folder, each)
            if path.is_file() and not path.is_symlink():
                yield "/".join(part for part in (name, *below.split(os.sep), each) if part != "."), path
