"""Records -> a file of JSON lines, and back as they come. A record's number is the byte at which the next one begins.

So a reader goes on where it stopped by seeking, also after the service was restarted, and nothing is kept in memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pinjra.core.errors import ConfigurationError

_TOGETHER = 512  # records that a reader is given before other work of the loop gets its turn


class RunLog:
    """The events of one run. Written from any thread, read on the event loop.

    Attributes:
        is_open: More may come: readers wait at the end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._readers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self.is_open = False

    def open(self) -> None:
        """Begin or go on; a record that a killed service left half written is cut off."""
        with self._path.open("ab+") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
        self.is_open = True

    def append(self, record: dict[str, Any]) -> None:
        """Write a record; it is on its way to the disk when this returns."""
        line = json.dumps(record, allow_nan=False).encode("ascii") + b"\n"
        with self._lock, self._path.open("ab", buffering=0) as file:
            file.write(line)
        self._wake()

    def close(self) -> None:
        """Let readers end when they have read everything."""
        self.is_open = False
        self._wake()

    def check(self, after: int) -> None:
        """Check that there is a record with that number.

        Raises:
            ConfigurationError: There is none (the client's fault).
        """
        with self._path.open("rb") as file:
            _seek(file, after)

    async def follow(self, after: int = 0) -> AsyncIterator[tuple[int, str]]:
        """Yield number and JSON of what comes after number `after`, as it comes; ends with the run. Raises as `check`."""
        reader = (asyncio.get_running_loop(), asyncio.Event())
        self._readers.add(reader)
        try:
            with self._path.open("rb") as file:
                _seek(file, after)
                while True:
                    reader[1].clear()
                    # asked before reading: what was written before the end is not missed
                    is_last = not self.is_open
                    for number, line in _lines(file):
                        yield number, line
                        if number % _TOGETHER == 0:
                            await asyncio.sleep(0)
                    if is_last:
                        return
                    await reader[1].wait()
        finally:
            self._readers.discard(reader)

    def _wake(self) -> None:
        for loop, event in list(self._readers):
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # that loop has ended, and its reader with it
                continue


def _seek(file: Any, after: int) -> None:
    if after == 0:
        return
    file.seek(0, os.SEEK_END)
    if not 0 < after <= file.tell():
        raise ConfigurationError(f"there is no event {after} in this run")
    file.seek(after - 1)
    if file.read(1) != b"\n":
        raise ConfigurationError(f"there is no event {after} in this run")


def _lines(file: Any) -> Any:
    while line := file.readline():
        if not line.endswith(b"\n"):  # its writer is not done
            file.seek(-len(line), os.SEEK_CUR)
            return
        yield file.tell(), line[:-1].decode("ascii")
