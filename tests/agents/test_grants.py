"""What a run may call is what its agent has when it begins; a grant of an earlier run is none of this one's."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pinjra import CodeAgent, ToolCallingAgent, tool
from pinjra.core.errors import ConfigurationError
from pinjra.models import ScriptedModel
from pinjra.models.base import Completion, ToolCall

from .conftest import fenced

Make = Callable[..., Any]


def destructive() -> tuple[Any, list[str]]:
    done: list[str] = []

    @tool
    def delete_all(what: str) -> str:
        """Delete everything.

        Args:
            what: Of what.
        """
        done.append(what)
        return "deleted"

    return delete_all, done


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("kept", ["delete_all('b')", "keep('b')", "box['f']('b')"])
def test_a_tool_that_was_taken_away_cannot_be_called_by_what_the_guest_kept(
    code_agent: Make, reset: bool, kept: str
) -> None:
    delete_all, done = destructive()
    second = f"keep = globals().get('keep', delete_all)\nbox = globals().get('box', {{'f': keep}})\n{kept}"
    agent = code_agent(
        "delete_all('a')\nkeep = delete_all\nbox = {'f': keep}\nfinal_answer(1)",
        second,
        "final_answer(2)",
        tools=[delete_all],
    )
    assert agent.run("x") == 1
    del agent.tools["delete_all"]
    assert agent.run("y", reset=reset) == 2
    assert done == ["a"]


def test_a_tool_that_is_back_can_be_called_again(code_agent: Make) -> None:
    delete_all, done = destructive()
    agent = code_agent(
        "final_answer(1)", "final_answer(2)", "final_answer(delete_all('c'))", tools=[delete_all]
    )
    agent.run("x")
    taken = agent.tools.pop("delete_all")
    agent.run("y")
    agent.tools["delete_all"] = taken
    assert agent.run("z") == "deleted"
    assert done == ["c"]


def test_a_tool_taken_away_during_a_run_is_still_that_runs(code_agent: Make) -> None:
    delete_all, done = destructive()
    agent = code_agent("x = 1", "final_answer(delete_all('d'))", tools=[delete_all])
    agent.step_callbacks = ((object, lambda step: agent.tools.pop("delete_all", None)),)
    assert agent.run("x") == "deleted"
    assert done == ["d"]


def test_a_json_agents_run_has_the_tools_it_began_with(json_agent: Make) -> None:
    delete_all, done = destructive()

    def calls(name: str, **arguments: object) -> Completion:
        return Completion(tool_calls=(ToolCall(id="1", name=name, arguments=dict(arguments)),))

    agent = json_agent(calls("delete_all", what="a"), calls("final_answer", answer=1), tools=[delete_all])
    del agent.tools["delete_all"]
    assert agent.run("x") == 1
    assert done == []
    assert "there is no tool 'delete_all'" in agent.memory.steps[1].error.message


def test_a_call_that_outlives_its_run_is_refused(code_agent: Make) -> None:
    delete_all, done = destructive()
    shared = CodeAgent(
        [delete_all], ScriptedModel([fenced("final_answer(1)")]), executor_type="local", verbosity_level=0
    )
    with shared:
        shared.run("x")
        box = shared.python_executor
        assert box is not None
        refused = box.run("delete_all('late')")
        assert refused.error is not None
        assert "granted to an earlier run" in refused.error.message
    assert done == []


def test_managed_agents_are_taken_away_too(code_agent: Make) -> None:
    helper = ToolCallingAgent([], ScriptedModel([]), name="helper", description="Helps.", verbosity_level=0)
    agent = code_agent(
        "keep = helper\nfinal_answer(1)", "keep('work')", "final_answer(2)", managed_agents=[helper]
    )
    agent.run("x")
    del agent.managed_agents["helper"]
    assert agent.run("y", reset=False) == 2
    assert helper.model.requests == []  # type: ignore[attr-defined]


def test_what_a_box_is_given_is_what_its_agent_has_when_a_run_begins(tmp_path: Path) -> None:
    """The last run's session went on with what the agent had then, also where the run began anew."""
    (tmp_path / "secret.txt").write_text("of the host")
    look = fenced(
        "try: final_answer(open('data/secret.txt').read())\nexcept OSError: final_answer('nothing')"
    )
    say = fenced("import numpy\nfinal_answer(numpy.__name__)")
    model = ScriptedModel([look, say, look, say, fenced("final_answer('no numpy')"), look])
    given = {"mounts": {"data": str(tmp_path)}}
    with CodeAgent(
        [], model, executor_kwargs=given, additional_authorized_imports=["numpy"], verbosity_level=0
    ) as agent:
        assert agent.run("x") == "of the host"
        assert agent.run("x", reset=False) == "numpy"
        agent.executor_kwargs["mounts"] = {}
        with pytest.raises(ConfigurationError, match="changed since its last run, whose session cannot have"):
            agent.run("x", reset=False)
        assert agent.run("x") == "nothing"
        agent.additional_authorized_imports.clear()
        assert agent.run("x") == "no numpy"
        agent.executor_kwargs["mounts"]["data"] = str(tmp_path)
        assert agent.run("x") == "of the host"


def test_a_call_that_an_earlier_run_gave_up_is_waited_for(code_agent: Make) -> None:
    running: list[int] = []
    most: list[int] = []

    @tool(seconds=0.2)
    def slow(number: int) -> int:
        """Take long.

        Args:
            number: Any.
        """
        running.append(number)
        most.append(len(running))
        time.sleep(1)
        running.pop()
        return number

    code = "try: slow(1)\nexcept TimeoutError: pass\nfinal_answer(1)"
    agent = code_agent(code, code, tools=[slow])
    agent.run("x")
    agent.run("x", reset=False)
    deadline = time.monotonic() + 300
    while running and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(most) == {1}
