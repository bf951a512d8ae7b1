"""Definitions of tools that are wrong: refused, with what to write instead."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from pinjra.core.calls import describe
from pinjra.core.errors import ConfigurationError
from pinjra.tools.base import Tool, tool


class Echo(Tool):
    name = "echo"
    description = "Give back."
    inputs = {"value": {"type": "any", "description": "What to give back."}}
    output_type = "any"

    def forward(self, value: Any) -> Any:
        return value


def no_hint(key) -> str:  # type: ignore[no-untyped-def]
    """Do.

    Args:
        key: A key.
    """
    return ""


def not_described(key: str) -> str:
    """Do."""
    return key


def no_description(key: str) -> str:
    return key


def star(*keys: str) -> str:
    """Do.

    Args:
        keys: Keys.
    """
    return ""


def odd_hint(key: lambda: 1) -> str:  # type: ignore
    """Do.

    Args:
        key: A key.
    """
    return ""


def unknown_hint(key: Missing) -> str:  # type: ignore[name-defined]  # noqa: F821
    """Do.

    Args:
        key: A key.
    """
    return ""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (no_hint, "tool 'no_hint': parameter 'key' has no type hint; write for example `key: str`"),
        (
            not_described,
            "tool 'not_described': parameter 'key' is not described; add to the docstring:\n"
            "    Args:\n        key: what to give",
        ),
        (
            no_description,
            "tool 'no_description': it has no description: begin its docstring with what it does and returns",
        ),
        (
            star,
            "tool 'star': parameter 'keys' takes any number of values; name each argument, or take one list or dict",
        ),
        (
            unknown_hint,
            "tool 'unknown_hint': a type hint names 'Missing', which cannot be found; import or define it at the "
            "top of the module",
        ),
    ],
)
def test_a_bad_function_is_refused_with_what_to_fix(function: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        tool(function)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"description": None}, "tool 'echo': description is not set; set it to a str"),
        (
            {"name": "two words"},
            "tool 'two words': name 'two words' must be a Python identifier that is no keyword",
        ),
        ({"name": "class"}, "tool 'class': name 'class' must be a Python identifier that is no keyword"),
        ({"inputs": ["value"]}, "tool 'echo': inputs is ['value']; set it to a dict"),
        (
            {"inputs": {"value": {"type": "any"}}},
            "tool 'echo': inputs['value'] has no \"description\": add a text that tells the model what to give",
        ),
        (
            {"inputs": {"value": {"type": "text", "description": ""}}},
            "tool 'echo': inputs['value'] has the type 'text'; use one of string, boolean, integer, number, array, "
            "object, null, any, image, audio, dataframe, file",
        ),
        (
            {"inputs": {"other": {"type": "any", "description": ""}}},
            "tool 'echo': forward(value: 'Any') -> 'Any' does not match inputs: add 'value' to inputs; "
            "add 'other' to forward() or remove it from inputs",
        ),
        (
            {"output_type": "text"},
            "tool 'echo': output_type 'text' must be one of string, boolean, integer, number, array, object, null, "
            "any, image, audio, dataframe, file",
        ),
        ({"examples": "echo(1)"}, "tool 'echo': examples is 'echo(1)'; make it a list of texts"),
        ({"examples": [1]}, "tool 'echo': examples is [1]; make it a list of texts"),
        ({"methods": "query"}, "tool 'echo': methods is 'query'; make it a list of names of methods"),
        ({"methods": 5}, "tool 'echo': methods is 5; make it a list of names of methods"),
        ({"seconds": True}, "tool 'echo': seconds is True; set a number above 0, or None for no limit"),
        ({"seconds": 0}, "tool 'echo': seconds is 0; set a number above 0, or None for no limit"),
        ({"seconds": "5"}, "tool 'echo': seconds is '5'; set a number above 0, or None for no limit"),
        ({"seconds": 1e30}, "tool 'echo': seconds is 1e+30; set a number above 0, or None for no limit"),
        ({"name": lambda self: "x"}, "tool 'Bad': name is a method; set it to a str"),
        ({"inputs": lambda self: {}}, "tool 'echo': inputs is a method; set it to a dict"),
    ],
)
def test_a_bad_class_is_refused_with_what_to_fix(attributes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        type("Bad", (Echo,), attributes)()
    assert str(caught.value) == said


def test_an_option_that_a_tool_of_a_function_does_not_have_is_refused() -> None:
    for wanted in (lambda: tool(timeout=5)(odd_hint), lambda: Tool.from_function(odd_hint, timeout=5)):
        with pytest.raises(
            ConfigurationError, match=r"no option 'timeout'; .*there are: name, description, seconds"
        ):
            wanted()
    with pytest.raises(ConfigurationError, match="Python does not know what it takes"):
        tool(int)


def test_a_hint_that_is_no_type_is_refused_with_what_to_write() -> None:
    with pytest.raises(
        ConfigurationError, match=r"'key': the type hint <function .* is no type; write a class, Lit"
    ):
        tool(odd_hint)


@pytest.mark.parametrize(
    "options", [{"methods": "query"}, {"methods": None}, {"examples": 5}, {"seconds": True}]
)
def test_a_bad_option_of_a_function_is_refused_as_a_bad_class_is(options: dict[str, Any]) -> None:
    def echo(text: str) -> str:
        """Give it back.

        Args:
            text: Any.
        """
        return text

    (name,) = options
    with pytest.raises(ConfigurationError, match=f"tool 'echo': {name} is "):
        tool(**options)(echo)


@pytest.mark.parametrize(
    ("name", "value"),
    [("seconds", -1), ("seconds", True), ("seconds", "5"), ("concurrent", "no"), ("check_arguments", 5)],
)
def test_a_bad_attribute_of_a_function_is_refused_and_one_of_somebody_elses_is_not(
    name: str, value: object
) -> None:
    def echo() -> None: ...

    setattr(echo, name, value)
    with pytest.raises(ConfigurationError, match=f"tool 'echo': {name} is "):
        describe("echo", echo)
    assert describe("echo", Mock()).seconds is None
