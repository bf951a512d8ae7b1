"""Many ways from one loaded session: the data is read once, each attempt runs in a fork, the best is kept.

    python examples/fork_search.py

A fork takes milliseconds and sees everything that was loaded; what it changes or breaks stays in it.
"""

from pinjra import Limits, sandbox

LOAD = """
import random
generator = random.Random(7)
points = [(x, 3 * x + 5 + generator.uniform(-2, 2)) for x in range(200)]

def error(predict):
    return sum((predict(x) - y) ** 2 for x, y in points) / len(points)
"""

ATTEMPTS = {
    "constant": "mean = sum(y for _, y in points) / len(points)\nerror(lambda x: mean)",
    "line through the ends": "(a, b), (c, d) = points[0], points[-1]\nerror(lambda x: b + (x - a) * (d - b) / (c - a))",
    "least squares": """
n = len(points)
mx, my = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
slope = sum((x - mx) * (y - my) for x, y in points) / sum((x - mx) ** 2 for x, _ in points)
error(lambda x: my + slope * (x - mx))
""",
    "never ends": "points.clear()\nwhile True: pass",
    "wrong": "error(lambda x: x / 0)",
}


def main() -> None:
    """Try every way, and say which was best."""
    results: dict[str, float] = {}
    with sandbox("jail", limits=Limits(wall_seconds=2)) as box:
        box.run(LOAD)
        for name, code in ATTEMPTS.items():
            with box.fork() as attempt:
                done = attempt.run(code)
            if done.error is None and isinstance(done.value, float):
                results[name] = done.value
            else:
                print(f"{name}: {done.error.type if done.error else 'no number'}")
        print("points left:", box.run("len(points)").value)
    print("best:", min(results, key=lambda name: results[name]))


if __name__ == "__main__":
    main()
