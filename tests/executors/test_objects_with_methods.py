"""Objects of the host whose methods code may call, where the tool that returns them says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from pinjra import CodeAgent, ConfigurationError, PythonExecutor, ScriptedModel, Tool, refuse, sandbox, tool


class Cursor:
    def __init__(self, rows: list[int]) -> None:
        self.rows = rows

    def fetch(self) -> list[int]:
        return self.rows

    def drop(self) -> str:
        return "dropped"


@dataclass
class Connection:
    password: str = "hunter2"
    asked: list[str] = field(default_factory=list)

    def query(self, text: str, times: int = 1) -> Cursor:
        self.asked.append(text)
        return Cursor([len(text)] * times)

    def drop(self) -> str:
        return "dropped"

    async def later(self, number: int) -> int:
        await asyncio.sleep(0)
        return number + 1


CONNECTION = Connection()


@tool(methods=["query", "fetch", "later"])
def connect(name: str) -> object:
    """Connect to a database.

    Args:
        name: Which.
    """
    return CONNECTION


@tool(methods=["query"])
def connections() -> list:
    """Return all connections."""
    return [CONNECTION, Connection()]


@tool
def same(thing: Any) -> bool:
    """Tell whether it is the connection.

    Args:
        thing: Any.
    """
    return thing is CONNECTION


@pytest.fixture(params=["jail", "local"])
def box(request: pytest.FixtureRequest) -> Iterator[PythonExecutor]:
    with sandbox(request.param) as box:
        box.send_tools({"connect": connect, "connections": connections, "same": same})
        yield box


def test_methods_run_on_the_host_and_what_they_return_has_methods_too(box: PythonExecutor) -> None:
    done = box.run(
        "db = connect('x')\n[db.query('abc', times=2).fetch(), db.later(1), same(db), len(connections())]"
    )
    assert done.error is None, done.error
    assert done.value == [[3, 3], 2, True, 2] and CONNECTION.asked[-1] == "abc"
    assert box.run("connections()[1].query('abcd').rows").error.type == "AttributeError"  # type: ignore[union-attr]
    assert box.run("db.query('later step').fetch()").value == [10]


def test_nothing_but_what_the_tool_says_can_be_reached(box: PythonExecutor) -> None:
    box.run("db = connect('x')")
    for code in ("db.password", "db.drop()", "db.__dict__['password']", "connections()[0].later(1)"):
        done = box.run(code)
        assert done.error is not None and done.error.type == "AttributeError", (code, done)
    shown = box.run("repr(db)").value
    assert shown == "<Connection object of the host, with query, later>"


def test_the_arguments_of_methods_are_checked_and_their_errors_are_told(box: PythonExecutor) -> None:
    done = box.run("connect('x').query()")
    assert done.error is not None and done.error.type == "TypeError"
    done = box.run("connect('x').query('a', 'b', 'c', 'd')")
    assert done.error is not None and done.error.type == "TypeError"


def test_a_tool_that_is_taken_back_takes_its_objects_with_it(box: PythonExecutor) -> None:
    box.run("db = connect('x')\ncursor = db.query('abc')")
    box.revoke_tools(["connect"])
    for code in ("db.query('a')", "cursor.fetch()"):
        done = box.run(code)
        assert done.error is not None and done.error.type == "NameError", done


def test_on_an_event_loop_and_in_a_fork() -> None:
    async def main() -> None:
        async with sandbox("jail") as box:
            box.send_tools({"connect": connect})
            assert (await box.arun("db = connect('x')\ndb.later(4)")).value == 5
            with box.fork() as other:
                assert (await other.arun("db.query('ab').fetch()")).value == [2]

    asyncio.run(main())


def test_hooks_and_budget_of_an_agent_hold_for_methods() -> None:
    seen: list[str] = []

    def allowed(name: str, arguments: object, agent: object) -> object:
        seen.append(name)
        return refuse("not that") if name == "later" else None

    code = "```python\ndb = connect('x')\nprint(db.query('a').fetch())\ndb.later(1)\n```"
    model = ScriptedModel([code, "```python\nfinal_answer(1)\n```"])
    with CodeAgent(
        tools=[connect], model=model, before_tool=allowed, executor_type="local", verbosity_level=0
    ) as agent:
        agent.run("Ask.")
        assert seen == ["connect", "query", "fetch", "later"]
        step = agent.memory.steps[1]
        assert "not that" in str(step.error) and "[1]" in str(step.observations)
    assert "methods that you can call: query, fetch, later" in str(model.requests[0].messages[0].content)


def test_names_that_are_no_names_are_refused_when_the_tool_is_made() -> None:
    with pytest.raises(ConfigurationError, match="methods is"):

        class Wrong(Tool):
            name, description, inputs, output_type = "wrong", "Is wrong.", {}, "any"
            methods = "query"

            def forward(self) -> None: ...

        Wrong()
