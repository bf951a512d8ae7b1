"""Checking an argument: what JSON Schema says of it, at a cost that its bytes pay for."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinjra.core.thread_time import thread_seconds
from pinjra.tools import patterns
from pinjra.tools.check import first_fault, make_checker, short
from pinjra.tools.patterns import matches

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 2.0, "", "a", "ab", "abc"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from(["string", "boolean", "integer", "number", "array", "object", "null"])


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(inner, min_size=1, max_size=3)
    names = st.lists(st.sampled_from("abc"), unique=True, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": kinds | st.lists(kinds, min_size=1, max_size=2, unique=True),
            "enum": st.lists(values, min_size=1, max_size=3),
            "const": values,
            "minimum": st.integers(-3, 3),
            "exclusiveMaximum": st.integers(-3, 3),
            "multipleOf": st.integers(1, 3),
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(0, 3),
            "minItems": st.integers(0, 3),
            "maxItems": st.integers(0, 3),
            "uniqueItems": st.booleans(),
            "prefixItems": some,
            "items": inner,
            "contains": inner,
            "minContains": st.integers(0, 2),
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "required": names,
            "dependentRequired": st.dictionaries(st.sampled_from("abc"), names, max_size=2),
            "additionalProperties": inner | st.booleans(),
            "maxProperties": st.integers(0, 3),
            "anyOf": some,
            "oneOf": some,
            "allOf": some,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
        },
    )


schemas = st.recursive(st.just({}), keywords, max_leaves=4)
types = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
)
Reference = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=types)


@given(schemas, values)
def test_what_fits_is_what_fits_for_jsonschema(schema: dict[str, Any], value: Any) -> None:
    assert (first_fault(value, schema) is None) == Reference(schema).is_valid(value)


def test_a_schema_may_name_a_part_of_itself() -> None:
    tree = {
        "$ref": "#/$defs/node",
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}}}},
    }  # fmt: skip
    problem = make_checker("x", tree)
    assert problem({"n": 1, "next": {"next": {"n": 2}}}) is None
    assert problem({"next": {"next": {"n": "b"}}}) == (
        "argument 'x'['next']['next']['n'] must be a whole number, not 'b' (str)"
    )


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "object", "required": ["a"]}, {}, "argument 'x': 'a' is missing"),
        ({"type": "object", "additionalProperties": False}, {"b": 1}, "argument 'x': there is no 'b' in it"),
        ({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]}, [1, "b"],
         "argument 'x'[1] must be a whole number, not 'b' (str)"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, 1.5,
         "argument 'x' must be a string or a whole number, not 1.5 (float)"),
        ({"$ref": "#"}, 1, "argument 'x' is nested too deeply"),
    ],
)  # fmt: skip
def test_faults_are_said_in_words(schema: dict[str, Any], value: object, said: str) -> None:
    assert make_checker("x", schema)(value) == said


def peak_bytes(problem: Any, value: object) -> tuple[str | None, int]:
    tracemalloc.start()
    try:
        return problem(value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "string"}]},
        {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"enum": [1, 2]}]}},
        {"type": "array", "items": {"oneOf": [{"type": "integer"}, {"const": 1}]}},
        {"type": "array", "items": {"not": {"type": "string"}}},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object", "propertyNames": {"maxLength": 0}},
    ],
)
def test_the_first_of_many_faults_ends_the_check(schema: dict[str, Any]) -> None:
    count = 100_000
    value = (
        [str(n) for n in range(count)]
        if schema.get("type") != "object"
        else dict.fromkeys(map(str, range(count)), "a")
    )
    said, memory_bytes = peak_bytes(make_checker("x", schema), value)
    assert said is not None
    assert memory_bytes < 30 * count  # 3,000 a fault, when all are collected


@pytest.mark.slow
def test_a_value_that_takes_too_long_is_refused() -> None:
    deep: dict[str, Any] = {"not": {"type": "string"}}
    for _ in range(12):
        deep = {"allOf": [deep, deep]}
    problem = make_checker("x", {"type": "array", "items": deep})
    assert problem([1]) is None
    assert problem([1] * 100_000) == "argument 'x' is too large to be checked"


@pytest.mark.slow
@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {f"k{n}": {} for n in range(2000)}},
        {"dependentRequired": {f"k{n}": ["a"] for n in range(2000)}},
        {"enum": [*range(2000), {}]},
    ],
)
def test_names_and_choices_of_a_schema_are_counted_for_each_value(schema: dict[str, Any]) -> None:
    problem = make_checker("x", {"type": "array", "items": schema})
    assert problem([{}]) is None
    assert problem([{}] * 100_000) == "argument 'x' is too large to be checked"


def test_equal_items_are_found_without_comparing_each_with_each() -> None:
    collide = [n * ((1 << 61) - 1) for n in range(16, 20_000)]  # one hash
    problem = make_checker("x", {"type": "array", "uniqueItems": True})
    assert problem(collide) is None
    assert str(problem([*collide, collide[7]])).endswith("...] does not fit uniqueItems True")
    assert problem([{"a": [1]}, {"a": [True]}, {"a": [1.5]}, {"a": ["1"]}]) is None
    assert problem([{"a": 1}, {"a": 1.0}]) is not None


def test_a_pattern_that_never_ends_is_given_up_and_the_next_one_is_matched() -> None:
    problem = make_checker("x", {"type": "string", "pattern": "^(a+)+$"})
    assert problem("a" * 10) is None
    assert problem("a" * 60 + "b") is not None
    assert [matches(*each)[0] for each in (("^a", "ab"), ("^b", "ab"), ("(?<n>a)", "b"))] == [
        True,
        False,
        True,
    ]


def test_the_time_of_patterns_is_the_checks_and_the_guests() -> None:
    """Each text took less than a pattern may, thousands of them hours, and the guest paid nothing."""
    problem = make_checker("x", {"type": "array", "items": {"type": "string", "pattern": r"[a-z.]+@a\.com$"}})
    before = thread_seconds() - time.thread_time()
    assert problem(["a" * 9000 + "!a@a.com"] * 400) == "argument 'x' is too large to be checked"
    assert thread_seconds() - time.thread_time() - before > 0.5
    assert problem(["a@a.com"] * 400) is None


def test_the_start_of_the_process_that_matches_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns._matcher.close()
    monkeypatch.setattr(patterns, "SECONDS", 0.01)  # less than any Python takes to start
    assert matches("^a", "ab")


def test_any_value_is_described_shortly() -> None:
    odd: list[Any] = [
        10**100_000,
        "x" * 10**6,
        {n: {n: n} for n in range(10**5)},
        [[[[1]]]],
        {1, 2},
        object(),
        b"x" * 1000,
        float("nan"),
    ]
    for value in odd:
        assert len(short(value)) <= 200
    assert short([1, "a", None, 4]) == "[1, 'a', None, ...]"


def test_items_that_take_long_to_be_written_are_not_compared_as_texts() -> None:
    problem = make_checker("rows", {"type": "array", "uniqueItems": True})
    assert problem([np.zeros(3), np.ones(3)]) is None
    assert problem([np.zeros((2,) * 24, np.int8)]) == "argument 'rows' is too large to be checked"


def test_many_items_that_each_take_a_moment_to_be_written_take_long_together() -> None:
    problem = make_checker("x", {"type": "array", "uniqueItems": True})
    assert (
        problem([np.arange(1000) * (1 + 1j) + at for at in range(200)])
        == "argument 'x' is too large to be checked"
    )
    assert problem([np.arange(10) + at for at in range(200)]) is None
    assert problem(["a" * 100_000 + str(at) for at in range(200)]) is None
