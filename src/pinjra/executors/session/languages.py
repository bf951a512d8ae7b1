"""Code in another language -> the file to write and the line of shell that runs it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pinjra.core.errors import ConfigurationError

_IS_MODULE = re.compile(r"^\s*(import\s.+from\s|import\s*['\"{*]|export\s)", re.MULTILINE)


@dataclass(frozen=True)
class Language:
    """How code is run.

    Args:
        suffix: Of the file, chosen by the code.
        line: For `sh`; "$0" is the file, "$@" its arguments.
        programs: What `programs=` must allow.
    """

    suffix: Callable[[str], str]
    line: str
    programs: tuple[str, ...]


LANGUAGES = {
    "bash": Language(lambda _code: ".sh", 'bash "./$0" "$@"', ("bash",)),
    "javascript": Language(
        lambda code: ".mjs" if _IS_MODULE.search(code) else ".js", 'node "./$0" "$@"', ("node",)
    ),
    # Where no mode can be changed (local), what is compiled takes that of a program that is copied.
    "cpp": Language(
        lambda _code: ".cpp",
        'g++ -std=c++17 -O1 -pipe -o "./$0.o" "./$0" && cp "$(command -v cat)" "./$0.out" && cat "./$0.o" >"./$0.out" && '
        'rm -f "./$0.o" && "./$0.out" "$@"',
        ("g++",),
    ),
}


def language_of(name: str) -> Language:
    """Return a language by its name.

    Raises:
        ConfigurationError: It is unknown (the caller's fault).
    """
    if name not in LANGUAGES:
        known = ", ".join(("python", *LANGUAGES))
        raise ConfigurationError(f"language= knows {known}, not {name!r}; exec() runs any program")
    return LANGUAGES[name]
