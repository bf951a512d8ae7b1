"""A fleet whose boxes are pods, and claims of agent-sandbox, against the stand-in of a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from pinjra.core.limits import Limits
from pinjra.fleet import Case, Fleet


@pytest.fixture(params=[{}, {"warm_pool": "pool"}], ids=["pods", "claims"])
def pods(kubernetes: Any, request: Any):
    box = Limits(wall_seconds=None, cpu_seconds=None, operations=None, memory_bytes=None, output_bytes=None)
    with Fleet("kubernetes", boxes=1, most_boxes=1, scratch="", box_limits=box, **request.param) as made:
        yield made


@pytest.mark.slow
def test_snippets_verdicts_and_sessions_in_pods(pods: Any, kubernetes_server: Any):
    before = len(kubernetes_server.created)
    done = pods.map([f"print({i} * 2)" for i in range(20)], ordered=True)
    assert [each.stdout for each in done] == [f"{2 * i}\n" for i in range(20)]
    verdicts = pods.score_many(
        [
            ("def f(x): return x", [Case(test="assert f(2) == 2")]),
            ("def f(x): return 2", [Case(call="f", args=(3,), equals=3)]),
        ]
    )
    assert [verdict.status for verdict in verdicts] == ["passed", "wrong"]
    assert len(kubernetes_server.created) - before <= 2  # one for programs, one for tests
    with pods.session() as box:
        box.run("x = 41")
        assert box.run("x + 1").value == 42


@pytest.mark.slow
def test_a_pod_that_dies_is_replaced_and_loses_nothing(pods: Any, kubernetes_server: Any):
    seen = []
    for done in pods.map([f"import time\ntime.sleep(0.02)\nprint({i})" for i in range(60)]):
        seen.append((done.index, done.stdout))
        if len(seen) == 10:
            for name in list(kubernetes_server.pods):
                kubernetes_server.kill(name)
    assert sorted(seen) == [(i, f"{i}\n") for i in range(60)]
