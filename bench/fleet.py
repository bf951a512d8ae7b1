"""Snippets and verdicts a second, beside what people use instead. One run, so that the ratios mean something.

python bench/fleet.py [--count 400] [--only fork,fresh,…] [--humaneval FILE] [--ray] [--chaos SECONDS]
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from pinjra.core.limits import Limits
from pinjra.fleet import Case, Fleet
from pinjra.fleet.datasets import read_problems

CODE = "print(sum(i * i for i in range(int(input()))))"
SCIENCE = "import numpy as np, pandas as pd\nprint(int(np.arange(int(input())).sum()))"


def in_a_pool(job: tuple[str, str]) -> str:
    """Run a snippet in a worker of a process pool: what a trainer without a sandbox does."""
    import contextlib
    import io

    code, stdin = job
    sys.stdin = io.StringIO(stdin)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {"__name__": "__main__"})
    return out.getvalue()


def by_subprocess(job: tuple[str, str]) -> str:
    code, stdin = job
    return subprocess.run(
        [sys.executable, "-c", code], input=stdin, capture_output=True, text=True, check=False
    ).stdout


def rate(name: str, count: int, run) -> float:
    begun = time.perf_counter()
    wrong = run(count)
    seconds = time.perf_counter() - begun
    print(f"{name:42} {count / seconds:9.1f}/s   {wrong} wrong of {count}", flush=True)
    return count / seconds


def expected(n: int) -> str:
    return f"{sum(i * i for i in range(n))}\n"


def through(fleet: Fleet, code: str = CODE, answer=expected):
    def run(count: int) -> int:
        inputs = [str(10 + i % 90) for i in range(count)]
        done = fleet.map([code] * count, inputs=inputs, ordered=True)
        return sum(each.stdout != answer(int(n)) for each, n in zip(done, inputs, strict=True))

    return run


def plain(pool, function):
    def run(count: int) -> int:
        jobs = [(CODE, str(10 + i % 90)) for i in range(count)]
        return sum(
            out != expected(int(job[1])) for out, job in zip(pool.map(function, jobs), jobs, strict=True)
        )

    return run


def snippets(count: int) -> None:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        pool.submit(by_subprocess, (CODE, "1")).result()
        rate("process pool, no isolation", count * 4, plain(pool, in_a_pool))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rate("subprocess, no isolation", count // 4, plain(pool, by_subprocess))
    with Fleet() as fleet:
        through(fleet)(50)
        rate("Fleet, a fork for each", count * 4, through(fleet))
    with Fleet(preload=["numpy", "pandas"]) as fleet:
        answer = lambda n: f"{n * (n - 1) // 2}\n"  # noqa: E731
        through(fleet, SCIENCE, answer)(50)
        rate("Fleet, a fork, numpy and pandas loaded", count, through(fleet, SCIENCE, answer))
    with Fleet(isolation="fresh") as fleet:
        through(fleet)(10)
        rate("Fleet, a fresh jail for each", count, through(fleet))


def verdicts(path: str, repeat: int) -> None:
    problems = list(read_problems(path).values())
    programs = [(p.before + p.reference, p.cases) for p in problems for _ in range(repeat)]
    jobs = [
        (f"{p.before}{p.reference}\n{p.cases[0].test}\ncheck({p.cases[0].entry})\n", "") for p in problems
    ] * repeat
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(in_a_pool, jobs[:20]))
        begun = time.perf_counter()
        list(pool.map(in_a_pool, jobs))
        pooled = time.perf_counter() - begun
    with Fleet() as fleet:
        list(fleet.score_many(programs[:20]))
        begun = time.perf_counter()
        passed = sum(verdict.passed for verdict in fleet.score_many(programs))
        seconds = time.perf_counter() - begun
    print(
        f"{len(programs)} verdicts: {passed} passed, {seconds:.2f} s; process pool {pooled:.2f} s; ratio {seconds / pooled:.2f}"
    )


def on_ray(count: int) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  (it is 15: what runs beside this would be measured)
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    with Fleet(boxes=2, most_boxes=2) as fleet:
        through(fleet)(100)
        local = rate("Fleet('local'), two boxes", count * 4, through(fleet))
    with Fleet("ray", boxes=1, most_boxes=1) as fleet:
        through(fleet)(300)
        print(f"ratio {rate('Fleet(ray), two nodes with a box each', count * 4, through(fleet)) / local:.2f}")
    ray.shutdown()
    cluster.shutdown()


def chaos(seconds: float) -> None:
    """More work than processors, boxes killed at random: nothing lost, twice or misjudged, and verdicts in time."""
    limits = Limits(wall_seconds=2.0, cpu_seconds=2.0, memory_bytes=256 << 20)
    kinds = [
        ("print(int(input()) * 2)", "passed"),
        ("print(int(input()) * 3)", "wrong"),
        ("1 / 0", "exception"),
        ("import time; time.sleep(30)", "wall"),
        ("while True: pass", "processor"),
    ]
    weights = [40, 20, 20, 1, 1]
    # On a machine with too much to do either clock may be the first to run out.
    clocks = {"wall": "time", "processor": "time"}
    end = time.monotonic() + seconds
    wanted: dict[int, str] = {}

    def programs():
        while time.monotonic() < end:
            code, status = random.choices(kinds, weights)[0]
            wanted[len(wanted)] = status
            yield code, [Case(stdin="21", stdout="42")]

    with Fleet(boxes=os.cpu_count() or 1, most_boxes=4 * (os.cpu_count() or 1)) as fleet:
        stop = threading.Event()
        seen: dict[int, str] = {}
        killer = threading.Thread(target=kill_boxes, args=(seen, stop))
        killer.start()
        late: list[float] = []
        for verdict in fleet.score_many(programs(), per_case=limits, ordered=False):
            assert verdict.index not in seen, "twice"
            seen[verdict.index] = verdict.status
            if clocks.get(verdict.status, verdict.status) != clocks.get(
                wanted[verdict.index], wanted[verdict.index]
            ):
                print(f"not {wanted[verdict.index]}: {verdict}", flush=True)
            late += [
                case.wall_seconds - 2.0 for case in verdict.cases if case.status in ("wall", "processor")
            ]
        stop.set()
        killer.join()
    wrong = {
        i: (seen.get(i), status)
        for i, status in wanted.items()
        if clocks.get(seen.get(i, ""), seen.get(i)) != clocks.get(status, status)
    }
    # With ten times too much to do for the machine nobody says anything of a program: that is no wrong answer, but counted.
    given_back = [i for i, (status, _) in wrong.items() if status == "infrastructure"]
    print(f"{len(seen)} verdicts, {len(wanted) - len(seen)} lost, {len(wrong) - len(given_back)} misjudged, {len(given_back)} not judged; "
          f"limits met {max(late, default=0):.2f} s late at most; {files()} descriptors, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")  # fmt: skip


# On a machine with too much to do, where a process takes long to come up, it would otherwise be killed each time before it is.
YOUNG_SECONDS, VERDICTS_BETWEEN = 1.0, 8


def is_old(pid: int) -> bool:
    try:
        started = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    except OSError:
        return False
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK") > YOUNG_SECONDS


def kill_boxes(seen: dict[int, str], stop: threading.Event) -> None:
    """Kill a process now and then, whatever it does: what makes boxes, what is in them, a snippet's own."""
    before = 0
    while not stop.wait(random.uniform(0.5, 2.0)):
        if len(seen) < before + VERDICTS_BETWEEN:
            continue
        before = len(seen)
        jails = [
            int(pid)
            for pid in subprocess.run(
                ["pgrep", "-f", "pinjra"], capture_output=True, text=True, check=False
            ).stdout.split()
        ]
        mine = [pid for pid in jails if is_below(pid, os.getpid()) and pid != os.getpid() and is_old(pid)]
        if mine:
            try:
                os.kill(random.choice(mine), signal.SIGKILL)
            except OSError:
                continue


