"""This package's own files -> one zip that any Python ≥ 3.10 runs as a worker, with nothing installed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

_LAYERS = ("core", "guard", "wire", "jail", "worker", "snippets")
# The same files give the same bytes, so that a box can keep the zip by its digest.
_DATE = (2020, 1, 1, 0, 0, 0)
_INIT = '"""Runs guest code: the part of Pinjra that goes into the box."""\n'
_MAIN = "from pinjra.worker.__main__ import main\n\nmain()\n"


@cache
def worker_zip(main: bytes = b"") -> bytes:
    """Return the worker as a zip: `core`, `guard`, `wire`, `jail`, `worker` and `snippets`, importable as `pinjra`, and runnable.

    Args:
        main: Source of `pinjra.worker.__main__` instead of the worker's own (another worker, to test the host).
    """
    files = {"__main__.py": _MAIN.encode(), "pinjra/__init__.py": _INIT.encode()}
    root = resources.files("pinjra")
    for layer in _LAYERS:
        files.update(_files(root / layer, f"pinjra/{layer}"))
    if main:
        files["pinjra/worker/__main__.py"] = main
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return packed.getvalue()


def _files(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name in the zip, content) of the sources and data below `folder`."""
    for entry in folder.iterdir():
        path = f"{name}/{entry.name}"
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _files(entry, path)
        elif not entry.name.endswith((".pyc", ".pyi")):
            yield path, entry.read_bytes()
