"""How many boxes there are, and how many snippets go to one together: few at first, more while it helps."""

from __future__ import annotations

import pytest

from pinjra.fleet.concurrency import Concurrency


def learned(*batches):
    limits = Concurrency(2, 16, 2)
    for times, wall, cpu, delay in batches:
        for _ in range(times):
            limits.learn(10, wall_seconds=wall, cpu_seconds=cpu, delay_seconds=delay)
    return limits


@pytest.mark.parametrize(
    ("batches", "limit"),
    [
        ([], 2),
        ([(1, 1.0, 0.01, 0.001)], 3),  # one box more with each batch
        ([(500, 1.0, 0.01, 0.001)], 16),  # they only wait
        ([(500, 1.0, 1.0, 0.001)], 2),  # the processors are busy
        ([(500, 1.0, 0.49, 0.001)], 4),
        ([(500, 0.04, 0.03, 0.001)], 2),  # what is left of their time is their forks
        ([(500, 0.0, 0.0, 0.001)], 2),  # nothing was measured
        ([(500, 1.0, 0.01, 0.001), (50, 1.0, 0.01, 0.1)], 11),  # all is slower than it was
        ([(500, 1.0, 0.01, 0.001), (300, 1.0, 0.01, 0.1)], 2),
        ([(1, 1.0, 0.01, 0.001), (600, 1.0, 0.01, 0.1)], 16),  # and that is how it is now
        ([(500, 1.0, 0.01, 0.001), (200, 1.0, 1.0, 0.001)], 2),  # they no longer wait
    ],
)
def test_boxes_grow_while_snippets_wait_and_nothing_gets_slower_and_shrink_again(batches, limit):
    assert learned(*batches).limit == limit


def test_a_box_that_does_not_come_up_is_one_too_many():
    limits = learned((500, 1.0, 0.01, 0.001))
    for _ in range(3):
        limits.shrink()
    assert limits.limit == 13


@pytest.mark.parametrize(("wall", "batch"), [(0.01, 16), (0.4, 5), (30.0, 1)])
def test_short_snippets_go_together_and_long_ones_alone(wall, batch):
    assert learned().batch == 4
    assert learned((100, wall, 0.0, 0.001)).batch == batch
