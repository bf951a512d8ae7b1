"""Deno and Pyodide, where they are installed -> what a session starts from, kept in the cache, and how an instance is started.

Pyodide runs under Deno and nowhere else: under Node.js guest code reaches the machine's files, environment and processes through
JavaScript (`import js`), and Node.js has no permissions that Pyodide starts under. Deno has, and gives them up for ever.

A snapshot is the memory of a Pyodide that is up and has imported the worker; a session that starts from it takes a tenth of
the time. It is made once for each version of the three.

SECURITY: a snapshot is code that is run as it is, though behind Deno's walls. The cache must not be writable for others.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

from pinjra.core.errors import MissingDependency
from pinjra.core.limits import Limits
from pinjra.core.processes import stat_fields
from pinjra.executors.bootstrap.worker_zip import worker_zip
from pinjra.executors.wasm.cache import cache_folder, kept, own, run_to_end
from pinjra.executors.wasm.child import command
from pinjra.executors.wasm.instance import Launch

SCRIPTS = Path(__file__).parent / "pyodide"
FLAGS = "--no-remote --no-prompt --no-npm --no-config --no-lock --no-code-cache --cached-only"
VERSION = "314.0.7"  # that the tests run
_FILES = "package.json pyodide.mjs pyodide.asm.mjs pyodide.asm.wasm pyodide-lock.json python_stdlib.zip"
_SNAPSHOT_SECONDS = 300  # 6 on an idle machine
HEAP_BYTES = 256 << 20  # of JavaScript objects; Pyodide itself needs some 30 MB
STACK_KIB = 3000  # of V8: three times its default, so that deep recursion in C goes on for longer; Deno gives threads 4 MiB
_PAGE_BYTES = 65536  # of WebAssembly
_MOST_PAGES = 65536  # that WebAssembly has
_ROOM_BYTES = 64 << 20  # for code that the engine compiles while the guest works
# Denied from the start what is never needed; reading is given up by the scripts once Pyodide is loaded.
_DENIED = "--deny-write --deny-net --deny-env --deny-run --deny-sys --deny-ffi --deny-import"
_log = logging.getLogger("pinjra.wasm")


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoParts:
    """What every session shares.

    Args:
        pyodide: The folder of the package.
        made: The folder with `worker.zip` and `snapshot`.
    """

    deno: Path
    pyodide: Path
    made: Path


def find_deno() -> Path:
    """Return Deno's binary: the one of the Python package, else the one on PATH.

    Raises:
        MissingDependency: There is none. Node.js is no substitute.
    """
    name = "deno.exe" if sys.platform == "win32" else "deno"
    places = [Path(sys.executable).parent / name]
    spec = find_spec("deno")
    if spec is not None and spec.origin is not None:  # pip install --target puts it beside
        places.append(Path(spec.origin).parents[1] / "bin" / name)
    on_path = shutil.which("deno")
    places += [Path(on_path)] if on_path else []
    for place in places:
        if place.is_file():
            return place
    what = "Deno"
    if shutil.which("node"):
        what = (
            "Node.js is no boundary for guest code, it reaches this machine's files through JavaScript; Deno"
        )
    raise MissingDependency(what, "pip install 'pinjra[pyodide]'")


def find_pyodide(folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the npm package `pyodide`: the one given, that of $PINJRA_PYODIDE, or the one in the cache.

    Raises:
        MissingDependency: It is not there.
    """
    cached = cache_folder() / "node_modules" / "pyodide"
    place = Path(folder or os.environ.get("PINJRA_PYODIDE") or cached).absolute()
    if all((place / name).is_file() for name in _FILES.split()):
        return place
    install = f"npm install --ignore-scripts --prefix {cache_folder()} pyodide@{VERSION}"
    raise MissingDependency(f"Pyodide ({place})", f"{install} (or say where it is: pyodide=…)")


