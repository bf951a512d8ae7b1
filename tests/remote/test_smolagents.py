"""The real smolagents package with our jail behind its `PythonExecutor`: tools, a managed agent, errors, the entry point."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

import pytest

from pinjra.core.errors import ExecutorUnavailable

smolagents = pytest.importorskip("smolagents", reason="smolagents is not installed", exc_type=ImportError)


class Scripted(smolagents.Model):  # type: ignore[misc]
    """A model of that library's own kind that replays texts."""

    def __init__(self, *codes: str) -> None:
        super().__init__(model_id="scripted")
        self.codes = list(codes)
        self.asked: list[Any] = []

    def generate(self, messages: Any, **_: Any) -> Any:
        self.asked.append(messages)
        content = f"Thought: next.\n<code>\n{self.codes.pop(0)}\n</code>"
        return smolagents.ChatMessage(role=smolagents.MessageRole.ASSISTANT, content=content)


class Lookup(smolagents.Tool):  # type: ignore[misc]
    """Holds a secret and counts its calls: it must stay on the host."""

    name = "lookup"
    description = "Looks a word up."
    inputs = {"word": {"type": "string", "description": "The word."}}
    output_type = "integer"

    def __init__(self) -> None:
        super().__init__()
        self.secret = "hunter2"
        self.calls: list[str] = []

    def forward(self, word: str) -> int:
        self.calls.append(word)
        return len(word)


@pytest.fixture
def executors() -> Iterator[Any]:
    """Make executors; each is closed at the end."""
    from pinjra.executors.smolagents import PinjraExecutor

    made: list[Any] = []

    def make(*args: Any, **options: Any) -> Any:
        try:
            made.append(PinjraExecutor(*args, executor="jail", **options))
        except ExecutorUnavailable as error:
            pytest.skip(str(error))
        return made[-1]

    yield make
    for executor in made:
        executor.cleanup()


def agent(executor: Any, *codes: str, tools: Any = (), **options: Any) -> Any:
    return smolagents.CodeAgent(
        tools=list(tools), model=Scripted(*codes), executor=executor, verbosity_level=0, **options
    )


def test_its_agent_runs_in_our_jail_with_a_tool_that_stays_on_the_host(executors: Any):
    lookup = Lookup()
    made = agent(
        executors(),
        "words = ['a', 'bcd']\nfound = [lookup(word=w) for w in words]\nprint(found)",
        "final_answer(sum(found))",
        tools=[lookup],
    )
    assert made.run("Count.") == 4
    assert lookup.calls == ["a", "bcd"]
    assert "[1, 3]" in str(made.memory.steps[1].observations)


def test_its_managed_agent_is_called_from_the_jail_and_works_in_one_of_its_own(executors: Any):
    lookup = Lookup()
    helper = agent(
        executors(),
        "inner = lookup('abcdef')",
        "final_answer(inner * 7)",
        tools=[lookup],
        name="helper",
        description="Helps.",
    )
    manager = agent(
        executors(), "said = helper(task='compute')", "final_answer(said)", managed_agents=[helper]
    )
    assert "42" in manager.run("Ask the helper.")
    assert lookup.calls == ["abcdef"]


def test_a_failed_step_is_told_to_its_model_with_what_was_printed(executors: Any):
    made = agent(
        executors(), "x = 1\nprint('before')\n1 / 0", "import pandas\npandas.DataFrame()", "final_answer(x)"
    )
    assert made.run("Fail first.") == 1
    errors = [str(step.error) for step in made.memory.steps[1:3]]
    assert "ZeroDivisionError" in errors[0]
    assert "pandas" in errors[1]
    assert "before" in str(made.memory.steps[1].observations)


def test_authorised_imports_are_taken_as_that_library_gives_them(executors: Any):
    made = agent(
        executors(["colorsys"]),
        "import colorsys\nfinal_answer(colorsys.rgb_to_hsv(1.0, 0.0, 0.0))",
        additional_authorized_imports=["colorsys"],
    )
    assert made.run("x") == (0.0, 1.0, 1.0)


def test_the_entry_point_names_a_class_with_that_librarys_constructor(executors: Any):
    (point,) = entry_points(group="smolagents.executors", name="pinjra")
    found = point.load()
    assert issubclass(found, smolagents.PythonExecutor)
    try:
        executor = found(["colorsys"], None)  # as its remote executors are made: imports and a logger
    except ExecutorUnavailable as error:
        pytest.skip(str(error))
    try:
        executor.send_variables({"n": 20})
        executor.send_tools({})
        assert executor("import colorsys\nn + 1").output == 21
    finally:
        executor.cleanup()
