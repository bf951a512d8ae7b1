"""Names of programs -> the files that a box must show so that they run. The host's side: it knows the machine's PATH."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import glob

from pinjra.core.errors import ConfigurationError
from pinjra.jail import profile


@dataclass(frozen=True)
class Programs:
    """What may be started in a box; nothing where `shown` is empty.

    Args:
        shown: Files and folders of the view.
        path: The variable PATH in the box.
        makes_code: Some of them make machine code and run it.
    """

    shown: tuple[str, ...] = ()
    path: str = ""
    makes_code: bool = False


def find_programs(names: Iterable[str]) -> Programs:
    """Return what the box needs for programs of these names; this Python is always one of them.

    Raises:
        ConfigurationError: A name is not on this machine's PATH (the caller's fault).
    """
    named = tuple(names)
    if not named:
        return Programs()
    folders = dict.fromkeys((os.path.dirname(sys.executable), *profile.PROGRAM_FOLDERS))
    if named == ("*",):
        own = [path for path in os.environ.get("PATH", "").split(os.pathsep) if path.startswith("/usr/")]
        folders.update(dict.fromkeys(own))
        shown = [*folders][1:]
    else:
        shown = list(_files(named))
        folders.update(dict.fromkeys(map(os.path.dirname, shown)))
    return Programs(
        shown=tuple(dict.fromkeys((*shown, *_of_python(), *profile.PROGRAM_READABLE, *_settings()))),
        path=os.pathsep.join(folder for folder in folders if os.path.isdir(folder)),
        makes_code=named == ("*",) or not profile.MAKES_CODE.isdisjoint(named),
    )


def _files(names: tuple[str, ...]) -> Iterator[str]:
    path = os.pathsep.join((os.environ.get("PATH", ""), *profile.PROGRAM_FOLDERS))
    for name in names:
        found = shutil.which(name, path=path)
        if found is None:
            raise ConfigurationError(f"programs=: there is no program {name!r} on this machine's PATH")
        yield os.path.abspath(found)
    brought = (one for name in names for one in profile.BROUGHT_PROGRAMS.get(name, ()))
    for name in (*brought, *profile.BASIC_PROGRAMS):
        found = shutil.which(name, path=path)
        if found is not None:
            yield os.path.abspath(found)


def _settings() -> list[str]:
    """Return folders to which files of Java and of Debian's Python are links."""
    return [*glob("/etc/java-*"), *glob("/etc/python3*")]


def _of_python() -> Iterator[str]:
    """Return what this Python is, as a program: its links, and the file that makes it a virtual environment's."""
    python = step = sys.executable
    yield python
    while os.path.islink(step):
        step = os.path.normpath(os.path.join(os.path.dirname(step), os.readlink(step)))
        yield step
    for name in ("python", "python3", f"python{sys.version_info.major}.{sys.version_info.minor}"):
        yield os.path.join(os.path.dirname(python), name)
    for folder in (os.path.dirname(python), os.path.dirname(os.path.dirname(python))):
        yield os.path.join(folder, "pyvenv.cfg")
