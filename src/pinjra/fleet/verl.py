"""For verl: an answer -> its reward, by the cases in the ground truth.

    reward.custom_reward_function.path=pkg://pinjra.fleet.verl
    reward.custom_reward_function.name=compute_score

`compute_score` has the signature of verl's reward functions; verl awaits it. Further parameters are `reward_kwargs`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pinjra.core.errors import BackendError, ConfigurationError
from pinjra.core.limits import Limits
from pinjra.fleet.cases import Case, Verdict
from pinjra.fleet.datasets import cases_of, code_of
from pinjra.fleet.fleet import shared_fleet

__all__ = ["compute_score", "compute_scores"]

GroundTruth = str | Mapping[str, Any]


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: GroundTruth,
    extra_info: Mapping[str, Any] | None = None,
    *,
    engine: str = "local",
    continuous: bool = False,
    wall_seconds: float = 10.0,
    memory_limit_mb: int = 1024,
    reward_router_address: object = None,
    reward_model_tokenizer: object = None,
    **options: Any,
) -> dict[str, Any]:
    """Return the reward of an answer: 1.0 when its program passes all cases, else 0.0, with the reason beside it.

    Args:
        solution_str: What the model said; the program is its last fenced block, or all of it where there is none.
        ground_truth: A mapping, or its JSON: {"inputs", "outputs"} with or without "fn_name" as in APPS, TACO and
            CodeContests, "assert_case", "cases", or the line of HumanEval or MBPP.
        continuous: The share of cases that passed instead.
        wall_seconds, memory_limit_mb: Of each case.
        engine, options: Of the `Fleet` (isolation, boxes, token, …), one for all calls of this process.

    Raises:
        BackendError: The infrastructure prevented a verdict, each time. A reward of 0 would teach something wrong.
        ConfigurationError: The ground truth is none of these (the data's fault).
    """
    cases = _cases(ground_truth)
    limits = Limits(wall_seconds=wall_seconds, cpu_seconds=wall_seconds, memory_bytes=memory_limit_mb << 20)
    verdict = await shared_fleet(engine, **options).score(
        code_of(solution_str), cases, per_case=limits, stop_at=None if continuous else "first"
    )
    prevented = [case.message for case in verdict.cases if case.status == "infrastructure"]
    if prevented:
        raise BackendError(f"no verdict: {prevented[0]}")
    return _reward(verdict, len(cases), continuous)


def compute_scores(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[GroundTruth],
    extra_infos: Sequence[Mapping[str, Any] | None] = (),
    **options: Any,
) -> list[dict[str, Any]]:
    """Return the rewards of a whole batch, all at once: for verl's reward manager "batch". See `compute_score`."""

    async def all_of_them() -> list[dict[str, Any]]:
        each = zip(data_sources, solution_strs, ground_truths, strict=True)
        return await asyncio.gather(*(compute_score(*one, **options) for one in each))

    return asyncio.run(all_of_them())


def _cases(ground_truth: GroundTruth) -> Sequence[Case]:
    try:
        row = json.loads(ground_truth) if isinstance(ground_truth, str) else ground_truth
        found = cases_of(row)
    except (ValueError, KeyError, TypeError, AttributeError, SyntaxError) as error:
        raise ConfigurationError(f"ground_truth= holds no cases: {error!r}") from error
    if not found:
        raise ConfigurationError(
            'ground_truth= has "inputs" and "outputs", "assert_case", "cases" or "test_list"'
        )
    return found


def _reward(verdict: Verdict, cases: int, continuous: bool) -> dict[str, Any]:
    """Return verl's dictionary: the same keys for each answer, for it collects them in columns."""
    passed = sum(case.status == "passed" for case in verdict.cases)
    return {
        "score": passed / cases if continuous else float(verdict.passed),
        "acc": float(verdict.passed),
        "status": verdict.status,
        "wall_seconds": sum(case.wall_seconds for case in verdict.cases),
    }
