"""Deno and Pyodide, where they are installed -> what a session starts from: their files and a snapshot, kept in the cache.

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
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pinjra.core.errors import MissingDependency, StartupFailed
from pinjra.executors.bootstrap.worker_zip import worker_zip
from pinjra.executors.wasm.parts import cache_folder, mark_used, own, sweep

__all__ = ["FLAGS", "SCRIPTS", "DenoParts", "deno_parts", "find_deno", "find_pyodide"]

SCRIPTS = Path(__file__).parent / "pyodide"
FLAGS = (
    "--no-remote",
    "--no-prompt",
    "--no-npm",
    "--no-config",
    "--no-lock",
    "--no-code-cache",
    "--cached-only",
)
VERSION = "314.0.7"  # that the tests run
_FILES = (
    "package.json",
    "pyodide.mjs",
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "pyodide-lock.json",
    "python_stdlib.zip",
)
_SNAPSHOT_SECONDS = 300  # 6 on an idle machine
_log = logging.getLogger("pinjra.wasm")


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoParts:
    """What every session shares.

    Args:
        pyodide: The folder of the package.
        made: The folder with `worker.zip`, `snapshot` and `about.json`.
        python: The guest's version.
    """

    deno: Path
    pyodide: Path
    made: Path
    python: str

    @property
    def settings(self) -> dict[str, str]:
        """What the scripts are told."""
        return _settings(self.pyodide, self.made)


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
    if all((place / name).is_file() for name in _FILES):
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
    packed = worker_zip()
    digest = hashlib.sha256(packed)
    found = deno.stat()
    digest.update(f"{found.st_size} {found.st_mtime_ns}".encode())
    for path in (*(package / name for name in _FILES), *sorted(SCRIPTS.glob("*.mjs"))):
        digest.update(path.read_bytes())
    made = place / f"pyodide-{digest.hexdigest()[:16]}"
    if not made.is_dir():
        _log.warning("starting Pyodide once for a snapshot of it: 6 s of processor time, kept in %s", place)
        sweep(place)
        _make(deno, package, made, packed)
    mark_used(made)
    about = json.loads((made / "about.json").read_text())
    return DenoParts(deno=deno, pyodide=package, made=made, python=str(about["python"]))


def _settings(pyodide: Path, made: Path) -> dict[str, str]:
    return {
        "pyodide": pyodide.as_uri() + "/",
        "zip": str(made / "worker.zip"),
        "snapshot": str(made / "snapshot"),
        "about": str(made / "about.json"),
    }


def _make(deno: Path, package: Path, target: Path, packed: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="prepare-", dir=target.parent) as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        (made / "worker.zip").write_bytes(packed)
        command = [
            *(str(deno), "run", *FLAGS),
            f"--allow-read={package},{SCRIPTS},{made}",
            f"--allow-write={made}",
            *(str(SCRIPTS / "snapshot.mjs"), json.dumps(_settings(package, made))),
        ]
        environment = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
        environment["DENO_DIR"] = str(Path(temporary) / "deno")
        try:
            done = subprocess.run(  # noqa: S603  (a fixed command)
                command, capture_output=True, timeout=_SNAPSHOT_SECONDS, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            raise StartupFailed(f"Pyodide took more than {_SNAPSHOT_SECONDS} s to start") from None
        if done.returncode or not (made / "about.json").is_file():
            said = done.stderr.decode("utf-8", "replace")[-1000:]
            raise StartupFailed(f"Pyodide {package} does not start under {deno}: {said}")
        try:
            os.rename(made, target)
        except OSError:
            if not target.is_dir():  # another process was faster: its folder is as good
                raise
