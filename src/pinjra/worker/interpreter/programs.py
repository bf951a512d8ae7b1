"""A program's words and its input -> its exit status. What it prints goes where all of the box prints: descriptors 1 and 2."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence

from pinjra.core.execution import ErrorKind, GuestError

__all__ = ["run_program"]


def run_program(argv: Sequence[str], stdin: bytes) -> int | GuestError:
    """Return the exit status (a signal's number below zero), or why the program could not be started.

    What it leaves running is ended behind the run, as everything is.
    """
    with tempfile.TemporaryFile() as file:  # of the scratch folder, and so within the quota
        file.write(stdin)
        file.seek(0)
        try:
            return subprocess.run(argv, stdin=file, check=False).returncode  # noqa: S603 (in the box)
        except (OSError, ValueError) as error:
            return GuestError(
                kind=ErrorKind.REFUSED if isinstance(error, PermissionError) else ErrorKind.EXCEPTION,
                type=type(error).__name__,
                message=str(error),
                hint="which programs there are in the box is said by programs=",
            )
