"""Wheels that need what is at an address and is no wheel: a folder, an archive. Who builds it writes MARK.

python wheels_that_would_be_built.py FOLDER MARK
"""

import sys
import tarfile
import zipfile
from pathlib import Path

PROJECT = "[build-system]\nrequires = []\nbuild-backend = 'own'\nbackend-path = ['.']\n"


def wheel(folder, name, needs=""):
    """Make a small package that needs another."""
    required = f"Requires-Dist: {needs}\n" if needs else ""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{required}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def main(folder, mark):
    source = folder / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "own.py").write_text(f"open({mark!r}, 'w').close()\n")
    packed = folder / "source-1.0.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(source, "source-1.0")
    wheel(folder, "needsfolder", f"source @ {source.as_uri()}")
    wheel(folder, "needsarchive", f"source @ {packed.as_uri()}")
    wheel(folder, "needsrepository", "source @ git+https://127.0.0.1:9/source")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
