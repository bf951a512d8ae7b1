"""The conformance suite from the command line: an executor's name in, a line a check out."""

from __future__ import annotations

import argparse
import sys

from pinjra.core.limits import Limits
from pinjra.executors.base import PythonExecutor
from pinjra.executors.conformance import each_result


def main(arguments: list[str] | None = None) -> int:
    """Run the suite on an executor by name; exit status 1 when a check failed."""
    from pinjra.executors.registry import create_executor

    parser = argparse.ArgumentParser(prog="python -m pinjra.executors.conformance", description=__doc__)
    parser.add_argument("executor")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="of the executor (a text)"
    )
    options = parser.parse_args(arguments)

    def make(imports: list[str], limits: Limits, **further: object) -> PythonExecutor:
        given = {**dict(text.split("=", 1) for text in options.option), **further}
        return create_executor(
            options.executor,
            additional_authorized_imports=imports,
            executor_kwargs={**given, "limits": limits},
        )

    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for result in each_result(make, only=options.only):
        counts[result.status] += 1
        print(result, flush=True)
    print(", ".join(f"{count} {status}" for status, count in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
