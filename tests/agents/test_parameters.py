"""Every parameter of an agent does what it says, and a wrong one is told when the agent is made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pinjra.agents import CodeAgent, ToolCallingAgent
from pinjra.core.errors import ConfigurationError
from pinjra.executors.local import LocalPythonExecutor
from pinjra.models.scripted import ScriptedModel
from pinjra.tools.base import tool

from .conftest import code_model

Make = Callable[..., CodeAgent]


@tool
def double(number: int) -> int:
    """Gives twice the number.

    Args:
        number: What to double.
    """
    return 2 * number


@tool
def broken(number: int) -> int:
    """Always fails.

    Args:
        number: Not used.
    """
    raise OSError(f"no {number}")


def last_prompt(agent: CodeAgent) -> str:
    model = agent.model
    assert isinstance(model, ScriptedModel)
    return model.requests[-1].messages[-1].content


def test_instructions_and_tools_are_in_the_system_prompt(code_agent: Make) -> None:
    agent = code_agent(
        "final_answer(1)",
        tools=[double],
        instructions="Answer in French.",
        additional_authorized_imports=["numpy"],
    )
    prompt = agent.system_prompt
    assert "Answer in French." in prompt
    assert "def double(number: int)" in prompt
    assert "numpy" in prompt


def test_prompt_templates_may_be_replaced_one_by_one(code_agent: Make) -> None:
    agent = code_agent("x", prompt_templates={"system_prompt": "Only {{ authorized_imports }}"})
    assert agent.system_prompt.startswith("Only collections")
    assert "plan" in agent.template("planning")["initial_plan"]


def test_an_unknown_prompt_template_is_refused(code_agent: Make) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown prompt templates \['sytem_prompt'\]"):
        code_agent("x", prompt_templates={"sytem_prompt": "x"})


def test_a_template_cannot_reach_pythons_internals(code_agent: Make) -> None:
    agent = code_agent("x", prompt_templates={"system_prompt": "{{ tools.__class__.__mro__ }}"})
    with pytest.raises(ConfigurationError, match="a prompt template failed"):
        assert agent.system_prompt


def test_custom_code_tags_are_asked_for_and_understood(code_agent: Make) -> None:
    model = ScriptedModel(["<go>final_answer(3)</go>"])
    agent = code_agent(model=model, code_block_tags=("<go>", "</go>"))
    assert agent.run("x") == 3
    assert "<go>" in agent.system_prompt
    assert model.requests[0].stop == ("\nObservation:", "</go>")


@pytest.mark.parametrize("tags", ["html", ("a",), ("", "b"), 3])
def test_wrong_code_tags_are_refused(code_agent: Make, tags: object) -> None:
    with pytest.raises(ConfigurationError, match="code_block_tags"):
        code_agent("x", code_block_tags=tags)


def test_structured_output_asks_by_schema(code_agent: Make) -> None:
    model = ScriptedModel(['{"thought": "easy", "code": "final_answer(4)"}'])
    agent = code_agent(model=model, use_structured_outputs_internally=True)
    assert agent.run("x") == 4
    schema = model.requests[0].response_schema
    assert schema is not None
    assert schema["required"] == ["thought", "code"]


def test_a_given_executor_keeps_its_variables_and_stays_open() -> None:
    with LocalPythonExecutor([]) as executor:
        executor.send_variables({"given": 5})
        agent = CodeAgent([], code_model("final_answer(given)"), executor=executor, verbosity_level=0)
        with agent:
            assert agent.run("x") == 5
        assert executor.run("given").value == 5


def test_a_function_may_make_the_executor_of_each_run() -> None:
    made: list[LocalPythonExecutor] = []

    def make() -> LocalPythonExecutor:
        made.append(LocalPythonExecutor(["math"]))
        return made[-1]

    with CodeAgent(
        [], code_model("import math\nfinal_answer(math.tau)"), executor=make, verbosity_level=0
    ) as agent:
        assert agent.run("x") == pytest.approx(6.283185)
    assert len(made) == 1


def test_an_unknown_executor_is_told_when_the_agent_is_made() -> None:
    with pytest.raises(ConfigurationError, match="there is no executor 'moon'"):
        CodeAgent([], code_model("x"), executor_type="moon")


def test_executor_kwargs_reach_the_executor(code_agent: Make) -> None:
    from pinjra.core.limits import Limits

    agent = code_agent(
        "while True:\n    pass", "final_answer('ok')", executor_kwargs={"limits": Limits(operations=10_000)}
    )
    assert agent.run("x") == "ok"
    assert "operations" in last_prompt(agent)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tools": [double, double]}, "twice there: \\['double'\\]"),
        ({"tools": [3]}, "3 is no tool"),
        ({"tools": [type(double)]}, "is no tool: pass an instance"),
        ({"name": "double", "tools": [double]}, "twice there: \\['double'\\]"),
        ({"name": "no good"}, "must be an identifier"),
        ({"max_steps": 0}, "max_steps must be a whole number of at least 1, not 0"),
        ({"planning_interval": -1}, "planning_interval must be"),
        ({"step_callbacks": "x"}, "step_callbacks must be a list or a dict, not str"),
        ({"step_callbacks": {int: print}}, "must be a class of steps"),
        ({"executor": 3}, "executor must be a PythonExecutor or a function, not 3"),
    ],
)
def test_wrong_parameters_are_told_when_the_agent_is_made(
    code_agent: Make, options: dict, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        code_agent("x", **options)


def test_an_agent_without_a_model_says_what_to_pass() -> None:
    with pytest.raises(ConfigurationError, match="CodeAgent needs a model: pass model="):
        CodeAgent([])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tools": 5}, "CodeAgent: tools= takes tools, such as"),
        (
            {"additional_authorized_imports": "pandas"},
            "takes several texts, such as .* not the text 'pandas'",
        ),
        ({"executor_kwargs": [1]}, "executor_kwargs= takes a dict with texts as keys"),
        (
            {"executor_type": "jail", "executor_kwargs": {"timeout": 5}},
            "has no parameter 'timeout'; did you mean limits=",
        ),
        ({"limits": None}, "no parameter 'limits'; did you mean executor_kwargs={\"limits\": …}"),
        ({"managed_agents": 5}, "managed_agents= takes several agents"),
        ({"model": 5}, "model= takes a model"),
        ({"prompt_templates": 5}, "prompt_templates= takes a dict"),
        ({"budget": {"tokens": 5}}, "budget= takes a Budget, such as"),
        ({"compaction": 5}, "compaction= takes a Compaction, such as"),
        ({"before_run": True}, "before_run= takes a function"),
        ({"after_tool": "print"}, "after_tool= takes a function"),
        ({"audit": 5}, "audit= takes an AuditLog, or a path that the system can have, or a Path, or a file"),
        ({"audit": "a\0b"}, "audit= takes an AuditLog"),
    ],
)
def test_a_wrong_kind_of_argument_is_told_before_anything_is_made(options: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        CodeAgent(**{"model": ScriptedModel([]), **options})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": 3}, "CodeAgent.run: task= takes a text, not 3"),
        ({"images": 5}, "images= takes several values"),
        ({"additional_args": 5}, "additional_args= takes a dict"),
        ({"output_type": 5}, "output_type= must be a type"),
        ({"rset": True}, "no parameter 'rset'; did you mean reset="),
    ],
)
def test_a_wrong_argument_of_a_run_is_refused_before_it_begins(
    code_agent: Make, given: dict, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        code_agent("x").run(**{"task": "x", **given})


@pytest.mark.parametrize("kind", [CodeAgent, ToolCallingAgent])
def test_a_misspelt_parameter_is_answered_by_the_nearest(kind: type) -> None:
    with pytest.raises(
        ConfigurationError,
        match=rf"{kind.__name__} has no parameter 'max_stepz'; did you mean max_steps=",
    ):
        kind([], ScriptedModel([]), max_stepz=3)


def test_arun_refuses_what_run_refuses_before_there_is_anything_to_await(code_agent: Make) -> None:
    with pytest.raises(ConfigurationError, match="no parameter 'max_step'; did you mean max_steps="):
        code_agent("x").arun("task", max_step=3)
