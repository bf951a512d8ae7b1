"""Calls of a test that are known before: they save time, and change no verdict."""

from __future__ import annotations

import pytest

from pinjra.core.errors import ConfigurationError, InternalError, StartupFailed
from pinjra.core.limits import Limits
from pinjra.fleet import Case
from pinjra.fleet.engine import LocalEngine, _Lane, task_of
from pinjra.fleet.foresight import Foresight

COUNTER = "n = 0\ndef f(x):\n    global n\n    n += 1\n    return n"


def calls(case):
    return [text.partition('"args": ')[2].partition(', "sizes"')[0] for text in Foresight().of(case).calls]


@pytest.mark.parametrize(
    ("test", "known"),
    [
        ("assert f(1) == 2", ["null", '["t", ["t", 1], {}]']),
        ("assert f('a', n=[1]) == 2", ["null", '["t", ["t", "a"], {"n": ["l", 1]}]']),
        ("def check(candidate):\n    assert candidate(1) == 2", ["null", '["t", ["t", 1], {}]']),
        ("assert f(1) == 2, f(3)", ["null", '["t", ["t", 1], {}]']),  # what is said of a failure is not asked
        ("for i in range(3):\n    assert f(i)", []),
        ("assert f(f(1)) == 2", []),
        ("assert f(*[1]) == 2", []),
        ("assert g.h(1) == 2", []),
        ("assert f(", []),
    ],
)
def test_calls_with_literals_are_read_from_a_test(test, known):
    assert calls(Case(test=test, entry="f")) == known


@pytest.mark.parametrize(
    ("test", "equals"),
    [
        ("assert f(1) == 2\nassert f(2) == [3]", (2, [3])),
        ("META = {}\ndef check(candidate):\n    assert candidate(1) == 2, 'no'\n    assert True", (2,)),
        ("assert f(1) == 2 == 2", None),
        ("assert f(1) != 2", None),
        ("assert abs(f(1)) == 2", None),
        ("assert f(1) == 2\nassert False", None),
        ("assert f(1) == 2\nassert 1 == 2", None),
        ("if f(1) == 2: pass", None),
        ("assert f(1) == 2\nraise KeyError", None),
        ("def check(candidate):\n    assert candidate(1) == 2\nassert f(2) == 3", None),
    ],
)
def test_only_a_test_that_compares_calls_with_literals_is_judged_without_being_run(test, equals):
    assert Foresight().of(Case(test=test, entry="f")).equals == equals


@pytest.mark.parametrize(
    ("code", "test", "verdict"),
    [
        (COUNTER, "assert f(1) == 1\nassert f(1) == 2", "passed"),
        (COUNTER, "assert f(1) == 1\nif f(2) == 2:\n    assert f(3) == 3\nelse:\n    f(4)", "passed"),
        # the second call is asked only where the first is wrong: not what was foreseen
        (COUNTER, "x = 1 if f(1) == 1 else f(5)\nassert f(2) == 2", "passed"),
        (COUNTER, "def check(candidate):\n    assert candidate(1) == 2\nassert f(1) == 1", "passed"),
        ("def f(x): return {x, 'b', 'c'}", "assert f('a') == {'a', 'b', 'c'}", "passed"),
        ("def f(x): return (i for i in range(x))", "assert list(f(3)) == [0, 1, 2]", "passed"),
        ("class A:\n    def __eq__(s, o): return True\ndef f(x): return A()", "assert f(1) == 1", "wrong"),
        ("class A(int): pass\ndef f(x): return A(x)", "assert f(7) == 7", "passed"),
        ("def f(x): return 3", "assert f(1) == 1\nassert f(2) == 3", "wrong"),
        ("def f(x):\n    if x == 2:\n        while True: pass\n    return x", "assert f(1) == 1\nassert f(2) == 2", "processor"),
        # it is wrong before it would have come to where it never ends
        ("def f(x):\n    if x == 2:\n        while True: pass\n    return 0", "assert f(1) == 1\nassert f(2) == 2", "wrong"),
        ("import os\ndef f(x): os._exit(0)", "assert f(1) == 1", "exception"),
        ("def f(x): return 1", "try:\n    f(1, 2)\nexcept TypeError:\n    pass\nelse:\n    assert 0", "passed"),
        ("def f(x): return 1\ndef g(x): return 2", "assert f(1) == 1\nassert g(2) == 2", "passed"),
        ("def f(x): return 1\ndef g(x): return 3", "assert f(1) == 1\nassert g(2) == 2", "wrong"),
        ("def f(x): return 1", "import random\nfor i in range(3):\n    assert f(random.random()) == 1", "passed"),
    ],
)  # fmt: skip
def test_a_verdict_is_the_same_however_much_is_known_of_the_test(fleet, code, test, verdict):
    cpu = 0.3 if "while" in code else 10.0  # five of them burn it
    limits = Limits(wall_seconds=60.0, cpu_seconds=cpu, memory_bytes=256 << 20, output_bytes=100_000)
    case = Case(test=test, entry="f")
    asked = Case(test=f"{test}\n# call by call", entry="f")
    for _ in range(2):
        fleet._engine.foresight.missed(asked)
    programs = [(code, [each]) for each in (case, case, case, asked, asked)]
    assert [each.status for each in fleet.score_many(programs, per_case=limits)] == [verdict] * 5


