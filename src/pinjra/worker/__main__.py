"""Start a worker on stdin and stdout: `python -m pinjra.worker`, or the packed zip."""

from __future__ import annotations

import sys
from typing import NoReturn

from pinjra.worker.host import cloexec
from pinjra.worker.supervisor import serve


def main() -> NoReturn:
    """Serve one session on the standard descriptors; never return."""
    if sys.version_info < (3, 10):  # noqa: UP036 (in the box it is another Python than here)
        sys.exit("the worker needs Python 3.10 or later")
    serve(cloexec(0), cloexec(1))


if __name__ == "__main__":
    main()
