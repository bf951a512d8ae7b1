"""Rewards as verl asks for them: by its own loader where it is installed, and by the signature of its reward managers."""

from __future__ import annotations

import asyncio
import inspect
import json

import pytest

from pinjra.core.errors import BackendError, ConfigurationError
from pinjra.fleet import verl as ours
from pinjra.fleet.cases import CaseResult, Verdict

ANSWER = "I double it.\n```python\nprint(int(input()) * 2)\n```\nThat is all."
DOUBLES = {"inputs": ["3\n", "5\n", "8\n"], "outputs": ["6\n", "10\n", "17\n"]}


def reward(answer, ground_truth, **options):
    call = ours.compute_score(
        data_source="codecontests", solution_str=answer, ground_truth=ground_truth, extra_info={}, boxes=1, **options
    )  # fmt: skip
    return asyncio.run(call)


@pytest.mark.parametrize(
    ("answer", "truth", "score", "status"),
    [
        (ANSWER, {**DOUBLES, "outputs": ["6", "10", "16"]}, 1.0, "passed"),
        (ANSWER, DOUBLES, 0.0, "wrong"),
        ("print(int(input()) * 2)", {"inputs": ["3"], "outputs": ["6"]}, 1.0, "passed"),
        ("```python\nprint(\n```", DOUBLES, 0.0, "compile"),
        ("```python\nprint(1)\n```\nno:\n```python\nprint(2)", {"inputs": [""], "outputs": ["2"]}, 1.0, "passed"),
        ("def f(a, b): return (a, b)", {"fn_name": "f", "inputs": ["1\n[2]"], "outputs": ["[1, [2]]"]}, 1.0, "passed"),
        (
            "class Solution:\n    def f(self, a): return a + 0.1",
            {"fn_name": "f", "inputs": [[0.2]], "outputs": [0.3]}, 1.0, "passed",
        ),
        ("def f(x): return x", {"assert_case": ["assert f(1) == 1", "assert f(2) == 3"]}, 0.0, "wrong"),
        ("def f(x): return x", {"task_id": 1, "test_list": ["assert f(1) == 1"]}, 1.0, "passed"),
    ],
)  # fmt: skip
def test_the_reward_of_an_answer(fleet, answer, truth, score, status):
    for each in (truth, json.dumps(truth)):
        found = reward(answer, each)
        assert (found["score"], found["acc"], found["status"]) == (score, score, status)


def test_the_share_of_cases_and_the_same_columns_for_each(fleet):
    part = reward(ANSWER, DOUBLES, continuous=True)
    assert (part["score"], part["acc"]) == (pytest.approx(2 / 3), 0.0)
    assert part.keys() == reward("```\n1 / 0\n```", DOUBLES).keys()


def test_a_batch_at_once(fleet):
    truths = [{"inputs": ["3"], "outputs": [str(n)]} for n in range(10)]
    found = ours.compute_scores(
        data_sources=["apps"] * 10, solution_strs=[ANSWER] * 10, ground_truths=truths, extra_infos=[{}] * 10, boxes=1
    )  # fmt: skip
    assert [each["score"] for each in found] == [0.0] * 6 + [1.0] + [0.0] * 3


def test_what_the_machine_prevents_is_no_reward(fleet):
    with pytest.raises(BackendError, match="no_such_module"):
        reward(ANSWER, DOUBLES, preload=("no_such_module",))
    with pytest.raises(ConfigurationError, match="ground_truth"):
        reward(ANSWER, "42")


def test_verl_loads_it_and_calls_it_by_its_own_reward_manager(fleet):
    pytest.importorskip("verl")
    from omegaconf import OmegaConf
    from verl.trainer.ppo.reward import get_custom_reward_fn

    function = {
        "path": "pkg://pinjra.fleet.verl",
        "name": "compute_score",
        "reward_kwargs": {"continuous": True, "boxes": 1},
    }
    config = OmegaConf.create({"reward": {"custom_reward_function": function}})
    loaded = get_custom_reward_fn(config)
    assert inspect.iscoroutinefunction(loaded.func)
    found = asyncio.run(
        loaded(data_source="apps", solution_str=ANSWER, ground_truth=DOUBLES, extra_info={"index": 1})
    )
    assert found["score"] == pytest.approx(2 / 3)


def test_a_share_of_cases_is_no_reward_where_one_of_them_has_no_verdict(monkeypatch):
    ends = ["wrong", "infrastructure", "passed"]
    verdict = Verdict(status="wrong", cases=tuple(CaseResult(status=end, message=end) for end in ends))

    class Judged:
        async def score(self, code, cases, **options):
            return verdict

    monkeypatch.setattr(ours, "shared_fleet", lambda engine, **options: Judged())
    with pytest.raises(BackendError, match="no verdict: infrastructure"):
        reward(ANSWER, DOUBLES, continuous=True)
