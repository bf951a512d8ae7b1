"""Parts and limits -> how an instance of CPython for WASI is started."""

from __future__ import annotations

import json
import mmap
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pinjra.core.limits import Limits
from pinjra.executors.wasm.host import STATUS, Settings
from pinjra.executors.wasm.parts import Parts
from pinjra.executors.wasm.process import Launch

__all__ = ["wasmtime_launcher"]

_COMMAND = (sys.executable, "-I", "-u", "-m", "pinjra.executors.wasm.host")


class _Status:
    """What the process writes about itself, every 50 ms."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(STATUS.size))
        with open(path, "rb") as file:
            self._status = mmap.mmap(file.fileno(), STATUS.size, access=mmap.ACCESS_READ)

    def used(self, pid: int) -> tuple[float, int]:
        """Return processor seconds and most resident bytes, as of the last look."""
        seconds, peak = STATUS.unpack(self._status[:])
        return float(seconds), int(peak)

    def settle(self, pid: int) -> None:
        """Do nothing: every limit is set from the start."""

    def close(self) -> None:
        """Unmap the file."""
        self._status.close()


def wasmtime_launcher(parts: Parts, limits: Limits, *, confine: bool) -> Callable[[Path, int], Launch]:
    """Return what says how the instance of a number is started in a session's folder."""

    def launch(folder: Path, number: int) -> Launch:
        status = folder / f"status{number}"
        settings = Settings(
            module=str(parts.module),
            options=parts.options,
            worker=str(parts.worker),
            library=parts.library,
            python=parts.python,
            scratch=str(folder / "scratch"),
            status=str(status),
            memory_bytes=limits.memory_bytes,
            disk_bytes=limits.disk_bytes,
            confine=confine,
        )
        first = json.dumps(asdict(settings)).encode() + b"\n"
        return Launch(command=_COMMAND, stdin=first, meter=_Status(status), folder=folder)

    return launch
