"""Parts and limits -> how an instance of Pyodide under Deno is started, and how its process is watched."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from pinjra.core.limits import Limits
from pinjra.executors.wasm.deno import FLAGS, SCRIPTS, DenoParts
from pinjra.executors.wasm.process import Launch

__all__ = ["HEAP_BYTES", "deno_command", "deno_launcher"]

HEAP_BYTES = 256 << 20  # of JavaScript objects; Pyodide itself needs some 30 MB
STACK_KIB = 3000  # of V8: three times its default, so that deep recursion in C goes on for longer; Deno gives threads 4 MiB
_PAGE_BYTES = 65536  # of WebAssembly
_MOST_PAGES = 65536  # that WebAssembly has
_ROOM_BYTES = 64 << 20  # for code that the engine compiles while the guest works
# Denied from the start what is never needed; reading is given up by the scripts once Pyodide is loaded.
_DENIED = (
    "--deny-write",
    "--deny-net",
    "--deny-env",
    "--deny-run",
    "--deny-sys",
    "--deny-ffi",
    "--deny-import",
)
_COMMAND = (sys.executable, "-I", "-u", "-m", "pinjra.executors.wasm.deno_host")


class _Process:
    """A process of Linux, seen in /proc; elsewhere nothing is known of it."""

    def __init__(self, memory_bytes: int | None) -> None:
        self._memory_bytes = memory_bytes

    def used(self, pid: int) -> tuple[float, int]:
        """Return processor seconds and most resident bytes."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), self._field(pid, "VmHWM")
        except (OSError, IndexError, ValueError):
            return 0.0, 0

    def settle(self, pid: int) -> None:
        """Bound what it may have besides what it takes to be up. The engine reserves much that it never uses."""
        if self._memory_bytes is None or sys.platform != "linux":
            return
        import resource

        try:
            most = self._field(pid, "VmData") + self._memory_bytes + _ROOM_BYTES
            resource.prlimit(pid, resource.RLIMIT_DATA, (most, most))
        except (OSError, ValueError):
            return  # it is gone; who reads its stream hears of it

    def close(self) -> None:
        """Do nothing."""

    @staticmethod
    def _field(pid: int, name: str) -> int:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) * 1024
        raise ValueError(name)


def deno_command(parts: DenoParts, limits: Limits) -> tuple[str, ...]:
    """Return the command that runs Pyodide; it speaks on its stdin and stdout."""
    flags = [f"--max-old-space-size={HEAP_BYTES >> 20}", f"--stack-size={STACK_KIB}"]
    if limits.memory_bytes is not None:
        flags.append(f"--wasm-max-mem-pages={min(_MOST_PAGES, limits.memory_bytes // _PAGE_BYTES)}")
    return (
        *(str(parts.deno), "run", *FLAGS, *_DENIED),
        f"--allow-read={parts.pyodide},{SCRIPTS},{parts.made}",
        f"--v8-flags={','.join(flags)}",
        *(str(SCRIPTS / "main.mjs"), json.dumps(parts.settings)),
    )


def deno_launcher(parts: DenoParts, limits: Limits, *, confine: bool) -> Callable[[Path, int], Launch]:
    """Return what says how the instance of a number is started."""
    command = deno_command(parts, limits)
    environment = {"NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"}
    known = {"python": parts.python, "platform": "emscripten"}
    why = (
        "left out by the caller" if not confine else f"confinement of Deno's process: this is {sys.platform}"
    )
    told = json.dumps({**known, "applied": [], "missing": [why]}).encode() + b"\n"

    def launch(folder: Path, number: int) -> Launch:
        # SECURITY: a file, so that no folder for caches can be made: storage of the web needs no permission.
        blocked = folder / "no-cache"
        blocked.touch()
        variables = {**environment, "DENO_DIR": str(blocked / "deno")}
        meter = _Process(limits.memory_bytes)
        if not confine or sys.platform != "linux":
            return Launch(command=command, meter=meter, report=told, folder=folder, environment=variables)
        readable = [str(path) for path in (parts.pyodide, SCRIPTS, parts.made)]
        settings = {**known, "command": command, "readable": readable, "environment": variables}
        return Launch(
            command=_COMMAND, meter=meter, stdin=json.dumps(settings).encode() + b"\n", folder=folder
        )

    return launch
