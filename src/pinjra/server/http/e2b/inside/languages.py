"""Languages besides Python -> programs that keep their variables between pieces of code, and speak as the Python context does."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Mapping

from pinjra.server.http.e2b.inside.children import Child

__all__ = ["Unavailable", "start_program"]

# language -> what must be installed, and the command; "{runner}" is a folder, "{fd}" the descriptor of the socket, as 0 is
_COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bash": ("bash", ("bash", "--norc", "{runner}/bash.sh", "{fd}")),
    "javascript": ("node", ("node", "--no-warnings", "{runner}/node.js", "{fd}")),
    "typescript": ("node", ("node", "--no-warnings", "{runner}/node.js", "{fd}", "typescript")),
    "r": ("Rscript", ("Rscript", "--vanilla", "{runner}/cells.R", "{fd}")),
    "java": (
        "jshell",
        (
            "java",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--add-modules",
            "jdk.jshell",
            "{runner}/Cells.java",
        ),
    ),
}


class Unavailable(Exception):
    """The box cannot run this language."""


def start_program(
    child: Child, language: str, stream: socket.socket, cwd: str, environment: Mapping[str, str]
) -> None:
    """Start a context of a language.

    Raises:
        Unavailable: It is not known, or not installed on this machine.
    """
    if language not in _COMMANDS:
        raise Unavailable(f"language {language!r} is not known; there are: python, {', '.join(_COMMANDS)}")
    program, command = _COMMANDS[language]
    if shutil.which(program, path=environment["PATH"]) is None:
        raise Unavailable(f"{language} needs {program}, which is not installed on the machine that serves")
    started = os.path.realpath(shutil.which(command[0], path=environment["PATH"]) or command[0])
    runner = f"{os.path.dirname(__file__)}/runners"
    os.set_inheritable(stream.fileno(), True)
    child.start(
        [started, *(part.format(runner=runner, fd=stream.fileno()) for part in command[1:])],
        cwd=cwd,
        environment={
            "NODE_PATH": "/usr/local/lib/node_modules:/usr/lib/node_modules",  # what `npm install -g` has installed
            **environment,
            "PINJRA_PYTHON": sys.executable,
            # There is no /proc, by which the loader finds what lies beside a program
            **(
                {"LD_LIBRARY_PATH": f"{os.path.dirname(os.path.dirname(started))}/lib"}
                if language == "java"
                else {}
            ),
        },
        stdin=stream.fileno(),
        pass_fds=(stream.fileno(),),
    )