def is_below(pid: int, ancestor: int) -> bool:
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            return False
        if pid == ancestor:
            return True
    return False


def files() -> int:
    return len(os.listdir("/proc/self/fd"))


def flat(count: int) -> None:
    """Many snippets: memory and descriptors of this process stay as they are."""
    with Fleet() as fleet:
        through(fleet)(2000)
        before = (files(), int(Path("/proc/self/statm").read_text().split()[1]) * 4 >> 10)
        rates = []
        for _ in range(10):
            begun = time.perf_counter()
            assert through(fleet)(count // 10) == 0
            rates.append(count / 10 / (time.perf_counter() - begun))
        after = (files(), int(Path("/proc/self/statm").read_text().split()[1]) * 4 >> 10)
    print(
        f"{count} snippets: descriptors and MiB {before} before, {after} after; {statistics.median(rates):.0f}/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--humaneval")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--chaos", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--flat", type=int, default=0, metavar="COUNT")
    options = parser.parse_args()
    if options.count:
        snippets(options.count)
    if options.humaneval:
        verdicts(options.humaneval, options.repeat)
    if options.ray:
        on_ray(options.count)
    if options.chaos:
        chaos(options.chaos)
    if options.flat:
        flat(options.flat)


if __name__ == "__main__":
    main()
