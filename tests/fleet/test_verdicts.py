"""Verdicts: right is passed, wrong is wrong, and nothing that a program does to its own process changes that."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.fleet import Case, pass_at_k
from pinjra.fleet.datasets import read_problems, read_samples

ESCAPES = sorted((Path(__file__).resolve().parents[1] / "escapes").glob("grader_*.py"))
LIMITS = Limits(wall_seconds=5.0, cpu_seconds=2.0, memory_bytes=256 << 20, output_bytes=100_000)


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
        cpu_seconds=1.0,
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
    verdicts = {
        "printed": status(fleet, code, Case(stdin="7", stdout="90"), Case(stdin="8", stdout="105")),
        "called": status(
            fleet, code, Case(call="solve", args=(7,), equals=90), Case(call="solve", args=(8,), equals=105)
        ),
        "tested": status(
            fleet, code, Case(test="assert solve(7) == 90\nassert solve(8) == 105", entry="solve")
        ),
        "checked": status(
            fleet,
            code,
            Case(
                test="def check(candidate):\n    assert candidate(9) == 122",
                entry="solve",
                setup="def solve(x):\n    pass\n",
            ),
        ),
    }
    assert "passed" not in verdicts.values(), verdicts


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
