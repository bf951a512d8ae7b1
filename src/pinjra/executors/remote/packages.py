"""Import names <-> names of distributions to install in a remote sandbox. Explicit: nothing is guessed from a guest's words."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable

from pinjra.core.errors import ConfigurationError

# Where the import name is not the distribution's name on PyPI.
_RENAMED = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "jwt": "pyjwt",
    "pptx": "python-pptx",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def distributions_for(imports: Iterable[str]) -> list[str]:
    """Return the distributions that third-party imports come from, in order, each once.

    Args:
        imports: Entries of an import policy ("numpy", "PIL.Image", "pandas.*"); "*" and the standard library need nothing.

    Raises:
        ConfigurationError: An entry is no module name (the caller's fault).
    """
    wanted: dict[str, None] = {}
    for entry in imports:
        top = entry.partition(".")[0]
        if top == "*" or top in sys.stdlib_module_names:
            continue
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", top):
            raise ConfigurationError(f"not a module name: {entry!r}")
        wanted[_RENAMED.get(top, top)] = None
    return list(wanted)


def modules_of(requirements: Iterable[str]) -> tuple[str, ...]:
    """Return the modules that distributions are named after, which may be imported where they are installed."""
    modules = {name: module for module, name in _RENAMED.items()}
    names = (re.split(r"[^A-Za-z0-9._-]", text.strip(), maxsplit=1)[0].lower() for text in requirements)
    return tuple(modules.get(re.sub(r"[._]", "-", name), re.sub(r"[.-]", "_", name)) for name in names)


def install_command(distributions: Iterable[str]) -> str:
    """Return the shell command that installs them in a sandbox."""
    return "python3 -m pip install --quiet --disable-pip-version-check " + shlex.join(distributions)
