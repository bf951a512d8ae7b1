"""Formulas that users of a web service write: checked, bounded, and answered as JSON; one warm box for each user.

    python examples/user_formulas.py

What a formula may see is what it is given. What it costs is bounded. What it breaks is its own.
"""

import json

from pinjra import Limits, sandbox

ROWS = [{"item": "pen", "price": 2, "sold": 40}, {"item": "book", "price": 12, "sold": 7}]
FORMULAS = [
    "sum(row['price'] * row['sold'] for row in rows)",
    "max(rows, key=lambda row: row['sold'])['item']",
    "rows[5]",
    "open('/etc/shadow').read()",
    "'x' * 10**12",
    "rows.clear() or next(n for n in iter(int, 1) if n)",
    "len(rows)",
]
LIMITS = Limits(wall_seconds=1, memory_bytes=128 << 20, output_bytes=10_000, value_bytes=100_000)


def main() -> None:
    """Answer each formula as a service would."""
    with sandbox(limits=LIMITS) as box:
        box.send_variables({"rows": ROWS})
        for formula in FORMULAS:
            done = box.run(formula)
            if done.error is None:
                answer: dict[str, object] = {"value": done.value}
            elif done.error.cause is not None:
                answer = {"error": f"the formula takes too much: {done.error.cause.value}"}
            else:
                answer = {"error": done.error.type}
            print(json.dumps(answer))


if __name__ == "__main__":
    main()