@cache
def deno_parts(pyodide: str | None = None) -> DenoParts:
    """Return what sessions start from, made and kept when it is not in the cache yet.

    Args:
        pyodide: The folder of the npm package; None: see `find_pyodide`.

    Raises:
        MissingDependency: Deno or Pyodide is not installed.
        ExecutorUnavailable: The cache belongs to, or is open to, somebody else.
        StartupFailed: The snapshot could not be made.
    """
    deno, package = find_deno(), find_pyodide(pyodide)
    place = own(cache_folder())
    digest = hashlib.sha256(worker_zip())
    found = deno.stat()
    digest.update(f"{found.st_size} {found.st_mtime_ns}".encode())
    for path in (*(package / name for name in _FILES.split()), *sorted(SCRIPTS.glob("*.mjs"))):
        digest.update(path.read_bytes())
    made = kept(place / f"pyodide-{digest.hexdigest()[:16]}", partial(_make_snapshot, deno, package))
    return DenoParts(deno=deno, pyodide=package, made=made)


def _settings(pyodide: Path, made: Path) -> dict[str, str]:
    return {
        "pyodide": pyodide.as_uri() + "/",
        "zip": str(made / "worker.zip"),
        "snapshot": str(made / "snapshot"),
    }


def _make_snapshot(deno: Path, package: Path, made: Path) -> None:
    _log.warning(
        "starting Pyodide once for a snapshot of it: 6 s of processor time, kept in %s", made.parents[1]
    )
    made.mkdir()
    (made / "worker.zip").write_bytes(worker_zip())
    making = [
        *(str(deno), "run", *FLAGS.split()),
        f"--allow-read={package},{SCRIPTS},{made}",
        f"--allow-write={made}",
        *(str(SCRIPTS / "snapshot.mjs"), json.dumps(_settings(package, made))),
    ]
    what = f"starting Pyodide {package} under {deno}"
    run_to_end(making, _SNAPSHOT_SECONDS, what, DENO_DIR=str(made.with_name("deno")))


# ---------------------------------------------------------------- an instance


def _used(pid: int) -> tuple[float, int]:
    """Return processor seconds and most resident bytes of a process of Linux; elsewhere nothing is known of it."""
    try:
        fields = stat_fields(pid)
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), _field(pid, "VmHWM")
    except (OSError, IndexError, ValueError):
        return 0.0, 0


def _set_limits(memory_bytes: int | None, pid: int) -> None:
    """Bound what a process may have besides what it takes to be up. The engine reserves much that it never uses."""
    if memory_bytes is None or sys.platform != "linux":
        return
    import resource

    try:
        most = _field(pid, "VmData") + memory_bytes + _ROOM_BYTES
        resource.prlimit(pid, resource.RLIMIT_DATA, (most, most))
    except (OSError, ValueError):
        return  # it is gone; who reads its stream hears of it


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
        *(str(parts.deno), "run", *FLAGS.split(), *_DENIED.split()),
        f"--allow-read={parts.pyodide},{SCRIPTS},{parts.made}",
        f"--v8-flags={','.join(flags)}",
        *(str(SCRIPTS / "main.mjs"), json.dumps(_settings(parts.pyodide, parts.made))),
    )


def deno_launcher(parts: DenoParts, limits: Limits, *, confine: bool) -> Callable[[Path, int], Launch]:
    """Return what says how the instance of a number is started."""
    deno = deno_command(parts, limits)
    why = "left out on purpose" if not confine else f"confinement of Deno's process: this is {sys.platform}"
    report = json.dumps({"applied": [], "missing": [why]}).encode() + b"\n"

    def launch(folder: Path, number: int) -> Launch:
        # SECURITY: a file, so that no folder for caches can be made: storage of the web needs no permission.
        blocked = folder / "no-cache"
        blocked.touch()
        variables = {"NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1", "DENO_DIR": str(blocked / "deno")}
        plain = Launch(
            command=deno,
            folder=folder,
            used=_used,
            set_limits=partial(_set_limits, limits.memory_bytes),
            report=report,
            environment=variables,
        )
        if not confine or sys.platform != "linux":
            return plain
        readable = [str(path) for path in (parts.pyodide, SCRIPTS, parts.made)]
        settings = {"command": deno, "readable": readable, "environment": variables}
        first = json.dumps(settings).encode() + b"\n"
        return replace(plain, command=command("deno"), stdin=first, report=b"", environment={})

    return launch
