"""`pinjra score`: problems and samples -> verdicts as JSON lines, and a table with pass@k."""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pinjra.cli.options import NewFile, listed, names

if TYPE_CHECKING:
    from pinjra.fleet.cases import Verdict
    from pinjra.fleet.datasets import Problem, Sample


@click.command()
@click.argument("problems", type=click.Path(exists=True, dir_okay=False))
@click.argument("samples", type=click.Path(exists=True, dir_okay=False), required=False)
@click.option("--reference", is_flag=True, help="Score the data set's own solutions instead of samples.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, help="Score each sample so many times.")
@click.option(
    "--engine", default="local", metavar="NAME", help="local, ray, or addresses of services, by commas."
)
@click.option("--isolation", type=click.Choice(["fork", "fresh"]), default="fork", show_default=True)
@click.option(
    "--wall",
    "wall_seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest time of one case, on the clock and of processor.",
)
@click.option(
    "--memory", "memory_mib", type=click.IntRange(min=1), default=512, show_default=True, metavar="MIB"
)
@listed("--k", "ks", default=["1,10,100"], show_default=True, metavar="K,K", help="The k of pass@k.")
@click.option("--all-cases", is_flag=True, help="Run later cases of a sample too when one has failed.")
@listed("--preload", metavar="A,B", help="Modules that every sample finds imported.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the samples' random numbers.")
@click.option("--out", type=NewFile(dir_okay=False, writable=True), help="Verdicts as JSON lines.")
def score(
    problems: str,
    samples: str | None,
    reference: bool,
    repeat: int,
    engine: str,
    isolation: Any,
    wall_seconds: float,
    memory_mib: int,
    ks: str,
    all_cases: bool,
    preload: str,
    seed: int,
    out: str | None,
) -> int:  # fmt: skip
    """Judge SAMPLES on PROBLEMS: HumanEval, MBPP, or standard input and output, as JSON lines.

    A sample is {"task_id", "completion"} or {"task_id", "code"}. Expected answers and tests never enter the box that
    runs a sample. Exit status 4: some could not be judged, because of the machine and not because of them.
    """
    from pinjra.core.errors import ConfigurationError
    from pinjra.core.json_data import json_text
    from pinjra.core.limits import Limits
    from pinjra.fleet import Fleet
    from pinjra.fleet.datasets import read_problems

    if not names(ks) or not all(re.fullmatch("[1-9][0-9]{0,8}", k) for k in names(ks)):
        raise ConfigurationError(f"--k takes whole numbers above 0, separated by commas, not {ks!r}")
    found = read_problems(problems)
    wanted = [pair for pair in _pairs(found, samples, reference) for _ in range(repeat)]
    limits = Limits(wall_seconds=wall_seconds, cpu_seconds=wall_seconds, memory_bytes=memory_mib << 20)
    programs = ((sample.program(problem), problem.cases) for problem, sample in wanted)
    with Fleet(engine, isolation=isolation, limits=limits, preload=names(preload), seed=seed) as fleet:
        verdicts = fleet.score_many(
            programs, stop_at=None if all_cases else "first", progress=sys.stderr.isatty()
        )
        judged = list(zip(wanted, verdicts, strict=True))
    if out is not None:
        Path(out).write_text(
            "".join(f"{json_text({**_row(p, v), 'seed': seed})}\n" for (p, _), v in judged), encoding="utf-8"
        )
    return _show([(problem.id, verdict) for (problem, _), verdict in judged], [int(k) for k in names(ks)])


def _pairs(
    problems: dict[str, Problem], samples: str | None, reference: bool
) -> list[tuple[Problem, Sample]]:
    from pinjra.core.errors import ConfigurationError
    from pinjra.fleet.datasets import Sample, read_samples

    if reference == (samples is not None):
        raise ConfigurationError("give a file of samples, or --reference")
    if samples is None:
        return [(p, Sample(task=p.id, completion=p.reference)) for p in problems.values() if p.reference]
    given = read_samples(samples)
    strangers = sorted({sample.task for sample in given} - set(problems))
    if strangers:
        raise ConfigurationError(f"there is no problem {strangers[0]!r} (and {len(strangers) - 1} more)")
    return [(problems[sample.task], sample) for sample in given]


def _row(problem: Problem, verdict: Verdict) -> dict[str, Any]:
    return {
        "task_id": problem.id,
        "passed": verdict.passed,
        "status": verdict.status,
        "attempts": verdict.attempts,
        "cases": [
            {
                "status": case.status,
                "message": case.message,
                "wall_seconds": round(case.wall_seconds, 4),
                "cpu_seconds": round(case.cpu_seconds, 4),
                "memory_bytes": case.memory_bytes,
            }
            for case in verdict.cases
        ],
    }


def _show(verdicts: list[tuple[str, Verdict]], ks: list[int]) -> int:
    """Print the table; return the exit status."""
    from pinjra.cli import FAILED
    from pinjra.fleet import pass_at_k

    counted = Counter(verdict.status for _, verdict in verdicts)
    for status, count in counted.most_common():
        click.echo(f"{status:15} {count:6}")
    by_task: dict[str, list[bool]] = defaultdict(list)
    for task, verdict in verdicts:
        if verdict.status != "infrastructure":
            by_task[task].append(verdict.passed)
    results = [(len(passed), sum(passed)) for passed in by_task.values()]
    most = max((n for n, _ in results), default=0)
    for k in ks:
        if k <= most:
            click.echo(f"pass@{k:<10} {pass_at_k(results, k):6.3f}")
    return FAILED if counted["infrastructure"] else 0
