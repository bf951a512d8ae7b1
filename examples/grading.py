"""Programs of strangers, judged: each on its cases, in a box of its own, as many at once as there are processors.

    python examples/grading.py

The tests run in another box than the program, so a program cannot read, change or fake them.
"""

import asyncio

from pinjra import Case, Fleet, Limits

CASES = [
    Case(stdin="3\n1 2 3\n", stdout="6\n"),
    Case(stdin="1\n-5\n", stdout="-5\n"),
    Case(stdin="0\n\n", stdout="0\n"),
]
PROGRAMS = {
    "right": "input()\nprint(sum(map(int, input().split())))",
    "wrong": "input()\nprint(max(map(int, input().split()), default=0))",
    "too slow": "while True: pass",
    "cheats": "import sys, os\nprint(open('/tmp/expected').read())",
}


async def main() -> None:
    """Judge every program, all at the same time."""
    with Fleet(limits=Limits(wall_seconds=10, cpu_seconds=1)) as fleet:
        verdicts = await asyncio.gather(*(fleet.score(code, CASES) for code in PROGRAMS.values()))
    for name, verdict in zip(PROGRAMS, verdicts, strict=True):
        print(f"{name}: {verdict.status}")


if __name__ == "__main__":
    asyncio.run(main())
