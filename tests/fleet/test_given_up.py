"""Who takes no more results, or cancels a verdict, has nothing more begun."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import replace

import pytest

from pinjra.core.errors import BackendError, PinjraError
from pinjra.executors.registry import sandbox
from pinjra.fleet import Case, Fleet
from pinjra.fleet.cases import PER_CASE
from pinjra.fleet.engine import LocalEngine, Task, _Lane
from pinjra.fleet.foresight import Foresight
from pinjra.fleet.requests import Request
from pinjra.fleet.results import Results


def results(begun):
    """Results of futures of which the first is done; the others are in `begun` with it."""

    def calls():
        for number in itertools.count():
            future = Future()
            begun.append(future)
            if not number:
                future.set_result("first")
            yield lambda future=future: future

    return Results(calls(), 4, lambda index, result: result, ordered=False, progress=False)


def test_what_nobody_takes_is_cancelled():
    begun = []
    for each in results(begun):
        assert each == "first"
        break
    assert len(begun) == 4
    assert all(future.cancelled() for future in begun[1:])


def test_what_ends_after_the_loop_of_asyncio_is_nobodys_trouble(caplog):
    begun = []

    async def taken():
        async for each in results(begun):
            assert each == "first"
            for future in begun[1:]:
                future.set_running_or_notify_cancel()
            break

    with caplog.at_level(logging.DEBUG, "concurrent.futures"):
        asyncio.run(taken())
        for future in begun[1:]:
            future.set_result("late")
    assert len(begun) == 4
    assert not caplog.records


def test_a_snippet_that_was_cancelled_is_not_run():
    ends = Counter()
    tasks = [Task(request=Request(code="print(1)", limits=PER_CASE)) for _ in range(3)]
    tasks[1].future.cancel()
    engine = LocalEngine(
        lambda: sandbox("jail", authorized_imports=["*"], guard=False, rollback=False),
        least=1,
        most=1,
        tell=lambda executor, told: ends.update(told),
    )
    try:
        engine.open().close()
    except PinjraError as error:
        pytest.skip(f"no jail here: {error}")
    try:
        for task in tasks:
            engine.submit(task)
        assert [task.future.result(300).stdout for task in (tasks[0], tasks[2])] == ["1\n"] * 2
    finally:
        engine.close()
    assert ends == {"ok": 2}


class Taking:
    """Stands for an engine: takes tasks, and does nothing."""

    def __init__(self):
        self.tasks = []

    def submit(self, task):
        self.tasks.append(task)


@pytest.mark.parametrize(("stop_at", "begun"), [("first", 1), (None, 3)])
def test_no_more_cases_of_a_cancelled_verdict_are_begun(stop_at, begun):
    fleet = Fleet()
    engine = fleet._engine = Taking()
    verdict = fleet.score_soon("", [Case(stdout="")] * 3, stop_at=stop_at)
    assert verdict.cancel()
    assert len(engine.tasks) == begun
    assert all(task.future.cancelled() for task in engine.tasks)


@pytest.mark.parametrize("stop_at", ["first", None])
def test_a_case_that_could_not_be_judged_by_our_own_fault_is_told_to_who_waits_for_the_verdict(stop_at):
    fleet = Fleet()
    engine = fleet._engine = Taking()
    verdict = fleet.score_soon("", [Case(stdout="")] * 3, stop_at=stop_at)
    engine.tasks[0].future.set_exception(BackendError("nodes died"))
    with pytest.raises(BackendError, match="nodes died"):
        verdict.result(60)


def opened(count, **options):
    """An engine whose boxes are counted, and the list in which they are."""
    boxes = []

    def make():
        boxes.append(sandbox("jail", authorized_imports=["*"], guard=False, rollback=False))
        return boxes[-1]

    engine = LocalEngine(make, **options)
    try:
        engine.open().close()
    except PinjraError as error:
        pytest.skip(f"no jail here: {error}")
    boxes.clear()
    tasks = [Task(request=Request(code="print(1)", limits=PER_CASE)) for _ in range(count)]
    return engine, boxes, tasks


def test_there_are_never_more_boxes_than_the_most():
    engine, boxes, tasks = opened(64, least=4, most=1)
    for task in tasks:
        engine.submit(task)
    assert {task.future.result(300).stdout for task in tasks} == {"1\n"}
    engine.close()
    assert len(boxes) == 1


def test_who_closes_a_fleet_waits_for_no_program():
    engine, boxes, [first, second] = opened(2, least=1, most=1)
    engine.submit(first)
    first.future.result(300)
    sleeping = Task(
        request=Request(code="import time\ntime.sleep(100)", limits=replace(PER_CASE, wall_seconds=100.0))
    )
    engine.submit(sleeping)
    while engine._tasks:  # a box has taken it, or is about to
        time.sleep(0.01)
    engine.submit(second)
    engine.close()
    assert sleeping.future.cancelled()
    assert second.future.cancelled()
    assert len(boxes) == 1


SLEEPS = Request(code="import time\ntime.sleep(3600)", limits=replace(PER_CASE, wall_seconds=3600.0))


@pytest.mark.parametrize("is_open", [True, False], ids=["in a box", "while its box opens"])
def test_what_was_begun_and_nobody_waits_for_holds_up_nobody(is_open):
    engine, boxes, [first, second] = opened(2, least=1, most=1)
    if is_open:
        engine.submit(first)
        first.future.result(300)
    sleeping = Task(request=SLEEPS)
    engine.submit(sleeping)
    while engine._tasks:  # a box has taken it, or is about to
        time.sleep(0.01)
    engine.submit(second)
    sleeping.future.cancel()
    assert second.future.result(300).stdout == "1\n"
    engine.close()
    assert len(boxes) <= 2


class Waiting:
    """Stands for a box that waits; `told` becomes true when it is given up."""

    told = False

    def leave(self):
        self.told = True

    def close(self):
        pass


def test_a_box_that_somebody_still_waits_for_goes_on():
    engine, _, tasks = opened(3, least=1, most=1)
    lane, box = _Lane(engine), Waiting()
    lane._boxes["program"] = box
    with lane.working(tasks[:2]):
        tasks[0].future.cancel()
        assert not box.told
        tasks[1].future.set_result("done")
        assert not box.told
    with lane.working(tasks[2:]):
        pass
    tasks[2].future.cancel()  # its batch is over
    assert not box.told
    assert lane._boxes == {"program": box}
    engine.close()


class Forgetful(dict):
    """Plans that another thread has forgotten each time."""

    def __setitem__(self, key, value):
        pass


def test_what_is_known_of_a_test_may_be_forgotten_at_any_time():
    foresight = Foresight()
    foresight._plans = Forgetful()
    assert foresight.of(Case(test="assert f(1) == 1", entry="f")).names == ("f",)
