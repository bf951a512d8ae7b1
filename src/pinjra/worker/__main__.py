"""Start a worker on stdin and stdout: `python -m pinjra.worker [--jail MEMORY DISK PROCESSES]`, or the packed zip.

With `--jail` it confines itself first, or ends with one line that says what is missing. The numbers are the session's limits
(bytes, bytes, count; 0: none): a confinement cannot wait for the first message, which carries everything else.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from pinjra.core.errors import ExecutorUnavailable
from pinjra.worker.supervisor.host import cloexec
from pinjra.worker.supervisor.loop import serve

UNAVAILABLE = 69  # exit status, as sysexits.h has it


def main() -> NoReturn:
    """Serve one session on the standard descriptors; never return."""
    if sys.version_info < (3, 10):  # noqa: UP036 (in the box it is another Python than here)
        sys.exit("the worker needs Python 3.10 or later")
    if sys.argv[1:2] == ["--jail"]:
        _serve_confined(sys.argv[2:])
    serve(cloexec(0), cloexec(1))


def _serve_confined(numbers: list[str]) -> NoReturn:
    from pinjra.jail.confine import Spec
    from pinjra.jail.self_confine import self_confine

    try:
        memory, disk, processes = (int(number) or None for number in numbers)
        done = self_confine(Spec(memory_bytes=memory, disk_bytes=disk, processes=processes))
    except (ExecutorUnavailable, OSError, ValueError) as error:
        # SECURITY: half confined is not confined: nothing is served.
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(UNAVAILABLE)
    serve(cloexec(0), cloexec(1), applied=done.applied, missing=done.missing, **done.counts)


if __name__ == "__main__":
    main()