def test_a_batch_whose_test_another_box_has_missed_meanwhile_is_judged_whole(fleet):
    case = Case(test="assert f(3) == 9\nassert f(4) == 16", entry="f")
    right, wrong = "def f(x): return x * x", "def f(x): return 0"
    assert fleet.score_sync(right, [case]).status == "passed"
    foresight = fleet._engine.foresight
    assert foresight.is_enough(case)
    while foresight.is_enough(case):
        foresight.missed(case)
    lane = _Lane(fleet._engine)
    batch = [task_of(code, case, Limits(), 0) for code in (right, wrong, right)]
    assert [each.status for each in lane.results(batch)] == ["passed", "wrong", "passed"]
    lane.close()


def test_what_another_box_finds_out_is_not_asked_beside_it_while_there_is_other_work(fleet):
    engine = LocalEngine(fleet.session)
    unknown = Case(test="for i in range(3):\n    assert f(i) == i", entry="f")
    tasks = [task_of("", case, Limits(), 0) for case in (unknown, unknown, Case(stdout=""), unknown)]
    engine._tasks.extend(tasks)
    with engine.foresight.asking(unknown):
        assert [engine._first(), engine._first()] == [tasks[2], tasks[3]]
    assert [engine._first(), engine._first()] == tasks[:2]


def test_a_fault_of_our_own_takes_neither_the_thread_nor_whoever_waits(fleet):
    def tell(executor, ends):
        if "exception" in ends:
            raise LookupError("a fault of our own")

    engine = LocalEngine(fleet.session, least=1, most=1, tell=tell)
    try:
        case = Case(stdout="1\n")
        failing, working = (task_of(code, case, Limits(), 0) for code in ("1 / 0", "print(1)"))
        engine.submit(failing)
        with pytest.raises(InternalError, match="a fault of our own"):
            failing.future.result(300)
        engine.submit(working)
        assert working.future.result(300).status == "passed"
    finally:
        engine.close()


def test_who_has_stopped_waiting_takes_no_thread_with_him(fleet):
    engine = LocalEngine(fleet.session, least=1, most=1)
    try:
        left, after = (task_of("print(1)", Case(stdout="1\n"), Limits(), 0) for _ in range(2))
        left.future.cancel()
        engine.submit(left)
        engine.submit(after)
        assert after.future.result(300).status == "passed"
    finally:
        engine.close()


def test_why_no_box_comes_up_is_told_once_however_often_it_is_tried(caplog):
    reasons = iter([StartupFailed("no room"), StartupFailed("no room"), ConfigurationError("no such thing")])

    def make():
        raise next(reasons)

    engine = LocalEngine(make, least=1, most=1)
    try:
        task = task_of("print(1)", Case(stdout="1\n"), Limits(), 0)
        engine.submit(task)
        assert task.future.result(300).status == "infrastructure"
    finally:
        engine.close()
    told = [record.getMessage() for record in caplog.records if record.name.startswith("pinjra.fleet")]
    assert told == [f"a box could not be opened: {why}" for why in ("no room", "no such thing")]
