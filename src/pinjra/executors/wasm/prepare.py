"""A WASI Python and the worker's sources -> machine code and byte code. `python -m pinjra.executors.wasm.prepare`, once a cache.

The byte code is made by the guest's own Python, in an instance that sees the sources and the folder for the result: it
must be of that Python's version, and parsing the worker's sources in every session would take longer than the rest of its start.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from pinjra.executors.wasm.engine import engine, on_deep_stack, starter

__all__ = ["main"]

# Byte code without a check of the source (PEP 552): the zip's name changes with the sources.
_BYTE_CODE = """
import zipfile, importlib._bootstrap_external as imports
sources, made = zipfile.ZipFile("/sources/worker.zip"), zipfile.ZipFile("/worker/worker.zip", "w")
for name in sources.namelist():
    data = sources.read(name)
    if name.endswith(".py"):
        code = compile(data, "/pinjra/" + name, "exec", dont_inherit=True)
        name, data = name + "c", imports._code_to_hash_pyc(code, bytes(8), False)
    made.writestr(name, data)
made.close()
"""


def main() -> None:
    """Make what stdin asks for; anything that goes wrong is said on stderr."""
    wanted = json.loads(sys.stdin.read())
    folder, module = Path(wanted["folder"]), Path(wanted["module"])
    if not module.is_file():
        module = folder / "module.cwasm"
        _compile(Path(wanted["wasm"]), wanted["sha256"], module)
    status = on_deep_stack(lambda: _make_byte_code(module, folder, wanted["options"], wanted["library"]))
    sys.exit(status)


def _compile(source: Path, sha256: str, target: Path) -> None:
    import wasmtime

    code = source.read_bytes()
    if hashlib.sha256(code).hexdigest() != sha256:
        sys.exit(f"{source} is not what its package says it is (SHA-256); reinstall it")
    target.write_bytes(wasmtime.Module(engine(), code).serialize())


def _make_byte_code(module: Path, folder: Path, options: list[str], library: list[list[str]]) -> int:
    import wasmtime

    shared = engine()
    wasi = wasmtime.WasiConfig()
    wasi.argv = ["python", *options, "-c", _BYTE_CODE]
    wasi.inherit_stderr()
    wasi.preopen_dir(str(folder / "sources"), "/sources", False)
    wasi.preopen_dir(str(folder / "worker"), "/worker", True)
    for place, seen_as in library:
        wasi.preopen_dir(place, seen_as, False)
    return starter(shared, wasmtime.Module.deserialize_file(shared, str(module)), wasi)()


if __name__ == "__main__":
    main()
