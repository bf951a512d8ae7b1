"""A root file system with nothing but a Python, made from files of this machine: no registry can be reached for an image.

python rootfs.py OUT.tar        (give it to `docker import`, or unpack it for an OCI bundle)
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

# So that arrays, tables and images cross; left out where the machine has none.
WANTED_PACKAGES = (
    "numpy",
    "numpy.libs",
    "pandas",
    "dateutil",
    "pytz",
    "tzdata",
    "six.py",
    "PIL",
    "pillow.libs",
)
SKIPPED = {"test", "tests", "idlelib", "tkinter", "lib2to3", "ensurepip", "__pycache__", "turtledemo"}


def system_python() -> Path | None:
    """Return a Python outside any home folder whose libraries are all under /usr, or None."""
    for version in ("3.13", "3.12", "3.11", "3.10"):
        path = Path(f"/usr/bin/python{version}")
        if path.exists():
            return path.resolve()
    return None


def shared_libraries(binary: Path) -> set[Path]:
    """Return the paths of everything the dynamic linker loads for `binary`."""
    out = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"(/\S+\.so\S*)", out)}


def stdlib(python: Path) -> Path:
    """Return the standard library's folder."""
    code = "import sysconfig; print(sysconfig.get_path('stdlib'))"
    return Path(
        subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    )


def build(target: Path, site_packages: Path | None = None) -> bool:
    """Write the tar; False where this machine has no suitable Python."""
    python = system_python()
    if python is None:
        return False
    library = stdlib(python)
    files: dict[str, Path] = {"/usr/bin/python3": python, "/bin/sh": Path("/bin/sh").resolve()}
    needed = shared_libraries(python) | shared_libraries(files["/bin/sh"])
    folders = [(library, str(library))]
    if site_packages is not None:
        folders += [
            (site_packages / p, f"/usr/local/lib/{library.name}/dist-packages/{p}")
            for p in WANTED_PACKAGES
            if (site_packages / p).exists()
        ]
    for folder, inside in folders:
        for path in walk(folder):
            files[inside + str(path)[len(str(folder)) :]] = path
            if path.suffix == ".so" or ".so." in path.name:
                needed |= shared_libraries(path)
    for path in {Path(os.path.normpath(p)) for p in needed}:
        if path.is_relative_to("/lib") or path.is_relative_to("/lib64") or path.is_relative_to("/usr/lib"):
            files.setdefault(str(path), path.resolve())
    with tarfile.open(target, "w") as tar:
        for name in ("tmp", "proc", "dev", "sys", "etc", "scratch"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name in ("tmp", "scratch") else 0o755
            tar.addfile(entry)
        for inside, path in sorted(files.items()):
            tar.add(path.resolve(), inside.lstrip("/"), recursive=False, filter=plain)
    return True


def walk(folder: Path) -> list[Path]:
    """Return the regular files below `folder` that a running Python may need."""
    found = [folder] if folder.is_file() else []
    for root, names, files in os.walk(folder):
        names[:] = [n for n in names if n not in SKIPPED and n not in ("site-packages", "dist-packages")]
        found += [Path(root) / f for f in files if not f.endswith((".a", ".pyc"))]
    return found


def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Make an entry root's and readable by everybody."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.mode & 0o111 else 0o644
    return entry


if __name__ == "__main__":
    sys.exit(not build(Path(sys.argv[1])))
