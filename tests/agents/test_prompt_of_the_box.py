"""The prompt tells the truth about the box: what can be imported, started, reached, and what is awaited."""

from __future__ import annotations

import pytest

from pinjra import CodeAgent, Mount, sandbox, tool
from pinjra.models import ScriptedModel

GIVEN = {
    "network": ["api.github.com", "*.example.org:443"],
    "secrets": {"api.github.com": {"Authorization": "Bearer of-a-secret"}},
    "programs": ["bash", "cat"],
    "packages": ["six==1.17.0"],
}


@tool
async def weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: Where.
    """
    return f"sunny in {city}"


@pytest.mark.parametrize("style", ["full", "small"])
def test_what_a_box_is_given_stands_in_the_prompt_and_no_secret_does(style: str) -> None:
    model = ScriptedModel([])
    model.prompt_style = style  # type: ignore[assignment]
    agent = CodeAgent(
        [weather],
        model,
        additional_authorized_imports=["numpy"],
        executor_type="jail",
        executor_kwargs=GIVEN,
    )
    lines = [line.removeprefix("- ") for line in agent.system_prompt.splitlines()]
    for line in (
        "Programs that code may start, with subprocess: bash, cat.",
        "Hosts that can be reached, and no others: api.github.com, *.example.org:443.",
        "Requests to api.github.com are given what they need to log in on their way: code needs no key.",
        "What is defined by `async def` is awaited: `await name(…)`.",
    ):
        assert line in lines
    assert "of-a-secret" not in agent.system_prompt
    if style == "full":
        assert "numpy, six. Nothing else can be imported." in agent.system_prompt


@pytest.mark.parametrize(
    ("executor_type", "options", "words"),
    [
        ("jail", {}, "You may import: the whole standard library (collections"),
        ("jail", {"imports": "listed"}, "You may import: collections, datetime"),
        ("local", {}, "You may import: collections, datetime"),
        ("jail", {"guard": False}, "You may import: any module that is installed."),
        ("jail", {"imports": "all"}, "You may import: any module that is installed."),
    ],
)
def test_what_can_be_imported_is_said_as_the_guard_decides_it(
    executor_type: str, options: dict[str, object], words: str
) -> None:
    agent = CodeAgent([], ScriptedModel([]), executor_type=executor_type, executor_kwargs=options)
    assert words in agent.system_prompt


def test_of_an_open_box_the_same_is_told() -> None:
    mounts = {"zones": Mount("/usr/share/zoneinfo")}
    with sandbox("jail", authorized_imports=["pandas"], programs="*", mounts=mounts) as box:
        text = CodeAgent([], ScriptedModel([]), executor=box).system_prompt
    assert "…), pandas. Nothing else can be imported." in text
    assert "with subprocess: any program of this machine." in text
    assert "Folder zones: read-only." in text


def test_a_box_that_was_given_nothing_has_no_such_lines() -> None:
    text = CodeAgent([], ScriptedModel([]), executor_type="jail").system_prompt
    assert not any(word in text for word in ("subprocess", "Hosts", "Folder", "await"))
