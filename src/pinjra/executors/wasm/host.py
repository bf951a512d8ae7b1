"""One instance of CPython for WASI in a process of its own: `python -m pinjra.executors.wasm.host`, started by `wasm_transport`.

The first line on stdin says what to do (see `Settings`); after it, stdin and stdout are the guest's. The guest sees the
worker and its library (read only), the scratch folder, the clocks and random numbers, and nothing else: WASI gives what is
handed over and has no calls for sockets, processes and signals. On Linux the process then takes every other right from
itself, so that an error in the engine meets Landlock and a system call filter.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pinjra.executors.wasm.engine import engine, on_deep_stack, starter

__all__ = ["DISK_STATUS", "STATUS", "TRAP_STATUS", "Settings", "first_line", "main"]

DISK_STATUS = 77  # exit status: the scratch folder holds more than its quota
TRAP_STATUS = 78  # exit status: the instance trapped (its stack, an abort)
STATUS = struct.Struct("<dQ")  # processor seconds, most resident bytes: what the host reads without asking
_TICK_SECONDS = 0.05
_IDLE_TICK_SECONDS = 0.25
_WORDS_BYTES = 2000  # of the guest's stderr, kept to say how it died

WORKER, SCRATCH = "/pinjra", "/scratch"  # as the guest sees them
_BOOT = "import sys; sys.path.insert(0, '{}/worker.zip'); from pinjra.worker.interpreter.single_process import main; main('{}')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one instance is.

    Args:
        module: The compiled module.
        options: Of Python's command line.
        worker: The folder with the worker's zip.
        library: Folders that are read, each with its path for the guest.
        python: The guest's version, told to the host.
        scratch: The folder for files.
        status: A file of `STATUS.size` bytes that this process keeps up to date.
        memory_bytes: Of linear memory; None: what the format allows (4 GiB).
        confine: Take rights from this process where the kernel can.
    """

    module: str
    options: tuple[str, ...]
    worker: str
    library: tuple[tuple[str, str], ...]
    python: str
    scratch: str
    status: str
    memory_bytes: int | None
    disk_bytes: int | None
    confine: bool = True


def main() -> NoReturn:
    """Run the instance that stdin describes, and end with it."""
    settings = Settings(**json.loads(first_line()))
    words = bytearray()
    start = prepare(settings, words)
    ticker = Ticker(settings)
    applied, missing = confine(settings) if settings.confine else ((), ("left out by the caller",))
    report = {"applied": applied, "missing": missing, "python": settings.python, "platform": "wasi"}
    os.write(1, json.dumps(report).encode() + b"\n")
    threading.Thread(target=ticker.run, daemon=True).start()
    status = on_deep_stack(start)
    if status and words:
        os.write(2, bytes(words[-_WORDS_BYTES:]))
    os._exit(status)


def first_line() -> bytes:
    """Return the first line of stdin, and read nothing behind it; ends this process when there is none."""
    line = b""
    while not line.endswith(b"\n"):  # byte by byte: what follows is the guest's
        byte = os.read(0, 1)
        if not byte:
            os._exit(0)
        line += byte
    return line


def prepare(settings: Settings, words: bytearray) -> Callable[[], int]:
    """Return a function that runs the instance to its end and returns an exit status.

    Args:
        words: Gets what the guest writes to its stderr.
    """
    import wasmtime

    shared = engine()
    module = wasmtime.Module.deserialize_file(shared, settings.module)
    run = starter(shared, module, _wasi(settings, words), settings.memory_bytes)

    def start() -> int:
        try:
            return run()
        except (wasmtime.Trap, wasmtime.WasmtimeError) as trap:
            words.extend(f"\n{trap}"[:_WORDS_BYTES].encode())
            return TRAP_STATUS

    return start


def _wasi(settings: Settings, words: bytearray) -> Any:
    import wasmtime

    def hear(data: bytes) -> None:
        words.extend(data)
        del words[:-_WORDS_BYTES]

    wasi = wasmtime.WasiConfig()
    wasi.argv = ["python", *settings.options, "-c", _BOOT.format(WORKER, SCRATCH)]
    wasi.env = [("PYTHONDONTWRITEBYTECODE", "1"), ("HOME", SCRATCH), ("TMPDIR", SCRATCH), ("PWD", SCRATCH)]
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.stderr_custom = hear
    wasi.preopen_dir(settings.worker, WORKER, False)  # SECURITY: not writable, it is shared by all sessions
    for folder, seen_as in settings.library:
        wasi.preopen_dir(folder, seen_as, False)
    wasi.preopen_dir(settings.scratch, SCRATCH, True)
    return wasi


def confine(settings: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Take from this process what the instance does not need; return what was applied and what not, with the reason."""
    if sys.platform != "linux":
        return (), (f"confinement of the engine's process: the jail is for Linux, this is {sys.platform}",)
    from pinjra.jail import profile
    from pinjra.jail.walls import landlock, seccomp
    from pinjra.jail.walls.syscalls import machine

    _limit(settings)
    applied, missing = [], []
    if landlock.abi() >= 3:
        readable = (settings.worker, *(folder for folder, _seen_as in settings.library))
        landlock.apply(readable, (settings.scratch,), profile.DEVICES, network=False)
        applied.append("landlock")
    else:
        missing.append(f"landlock: ABI {landlock.abi()}, 3 is needed")
    why = seccomp.is_supported()
    if not why:
        seccomp.apply(seccomp.assemble(seccomp.policy(private_view=True, network=False), machine()))
        applied.append("seccomp")
    else:
        missing.append(f"seccomp: {why}")
    return tuple(applied), tuple(missing)


def _limit(settings: Settings) -> None:
    import resource

    for which, value in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, settings.disk_bytes)):
        hard = resource.getrlimit(which)[1]
        if value is not None and (hard == resource.RLIM_INFINITY or value < hard):
            resource.setrlimit(which, (value, value))


class Ticker:
    """Looks at this process while the guest runs: how much it has used, whether its host and its quota are still there."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parent = os.getppid()
        with open(settings.status, "r+b") as file:
            self._status = mmap.mmap(file.fileno(), STATUS.size)

    def run(self) -> None:
        """Look until the process ends."""
        before = -1.0
        while True:
            used = time.process_time()
            is_busy = used - before > 0.002
            before = used
            if is_busy:
                self._status[:] = STATUS.pack(used, _resident_bytes())
                self._check_quota()
            if os.name == "posix" and os.getppid() != self._parent:
                os._exit(0)  # nobody listens any more
            time.sleep(_TICK_SECONDS if is_busy else _IDLE_TICK_SECONDS)

    def _check_quota(self) -> None:
        quota = self._settings.disk_bytes
        if quota is not None and _size(self._settings.scratch) > quota:
            os._exit(DISK_STATUS)


def _size(folder: str) -> int:
    total = 0
    for place, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(Path(place, name)).st_size
            except OSError:
                continue  # it was removed meanwhile
    return total


def _resident_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
