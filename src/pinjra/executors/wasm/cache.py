"""The installed packages -> what an instance is started from: the compiled module and the worker's zip, both kept in a cache.

Compiling takes 8 seconds of processor time (two minutes for the build with numpy), once for each engine and runtime; loading
the result takes a millisecond. The cache is a folder of the user's own. Files are written beside their place and renamed, so
that two processes that prepare at once do not meet.

SECURITY: a compiled module is machine code that is run as it is. The folder must not be writable for others.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pinjra.core import cache_folder as core
from pinjra.core.errors import ExecutorUnavailable, StartupFailed
from pinjra.executors.bootstrap.worker_zip import worker_zip
from pinjra.executors.wasm.child import Settings, command, environment
from pinjra.executors.wasm.wasmtime import Runtime, find_runtime

# For each second that it takes on an idle machine; 8 times as long was seen on a busy one.
COMPILE_SECONDS = 60
UNUSED_SECONDS = 7 * 86400
_log = logging.getLogger("pinjra.wasm")


def cache_folder() -> Path:
    """Return the user's cache folder for compiled modules; not created."""
    return core.cache_folder() / "wasm"


@cache
def parts(name: str = "python", folder: Path | None = None) -> Settings:
    """Return what instances are started from, made and kept when it is not in the cache yet.

    Args:
        name: Of the runtime.
        folder: The cache; None for the user's.

    Raises:
        ConfigurationError: There is no runtime of this name.
        MissingDependency: The engine or the runtime is not installed.
        ExecutorUnavailable: The cache belongs to, or is open to, somebody else.
        StartupFailed: They could not be made.
    """
    runtime = find_runtime(name)
    place = own(cache_folder() if folder is None else folder)
    module = kept(_module_file(runtime, place), partial(_compile, runtime))
    library = _library(runtime, place)
    digest = hashlib.sha256(worker_zip() + runtime.sha256.encode()).hexdigest()[:16]
    worker = kept(place / f"worker-{digest}", partial(_make_byte_code, runtime, module, library))
    return Settings(module=str(module), options=runtime.options, worker=str(worker), library=library)


def _module_file(runtime: Runtime, place: Path) -> Path:
    try:
        engine = version("wasmtime")
    except PackageNotFoundError:
        engine = "unknown"
    machine = f"{sys.platform}-{platform.machine()}"
    return place / f"{runtime.sha256[:16]}-wasmtime{engine}-{machine}.cwasm"


def own(folder: Path) -> Path:
    """Return the cache, made if need be, when it is this user's own.

    Raises:
        ExecutorUnavailable: It belongs to, or is open to, somebody else.
        ConfigurationError: It cannot be made (the operator's fault).
    """
    core.made(folder, mode=0o700)
    if os.name == "posix":
        found = folder.stat()
        # SECURITY: whoever can write here runs machine code as this user.
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise ExecutorUnavailable(
                f"executor wasm keeps machine code in {folder}, which other users can write to: chmod 700 it, or set "
                "XDG_CACHE_HOME"
            )
    return folder


def kept(target: Path, make: Callable[[Path], object]) -> Path:
    """Return a file or folder of the cache, marked as used now; one that is not there yet is made.

    Args:
        make: Makes it, at a path beside which there is room for other things of the moment.
    """
    if not target.exists():
        sweep(target.parent)
        with tempfile.TemporaryDirectory(prefix="prepare-", dir=target.parent) as folder:
            made = Path(folder) / "made"
            make(made)
            try:
                os.rename(made, target)
            except OSError:
                if not target.exists():  # no other process was faster
                    raise
    with suppress(OSError):  # it is swept earlier, and made again
        os.utime(target)
    return target


def sweep(place: Path) -> None:
    """Remove what was made for versions of the worker that no session has started with for a week."""
    oldest = time.time() - UNUSED_SECONDS
    for folder in (*place.glob("worker-*"), *place.glob("pyodide-*")):
        try:
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # another process swept it


def _library(runtime: Runtime, place: Path) -> tuple[tuple[str, str], ...]:
    """Return the folders of a runtime's library, each with its path for the guest."""
    if runtime.library is None:
        return ()
    make = partial(_unpack, runtime.library, runtime.library_sha256, runtime.library_name)
    target = kept(place / f"library-{runtime.library_sha256[:16]}", make)
    seen = f"/usr/local/lib/{runtime.library_name}/matplotlib/mpl-data"
    return (str(target / "lib"), "/usr/local/lib"), (str(target / "0"), seen)


def _unpack(library: Path, sha256: str, name: str, made: Path) -> None:
    data = library.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StartupFailed(f"{library} is not what its package says it is (SHA-256); reinstall it")
    (made / "lib").mkdir(parents=True)
    (made / "lib" / name).write_bytes(data)
    with zipfile.ZipFile(library) as files:
        inner = io.BytesIO(files.read("matplotlib/mpl-data.zip"))  # what is opened from it must lie unpacked
    with zipfile.ZipFile(inner) as found:
        found.extractall(made / "0")


def run_to_end(
    command: Sequence[str], seconds: float, what: str, stdin: bytes = b"", **variables: str
) -> None:
    """Run what makes parts of sessions.

    Raises:
        StartupFailed: It failed, or took longer; the end of what it said is in the message.
    """
    try:
        done = subprocess.run(  # noqa: S603  (our own commands, no shell)
            command,
            input=stdin,
            capture_output=True,
            timeout=seconds,
            env=environment(**variables),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StartupFailed(f"{what} took more than {seconds} s") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace")[-1000:]
        raise StartupFailed(f"{what} failed: {said}")


# In processes of their own, which have the compiler's memory and threads.


def _compile(runtime: Runtime, made: Path) -> None:
    seconds = f"about {runtime.compile_seconds} s of processor time"
    _log.warning(
        "compiling %s for WebAssembly, once: %s, kept in %s", runtime.package, seconds, made.parents[1]
    )
    wanted = {"wasm": str(runtime.file), "sha256": runtime.sha256, "made": str(made)}
    _run_child("compile", runtime, wanted)


def _make_byte_code(runtime: Runtime, module: Path, library: Sequence[object], made: Path) -> None:
    made.mkdir()
    sources = made.with_name("sources")
    sources.mkdir()
    (sources / "worker.zip").write_bytes(worker_zip())
    wanted = {"module": str(module), "options": runtime.options, "library": library}
    _run_child("byte-code", runtime, {**wanted, "sources": str(sources), "made": str(made)})


def _run_child(kind: str, runtime: Runtime, wanted: Mapping[str, object]) -> None:
    seconds, stdin = COMPILE_SECONDS * runtime.compile_seconds, json.dumps(wanted).encode()
    run_to_end(command(kind), seconds, "compiling CPython for WebAssembly", stdin)
