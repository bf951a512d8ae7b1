"""Requirements -> a read-only folder with their packages, made of wheels only and kept for the next time.

pip finds and fetches the wheels: it runs no code of theirs, and nothing is built. `--only-binary` alone does not see to that: a
wheel may need what is at an address, and pip would build that; so it starts no programs here. Wheels are unpacked by names that
are checked one by one. Nothing in a layer is ever imported by the host, nor by the process that sessions are forked from: only
in the box.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pinjra.core.cache_folder import cache_folder, made
from pinjra.core.errors import ConfigurationError, MissingDependency, StartupFailed
from pinjra.core.file_names import is_file_name
from pinjra.core.module_path import modules_of
from pinjra.core.temporary_folders import make_folder, sweep

_FETCH_SECONDS = 1800
_COMPILE_SECONDS = 600
_MOST_BYTES = 16 << 30  # unpacked: a wheel of a few kilobytes may say that it holds anything
_MOST_FILES = 500_000
_READ_ONLY = 0o555
_NEW = "new-"  # folders in which layers are made
# A process that ends as soon as its parent does, and starts none: what builds a package is a program. pip's own are a few that it
# does without, and keyring, which a user's settings name.
# Not by preexec_fn, which is Python after fork(2) in a process with threads.
_WITH_US = """
import os, runpy, sys
parent = int(sys.argv.pop(1))
def look(event, details):
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn"):
        if event != "subprocess.Popen" or os.path.basename(str(details[1][0])) not in ("keyring", "keyring.exe"):
            raise PermissionError("no program is started here")
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
    if os.getppid() != parent:  # it has ended before that
        sys.exit(1)
sys.addaudithook(look)  # SECURITY: what a package brings to build it is not run
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Layer:
    """Packages on disk.

    Args:
        path: The folder for a module search path.
        modules: What can be imported from it.
    """

    path: str
    modules: tuple[str, ...]


def layer_for(requirements: Iterable[str]) -> Layer:
    """Return the layer of these requirements, made now where there is none.

    Raises:
        ConfigurationError: One is no requirement, is not found, or has no wheel (the caller's fault).
        MissingDependency: There is no pip (the operator's).
        StartupFailed: The index does not answer, or a wheel is broken (the host's or the index's fault).
    """
    wanted = sorted(map(_checked, requirements))
    place = made(Path(os.environ.get("PINJRA_CACHE") or cache_folder()) / "packages")
    machine = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    note = place / f"{hashlib.sha256(json.dumps([machine, *wanted]).encode()).hexdigest()[:32]}.json"
    found = _noted(note)
    if found is not None:
        return found
    from filelock import FileLock

    with FileLock(f"{note}.lock"):
        return _noted(note) or _make(wanted, place, note)


def _noted(note: Path) -> Layer | None:
    try:
        said = json.loads(note.read_text())
    except (OSError, ValueError):
        return None
    return Layer(said["path"], tuple(said["modules"])) if os.path.isdir(said["path"]) else None


