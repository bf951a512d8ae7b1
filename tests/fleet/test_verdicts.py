"""Verdicts: right is passed, wrong is wrong, and nothing that a program does to its own process changes that."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.fleet import Case, Fleet, pass_at_k
from pinjra.fleet.cases import CaseResult, Verdict
from pinjra.fleet.datasets import read_problems, read_samples
from pinjra.fleet.engine import Task, _in_time
from pinjra.fleet.requests import Request, result_of

ESCAPES = sorted((Path(__file__).resolve().parents[1] / "escapes").glob("grader_*.py"))
LIMITS = Limits(wall_seconds=5.0, cpu_seconds=2.0, memory_bytes=256 << 20, output_bytes=100_000)


# Tests that a right program has passed before: what they ask is known then, and goes to the next program in one piece.
KNOWN = (
    Case(test="# known\nassert all(map(lambda x: solve(x) == x * x + 41, range(3)))", entry="solve"),
    Case(test="# known\nfor x in range(3):\n    assert math.isclose(solve(x), x * x + 41)", entry="solve"),
)


@pytest.fixture(scope="module", autouse=True)
def known(fleet):
    for case in KNOWN:
        assert status(fleet, "def solve(x): return x * x + 41", case) == "passed"


def status(fleet, code, *cases, **options):
    return fleet.score_sync(code, cases, per_case=LIMITS, **options).status


@pytest.mark.parametrize(
    ("seen", "wanted", "compare", "verdict"),
    [
        ("6", "6\n", "lines", "passed"),
        ("6  \n\n", "6", "lines", "passed"),
        ("6 7", "6\n7", "lines", "wrong"),
        ("6 7", "6\n7", "tokens", "passed"),
        ("6", "6", "exact", "wrong"),
        ("0.3333333333", "0.33333333", "numbers", "passed"),
        ("0.34", "0.33", "numbers", "wrong"),
        ("nan", "1", "numbers", "wrong"),
        ("abc", "ABC", lambda a, b: a.strip().lower() == b.lower(), "passed"),
    ],
)
def test_printed_text_is_compared_as_asked(fleet, seen, wanted, compare, verdict):
    assert status(fleet, f"print({seen!r})", Case(stdout=wanted, compare=compare)) == verdict


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("print(int(input()) * 2)", "passed"),
        ("print(int(input()) * 2)\nraise SystemExit(1)", "exception"),
        ("print(int(input()) + 1)", "wrong"),
        ("print(int(input()) / 0)", "exception"),
        ("print(", "compile"),
        ("import time; time.sleep(60)", "wall"),
        ("while True: pass", "processor"),
        ("x = bytearray(1 << 30)", "memory"),
        ("while True: print('x' * 100)", "output"),
    ],
)
def test_each_way_to_fail_has_its_name(fleet, code, verdict):
    limits = Limits(
        wall_seconds=2.0 if "sleep" in code else 60.0,
        cpu_seconds=0.3 if verdict == "processor" else 10.0,
        memory_bytes=256 << 20,
        output_bytes=100_000,
    )
    assert fleet.score_sync(code, [Case(stdin="3\n", stdout="6\n")], per_case=limits).status == verdict


@pytest.mark.parametrize(
    ("code", "expected", "verdict"),
    [
        ("def f(x): return x + 1", 3, "passed"),
        ("def f(x): return x", 3, "wrong"),
        ("def f(x): return True", 1, "passed"),
        ("def f(x):\n    yield 1\n    yield x", [1, 2], "passed"),
        ("async def f(x): return x", 2, "passed"),
        ("class Solution:\n    def f(self, x): return x", 2, "passed"),
        ("def f(x): return float('nan')", math.nan, "passed"),
        ("def f(x): return x\nif __name__ == '__main__':\n    print(f(int(input())))", 2, "passed"),
        ("import numpy\ndef f(x): return [numpy.float64(x), numpy.bool_(True)]", [2.0, True], "passed"),
        ("import numpy\ndef f(x): return numpy.array([])", np.array([1.0]), "wrong"),
        ("import numpy\ndef f(x): return numpy.array([1.0])", np.array([1.0, 1.0]), "wrong"),
        ("def f(x): return [1, (2, 3), {'a': None}]", [1, (2, 3), {"a": None}], "passed"),
        ("def f(x): return [1, [2, 3]]", [1, (2, 3)], "wrong"),
        ("def f(x): raise KeyError(x)", 3, "exception"),
        ("g = 1", 3, "exception"),
        ("class A:\n    def __eq__(s, o): return True\ndef f(x): return A()", 3, "wrong"),
        (
            "class A(int):\n    def __eq__(s, o): return True\n    __hash__ = None\ndef f(x): return A(7)",
            3,
            "wrong",
        ),
        (
            "class A(list):\n    def __eq__(s, o): return True\n    def __len__(s): return 1\ndef f(x): return A()",
            [3],
            "wrong",
        ),
    ],
)
def test_a_function_is_called_and_its_value_compared_on_the_host(fleet, code, expected, verdict):
    assert status(fleet, code, Case(call="f", args=(2,), equals=expected)) == verdict


def test_a_test_runs_in_another_box_and_may_use_all_that_the_program_defines(fleet):
    code = (
        "class Stack:\n    def __init__(self): self.items = []\n    def push(self, x): self.items.append(x)\n"
        "    def pop(self): return self.items.pop()\nLIMIT = 3\ndef total(*numbers): return sum(numbers)\n"
        "def fail(): raise KeyError('no')"
    )
    test = (
        "s = Stack()\ns.push(1)\ns.push([2])\nassert s.pop() == [2] and s.pop() == 1\nassert LIMIT == 3\n"
        "assert total(1, 2) == 3\ntry:\n    fail()\nexcept KeyError:\n    pass\nelse:\n    raise AssertionError"
    )
    assert status(fleet, code, Case(test=test)) == "passed"
    assert status(fleet, code, Case(test=test + "\nassert total() == 1")) == "wrong"


@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("def f(n): yield from range(n)", "assert list(f(3)) == [0, 1, 2] and next(f(1)) == 0\nassert sum(f(4)) == 6"),
        (
            "class E(Exception): pass\ndef f(x): raise E('no')",
            "try:\n    f(1)\nexcept E as e:\n    assert str(e) == 'no'\nelse:\n    assert 0",
        ),
        ("def f(g, x): return g(g(x))", "assert f(lambda v: v + 1, 1) == 3"),
        ("def f(g):\n    return lambda *a: g(*a) * 2", "@f\ndef h(x): return x + 1\nassert h(1) == 4"),
        ("class M:\n    def __enter__(self): return 5\n    def __exit__(self, *e): pass", "with M() as m:\n    assert m == 5"),
        (
            "class Stack(list):\n    push = list.append\nimport enum\nclass C(enum.Enum):\n    A = 1",
            "s = Stack()\ns.push(1)\nassert s == [1] and s.pop() == 1 and len(s) == 0 and C.A == C.A and C.A.value == 1",
        ),
        ("async def f(x): return x + 1", "import asyncio\nassert asyncio.run(f(1)) == 2"),
        (
            "from dataclasses import dataclass\n@dataclass\nclass A:\n    b: int\n    def put(self, n): self.b += n",
            "a = A(5)\na.put(3)\nassert a.b == 8 and A(1) == A(1) and A(1) != A(2)",
        ),
        (
            "class S:\n    def __init__(s): s.i = [4, 5]\n    def __len__(s): return 2\n"
            "    def __getitem__(s, k): return s.i[k]\n    def __iter__(s): return iter(s.i)\n    def __str__(s): return 'S'",
            "s = S()\nassert len(s) == 2 and s[-1] == 5 and 4 in s and [*s] == [4, 5] and str(s) == 'S' and isinstance(s, S)",
        ),
    ],
)  # fmt: skip
def test_right_programs_of_all_styles_pass_a_test_of_another_box(fleet, code, test):
    assert status(fleet, code, Case(test=test)) == "passed"
    assert status(fleet, code, Case(test=f"{test}\nassert False")) == "wrong"


def test_a_number_that_counts_is_not_near_to_another(fleet):
    for compare in ("numbers", "json"):
        assert status(fleet, "print(1000000008)", Case(stdout="1000000007", compare=compare)) == "wrong"
        assert status(fleet, "print(1000000008.0)", Case(stdout="1000000007", compare=compare)) == "wrong"
        assert status(fleet, "print(7.0000000001)", Case(stdout="7", compare=compare)) == "passed"
    assert (
        status(fleet, "print('[1, {\"a\": 0.3}]')", Case(stdout='[1, {"a": 0.30000001}]', compare="json"))
        == "passed"
    )


def test_what_ends_by_a_signal_each_time_has_ended_itself(fleet):
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    verdict = fleet.score_sync(code, [Case(stdout="1")], per_case=LIMITS)
    assert (verdict.status, verdict.attempts) == ("exception", 5)


WAITS = """
import ctypes, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
ctypes.CDLL(None).prctl(15, b"fleet-%d")
signal.sigwait([signal.SIGUSR1])
print(6)
"""


def pid_of(name):
    """Wait for a process that has given itself a name."""
    while True:
        for path in Path("/proc").glob("[0-9]*/comm"):
            try:
                if path.read_text() == f"{name}\n":
                    return int(path.parent.name)
            except OSError:  # it has ended meanwhile
                continue
        time.sleep(0.02)


def test_what_a_stranger_kills_is_run_again_and_judged_by_what_it_does(fleet):
    name = f"fleet-{os.getpid()}"
    limits = replace(LIMITS, wall_seconds=3600.0)
    soon = fleet.score_soon(WAITS % os.getpid(), [Case(stdout="6")], per_case=limits)
    killed = pid_of(name)
    os.kill(killed, signal.SIGKILL)
    while (again := pid_of(name)) == killed:
        pass
    os.kill(again, signal.SIGUSR1)
    verdict = soon.result()
    assert (verdict.status, verdict.attempts) == ("passed", 2)


def test_a_program_gains_no_time_by_killing_itself():
    passed = CaseResult(status="passed", wall_seconds=2.0)
    task = Task(request=Request(limits=LIMITS), spent_seconds=2.5)
    assert _in_time(task, passed) is passed
    for spent in ({"spent_seconds": 3.5}, {"spent_seconds": 2.5, "spent_cpu_seconds": 2.5}):
        again = Task(request=Request(limits=LIMITS), **spent)
        assert _in_time(again, passed).reason == "infrastructure"
    wrong = replace(passed, status="wrong")
    assert _in_time(again, wrong) is wrong


@pytest.mark.parametrize(
    ("argv", "code", "is_killed"),
    [
        ((), -signal.SIGKILL, True),
        ((), -signal.SIGTERM, True),
        ((), -signal.SIGSEGV, False),
        ((), 137, False),
        (("bash",), 137, True),  # so a shell says what became of its program
        (("bash",), 139, False),
        (("bash",), 1, False),
    ],
)
def test_a_death_that_nothing_explains_is_told_from_others(argv, code, is_killed):
    said = {
        "status": -code if code < 0 else code << 8, "cause": "", "report": {}, "stdout": b"", "stderr": b"", "lost_bytes": 0,
        "wall_seconds": 1.0, "cpu_seconds": 1.0, "memory_bytes": 1,
    }  # fmt: skip
    assert result_of(Request(argv=argv, limits=LIMITS), said).is_killed is is_killed


def test_a_comparison_that_fails_is_no_end_of_anything(fleet):
    case = Case(call="f", args=(1,), equals=1, compare=lambda seen, wanted: abs(seen - wanted) < 1)
    assert status(fleet, "def f(x): return 'text'", case) == "wrong"
    assert status(fleet, "def f(x): return 10**5000", Case(call="f", args=(1,), equals=1)) == "wrong"
    assert status(fleet, "def f(x): return x", case) == "passed"


def test_stopping_at_the_first_and_running_all(fleet):
    cases = [Case(stdin=str(i), stdout=str(i * 2 if i < 3 else i)) for i in range(1, 6)]
    code = "print(int(input()) * 2)"
    first = fleet.score_sync(code, cases, per_case=LIMITS)
    whole = fleet.score_sync(code, cases, per_case=LIMITS, stop_at=None)
    assert ([c.status for c in first.cases], first.status) == (["passed", "passed", "wrong"], "wrong")
    assert ([c.status for c in whole.cases], whole.fraction) == (["passed"] * 2 + ["wrong"] * 3, 0.4)


def test_many_programs_are_judged_at_once_under_asyncio(fleet):
    async def main():
        wanted = [(f"print({i})", [Case(stdout=str(i if i % 3 else i + 1))]) for i in range(30)]
        found = [verdict async for verdict in fleet.score_many(wanted)]
        one = await fleet.score("print(1)", [Case(stdout="1")])
        return [v.passed for v in found], one.passed

    passed, one = asyncio.run(main())
    assert passed == [bool(i % 3) for i in range(30)]
    assert one


@pytest.mark.parametrize("path", ESCAPES, ids=lambda path: path.stem)
def test_no_cheat_is_passed(fleet, path):
    """Each file defines what it likes and solves nothing: `solve(x)` should be x * x + 41."""
    code = path.read_text("utf-8")
    tests = (
        Case(test="assert solve(7) == 90\nassert solve(8) == 105", entry="solve"),
        Case(test="def check(f):\n    assert f(9) == 122", entry="solve", setup="def solve(x):\n    pass\n"),
        Case(test="assert all(map(lambda x: solve(x) == x * x + 41, range(3)))"),
        Case(test="for x in range(3):\n    assert math.isclose(solve(x), x * x + 41)"),
        Case(test="with other as f:\n    assert [*other] == [41] and f == 41"),
    )
    programs = [
        (code, [Case(stdin="7", stdout="90"), Case(stdin="8", stdout="105")]),
        (code, [Case(stdout="1" + "0" * 5001, compare="numbers")]),
        (code, [Case(call="solve", args=(7,), equals=90), Case(call="solve", args=(8,), equals=105)]),
        (code, [Case(call="solve", args=(11,), equals=10**6000, compare="json")]),
        *((code, [case]) for case in (*tests, *KNOWN)),
    ]
    # only the clock ends these
    is_long = any(each in path.stem for each in ("stops", "starves", "without_end"))
    limits = replace(LIMITS, wall_seconds=0.5) if is_long else LIMITS
    if "stops" in path.stem or "starves" in path.stem:
        programs = programs[:3]
    assert "passed" not in [each.status for each in fleet.score_many(programs, per_case=limits)]


def test_nobody_gains_or_loses_by_who_ran_before(fleet):
    """Programs that spy on others, spoil their box and stop it, among ones that are right; of which none is judged otherwise."""
    right = "import colorsys, os, random\ndef solve(x): return x * x + 41\nopen('f', 'w').write('x')\nprint(solve(int(input())))"
    cheats = [path.read_text("utf-8") for path in ESCAPES if "others" in path.stem or "leaves" in path.stem]
    programs = [
        (right if i % 3 else cheats[i % len(cheats)], [Case(stdin="7", stdout="90")]) for i in range(24)
    ]
    with Fleet(boxes=1, most_boxes=1) as alone:
        passed = [verdict.passed for verdict in alone.score_many(programs, per_case=LIMITS)]
    assert passed == [bool(i % 3) for i in range(24)]


def test_the_expected_answer_is_nowhere_in_the_box(fleet):
    code = """
