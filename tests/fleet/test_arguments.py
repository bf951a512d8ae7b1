"""A wrong argument of a fleet is told, by its name, before anything is started; it is never counted against a program."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pinjra import Case, Fleet, Limits
from pinjra.core.errors import ConfigurationError

ONE = [Case(test="assert True")]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Any]:
    with Fleet() as opened:
        yield opened


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"engine": 5}, "engine= takes a text"),
        ({"engine": None}, "engine= takes a text"),
        ({"executor": 5}, "executor= takes a text"),
        ({"executor": "jial"}, "'jail'"),
        ({"isolation": ["fork"]}, "isolation="),
        ({"preload": "numpy"}, "preload= takes several texts"),
        ({"preload": 5}, "preload= takes several texts"),
        ({"boxes": 0}, "boxes= takes a whole number above 0"),
        ({"boxes": "2"}, "boxes= takes a whole number above 0"),
        ({"most_boxes": 1.5}, "most_boxes= takes a whole number above 0"),
        ({"limits": {"wall_seconds": 5}}, "limits= takes Limits"),
        ({"box_limits": 5}, "box_limits= takes Limits"),
        ({"seed": "a"}, "seed= takes a whole number"),
        ({"boxs": 3}, "did you mean boxes="),
        ({"package": ["numpy"]}, "did you mean packages="),
        ({"memory_limit": 5}, "did you mean limits="),
    ],
)
def test_a_fleet_says_what_is_wrong_with_its_parameters(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        Fleet(**given)
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tset": "1"}, "did you mean test="),
        ({"test": 5}, "test= takes a text"),
        ({"test": "1", "setup": None}, "setup= takes a text"),
        ({"call": "f", "args": 5}, "args= takes a tuple"),
        ({"call": "f", "args": "ab"}, "args= takes a tuple"),
        ({"call": "f", "kwargs": [1]}, "kwargs= takes a dict"),
        ({"stdout": b"1"}, "stdout= takes a text"),
        ({"stdout": "1", "stdin": 5}, "stdin= takes"),
        ({"stdout": "1", "stdin": None}, "stdin= takes"),
        ({"stdout": "1", "files": ["a.txt"]}, "files= takes a dict"),
        ({"stdout": "1", "files": {"a.txt": "text"}}, "files['a.txt'] is bytes, not str"),
        ({"stdout": "1", "files": {"../a.txt": b""}}, "plain relative path"),
        ({"stdout": "1", "compare": ["lines"]}, "compare= is"),
        ({}, "exactly one of"),
    ],
)
def test_a_case_says_what_is_wrong_with_it(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        Case(**given)
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda f: f.score_sync(5, ONE), "code= takes a text"),
        (lambda f: f.score_soon(b"x = 1", ONE), "code= takes a text"),
        (lambda f: f.score_sync("x = 1", ONE[0]), "cases= takes several Cases"),
        (lambda f: f.score_sync("x = 1", ["assert True"]), "cases= takes several Cases"),
        (lambda f: f.score_sync("x = 1", iter(ONE)), "cases= takes several Cases"),
        (lambda f: f.score_sync("x = 1", []), "at least one Case"),
        (lambda f: f.score_sync("x = 1", ONE, stop_at="last"), "stop_at= takes 'first', or None"),
        (lambda f: f.score_sync("x = 1", ONE, per_case=5), "per_case= takes Limits"),
        (lambda f: f.score_sync("x = 1", ONE, timeout=5), "timeout"),
        (lambda f: f.score_many(5), "programs= takes several pairs"),
        (lambda f: f.map("print(1)"), "codes= takes several texts"),
        (lambda f: f.map([5]), "codes= takes several texts"),
        (lambda f: f.map(["1"], inputs=5), "inputs= takes"),
        (lambda f: list(f.map(["1"], inputs=[5])), "stdin= takes"),
        (lambda f: f.submit(5), "code= takes a text"),
        (lambda f: f.submit("1", stdin=5), "stdin= takes"),
        (lambda f: f.submit("1", stdin=None), "stdin= takes a text that UTF-8 can write, or bytes"),
        (lambda f: f.submit("1", stdin="\ud800"), "stdin= takes"),
        (lambda f: list(f.map(["1"], inputs=[None])), "stdin= takes"),
        (lambda f: f.score_many(["x = 1"]), "programs= takes several pairs"),
        (lambda f: f.submit("1", fils={}), "did you mean files="),
        (lambda f: f.submit("1", files={"a.txt": "text"}), "files['a.txt'] is bytes, not str"),
        (lambda f: f.submit("1", files={"../a.txt": b""}), "plain relative path"),
    ],
)
def test_what_is_asked_of_a_fleet_in_a_wrong_way_is_nobodys_verdict(
    fleet: Fleet, call: Callable[[Any], object], said: str
) -> None:
    with pytest.raises(ConfigurationError) as told:
        call(fleet)
    assert said in str(told.value)
    assert fleet.score_sync("x = 1", ONE).status == "passed"


def test_an_awaited_verdict_is_refused_in_the_same_words(fleet: Fleet) -> None:
    async def scored(code: Any) -> str:
        return (await fleet.score(code, ONE)).status

    with pytest.raises(ConfigurationError, match="code= takes a text"):
        asyncio.run(scored(5))
    assert asyncio.run(scored("x = 1")) == "passed"


def test_limits_are_given_by_name() -> None:
    with pytest.raises(ConfigurationError, match="by name"):
        Limits(5)  # type: ignore[misc]


SMALL = Limits(wall_seconds=None, cpu_seconds=None, operations=None, value_bytes=1 << 20, tool_calls=None)
FITS = (1 << 20) - (64 << 10) - 100


@pytest.fixture(scope="module")
def small() -> Iterator[Any]:
    with Fleet(boxes=1, box_limits=SMALL) as opened:
        yield opened


@pytest.mark.parametrize(
    "ask",
    [
        lambda fleet: fleet.submit("1", stdin="a" * (1 << 20)),
        lambda fleet: fleet.submit("1", stdin="ä" * (600 << 10)),
        lambda fleet: fleet.submit("#" * (1 << 20)),
        lambda fleet: fleet.submit("1", files={"a": bytes(600 << 10), "b": bytes(600 << 10)}),
        lambda fleet: list(fleet.map(["1"], inputs=[b"a" * (1 << 20)])),
        lambda fleet: fleet.score_sync("1", [Case(stdout=""), Case(stdin="a" * (1 << 20), stdout="")]),
        lambda fleet: fleet.score_sync("1", [Case(test="assert 1 #" + "#" * (1 << 20))]),
        lambda fleet: fleet.score_sync("1", [Case(test="1", setup="#" * (1 << 20))]),
        lambda fleet: fleet.score_sync("1", [Case(files={"a": bytes(1 << 20)}, stdout="")]),
    ],
)
def test_what_is_too_large_to_be_sent_to_a_box_is_refused_when_it_is_given(
    small: Fleet, ask: Callable[[Fleet], object]
) -> None:
    with pytest.raises(ConfigurationError, match="more than can be sent to a box: 1048576"):
        ask(small)


def test_as_much_as_can_be_sent_is_run(small: Fleet) -> None:
    count = "import sys\nprint(len(sys.stdin.buffer.read()))"
    assert (
        small.submit(count, stdin=b"\xff" * (FITS - len(count))).result().stdout == f"{FITS - len(count)}\n"
    )
    text = "ä" * ((FITS - len(count)) // 2)
    assert small.submit(count, stdin=text).result().stdout == f"{len(text.encode())}\n"


def test_arguments_that_are_too_large_are_told_also_of_a_later_case(small: Fleet) -> None:
    cases = [Case(call="f", args=(b"",), equals=0), Case(call="f", args=(bytes(65 << 20),), equals=0)]
    with pytest.raises(ConfigurationError, match="the arguments of f cannot be sent"):
        small.score_sync("f = len", cases)


DEFINES = "import unittest\nSEEN = {}\n"


@pytest.mark.parametrize(
    ("test", "name"),
    [
        ("def test_f():\n    assert f() == 2", "test_f"),
        ("async def test_f():\n    assert f() == 2", "test_f"),
        ("class T(unittest.TestCase):\n    def test(self): self.assertEqual(f(), 2)", "T"),
        ("def check(candidate):\n    assert candidate() == 2", "check"),
    ],
)
def test_a_test_that_only_defines_is_refused_for_every_program_would_pass(test, name):
    with pytest.raises(ConfigurationError, match=f"defines {name} and does nothing with it"):
        Case(test=DEFINES + test)


@pytest.mark.parametrize(
    "case",
    [
        {"test": "def test_f():\n    assert f() == 2\ntest_f()"},
        {"test": "def check(candidate):\n    assert candidate() == 2", "entry": "f"},
        {
            "test": "import unittest\nclass T(unittest.TestCase): pass\nif __name__ == '__main__':\n    unittest.main()"
        },
        {"test": "@each\ndef test_f():\n    assert f() == 2", "setup": "def each(f): f()"},
        {"test": "assert True"},
        {"test": "def ("},
    ],
)
def test_a_test_that_does_something_is_none_of_these(case):
    assert Case(**case).test == case["test"]