def _checked(text: str) -> str:
    """Return a requirement as it is written best; raise `ConfigurationError` where it is none, or names a place."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise ConfigurationError(
            f'packages= wants requirements like "polars==1.35.2", not {text!r}: {str(error).splitlines()[0]}'
        ) from None
    if requirement.url:
        raise ConfigurationError(f"packages= takes names and versions, no addresses: {text!r}")
    return str(requirement)


def _make(wanted: list[str], place: Path, note: Path) -> Layer:
    print(f"pinjra: fetching {', '.join(wanted)}; the next time it is there", file=sys.stderr, flush=True)
    sweep(_NEW, _discard, place=str(place))
    folder, lock = make_folder(_NEW, str(place))
    try:
        return _made(wanted, place, note, Path(folder))
    finally:
        _discard(folder)
        if lock >= 0:
            os.close(lock)


def _made(wanted: list[str], place: Path, note: Path, room: Path) -> Layer:
    """Return a layer that is made in `room`, and then moved to its place."""
    wheels, layer = room / "wheels", room / "layer"
    _fetch(wanted, wheels)
    layer.mkdir()
    digest = hashlib.sha256()
    for wheel in sorted(wheels.glob("*.whl")):
        digest.update(f"{wheel.name} {hashlib.sha256(wheel.read_bytes()).hexdigest()}\n".encode())
        unpack(wheel, layer)
    modules = tuple(sorted(modules_of(layer)))
    _compile(layer)
    _make_read_only(layer)
    final = place / digest.hexdigest()[:32]
    if not final.exists():
        os.chmod(layer, 0o700)  # else it cannot be renamed
        layer.rename(final)
        os.chmod(final, _READ_ONLY)
    said = room / "note"
    said.write_text(json.dumps({"path": str(final), "modules": modules}))
    said.replace(note)
    return Layer(str(final), modules)


def _discard(path: str) -> None:
    """Remove a folder in which a layer was made; those in it may be read-only."""
    for folder, _, _ in os.walk(path):
        with suppress(OSError):
            os.chmod(folder, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def _fetch(wanted: list[str], wheels: Path) -> None:
    is_watched = sys.stderr.isatty()
    options = ["--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--dest", str(wheels)]
    options += [] if is_watched else ["--quiet"]
    done = _run(
        ["pip", "download", *options, *wanted],
        _FETCH_SECONDS,
        sys.stderr.fileno() if is_watched else subprocess.DEVNULL,
        wheels.parent,
    )
    if done is None:
        raise StartupFailed(f"packages=: the index sent {', '.join(wanted)} not within {_FETCH_SECONDS} s")
    if done.returncode:
        raise _reason(done.stderr, wanted)


def _run(
    arguments: list[str], seconds: float, stdout: int, room: Path
) -> subprocess.CompletedProcess[str] | None:
    """Return how a module of Python, run with arguments, ended; None: it was ended after so many seconds.

    It ends with us: on Linux also when we are killed, for the thread that has started it waits for it. Its temporary files are
    in `room`: a pip that is killed leaves them.
    """
    command = [sys.executable, "-I", "-c", _WITH_US, str(os.getpid()), *arguments]
    process = subprocess.Popen(  # noqa: S603 (our own words and requirements that were parsed, no shell)
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True, errors="replace",
        env={**os.environ, "TMPDIR": str(room)},
    )  # fmt: skip
    atexit.register(process.kill)  # a program that ends while a thread waits here leaves it not behind
    with process:
        try:
            _, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()
            atexit.unregister(process.kill)
    return subprocess.CompletedProcess(command, process.returncode, stderr=said)


def _reason(said: str, wanted: list[str]) -> Exception:
    """Return pip's long words as one line, by whose fault it is."""
    lines = [line.removeprefix("ERROR: ").strip() for line in said.splitlines() if line.startswith("ERROR: ")]
    if "No module named pip" in said:
        return MissingDependency("pip", f"{sys.executable} -m ensurepip (for packages=)")
    # the second where it would have been git: pip says that in its own words
    if "PermissionError: no program is started here" in said or "No permission to execute" in said:
        return ConfigurationError(
            f"packages=: {', '.join(wanted)} needs what is no wheel, and would be built here"
        )
    for line in lines:
        name = line.removeprefix("No matching distribution found for ")
        if name != line:
            machine = (
                f"Python {sys.version_info.major}.{sys.version_info.minor} on {sysconfig.get_platform()}"
            )
            return ConfigurationError(f"packages=: {name} is not found, or has no wheel for {machine}")
        if "conflict" in line.lower():
            return ConfigurationError(f"packages=: {', '.join(wanted)} cannot be had together: {line}")
    return StartupFailed(
        f"packages=: pip could not fetch {', '.join(wanted)}: {lines[-1] if lines else said[-300:].strip()}"
    )


def unpack(wheel: Path, layer: Path) -> None:
    """Unpack the modules of a wheel; its scripts, headers and data are left out.

    Raises:
        StartupFailed: A name in it leads out of the layer, it holds too much, or it is broken.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            infos = archive.infolist()
            if len(infos) > _MOST_FILES or sum(info.file_size for info in infos) > _MOST_BYTES:
                raise StartupFailed(f"packages=: {wheel.name} holds more than a package does")
            for info in infos:
                _unpack_one(archive, info, wheel, layer)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        raise StartupFailed(f"packages=: {wheel.name} is broken: {error}") from error


def _unpack_one(archive: zipfile.ZipFile, info: zipfile.ZipInfo, wheel: Path, layer: Path) -> None:
    # SECURITY: names come from whoever made the wheel
    name = info.filename
    parts = PurePosixPath(name).parts
    kind = stat.S_IFMT(info.external_attr >> 16)
    is_plain = is_file_name(name.removesuffix("/")) and kind in (0, stat.S_IFREG, stat.S_IFDIR)
    if not is_plain or "\\" in name or ":" in name:
        raise StartupFailed(f"packages=: {wheel.name} holds {name!r:.200}, which leads out of a package")
    if info.is_dir():
        return
    if parts[0].endswith(".data"):
        if parts[1:2] not in (("purelib",), ("platlib",)):
            return
        parts = parts[2:]
    if len(parts) == 1 and parts[0].endswith(".pth"):  # lines of code for whoever starts a Python
        return
    target = layer.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, open(target, "wb") as file:
        shutil.copyfileobj(source, file)


def _compile(layer: Path) -> None:
    """Write the bytecode: the box cannot. The compiler runs none of it; what does not compile is left as it is."""
    options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(layer), str(layer)]
    _run(["compileall", *options], _COMPILE_SECONDS, subprocess.DEVNULL, layer.parent)


def _make_read_only(layer: Path) -> None:
    """Let everybody read, which a session's own user must, and nobody write."""
    for folder, _, names in os.walk(layer, topdown=False):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o444)
        os.chmod(folder, _READ_ONLY)