import gc, sys
word = "-".join(["q7", "expected", "answer"])
found = []
for each in gc.get_objects():
    if isinstance(each, (dict, list, tuple, set)) and each is not found:
        try:
            parts = each.values() if isinstance(each, dict) else each
            found += [type(part) for part in parts if part == word and part is not word]
        except Exception:
            continue
print(found)
"""
    seen = []
    verdict = fleet.score_sync(
        code, [Case(stdout="q7-expected-answer", compare=lambda a, b: seen.append(a) or a == b)]
    )
    assert (verdict.status, seen) == ("wrong", ["[]\n"])


def test_pass_at_k_is_the_unbiased_estimate():
    assert pass_at_k([(10, 10)], 1) == 1.0
    assert pass_at_k([(10, 0)], 5) == 0.0
    assert pass_at_k([(4, 1)], 2) == pytest.approx(0.5)
    assert pass_at_k([(5, 2), (5, 5)], 3) == pytest.approx((1 - 1 / 10 + 1) / 2)
    assert math.isnan(pass_at_k([(1, 1)], 2))


def test_files_of_problems_and_samples_say_which_line_is_wrong(tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"task_id": "a", "cases": [{"stdin": "1", "stdout": "1"}]}\nnot json\n')
    with pytest.raises(ConfigurationError, match="line 2"):
        read_problems(bad)
    bad.write_text('{"task_id": "a"}\n')
    with pytest.raises(ConfigurationError, match="line 1"):
        read_samples(bad)


@pytest.mark.parametrize("wrong", [{}, {"stdout": "1", "call": "f"}, {"stdout": "1", "compare": "about"}])
def test_a_case_is_exactly_one_of_three(wrong):
    with pytest.raises(ConfigurationError):
        Case(**wrong)


@pytest.mark.parametrize("begin", ["import numpy as np\n", ""])
def test_random_numbers_of_numpy_are_the_same_for_each_program_of_a_test(begin):
    case = Case(test=f"{begin}x = float(np.random.rand())\nassert f(1) == x, x", entry="f")
    with Fleet(boxes=1, most_boxes=1) as own:
        said = {own.score_sync(f"def f(x): return {i}", [case]).cases[0].message for i in range(3, 6)}
    assert len(said) == 1, said


@pytest.mark.parametrize("kind", ["UnicodeDecodeError", "UnicodeEncodeError", "ExceptionGroup"])
def test_exceptions_that_want_more_than_a_message_are_caught_by_name(fleet, kind):
    code = (
        "def f(kind):\n    if kind == 'ExceptionGroup': raise ExceptionGroup('no', [ValueError()])\n"
        "    b'\\xff'.decode() if kind == 'UnicodeDecodeError' else '\\ud800'.encode()"
    )
    test = f"try:\n    f({kind!r})\n    assert False\nexcept {kind}:\n    pass"
    verdict = fleet.score_sync(code, [Case(test=test, entry="f")])
    assert verdict.status == "passed", verdict


def test_what_nobody_has_judged_is_no_part_of_the_share():
    cases = [CaseResult(status=status) for status in ("passed", "infrastructure", "wrong")]
    assert Verdict(status="infrastructure", cases=tuple(cases)).fraction == 0.5
    assert Verdict(status="infrastructure", cases=(cases[1],)).fraction == 0.0


def test_a_key_that_takes_minutes_to_write_is_no_key_of_json(fleet):
    code = "import dataclasses, numpy\n@dataclasses.dataclass(frozen=True)\nclass Key:\n    array: object\n"
    code += "    def __hash__(self): return 0\ndef f(): return {Key(numpy.zeros((2,) * 24, numpy.int8)): 1}"
    verdict = fleet.score_sync(code, [Case(call="f", equals={"a": 1}, compare="json")], per_case=LIMITS)
    assert (verdict.status, "is too large" in verdict.cases[0].message) == ("wrong", True)
