"""An agent is saved as a folder and loaded again: configuration and prompts, tools by import path, no secrets."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pinjra.agents import Agent, Budget, CodeAgent, Compaction, Price, ToolCallingAgent
from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits

from .conftest import code_model


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.delitem(sys.modules, "sample_tools", raising=False)


def sample_agent(**options: object) -> CodeAgent:
    import sample_tools  # type: ignore[import-not-found]

    helper = ToolCallingAgent([], code_model("x"), name="helper", description="Helps.", verbosity_level=0)
    defaults: dict[str, object] = {
        "tools": [sample_tools.shout, sample_tools.Greeter()],
        "managed_agents": [helper],
        "executor_type": "local",
        "verbosity_level": 0,
    }
    return CodeAgent(model=code_model("final_answer(shout(greet('you')))"), **(defaults | options))  # type: ignore[arg-type]


def test_a_saved_agent_is_loaded_and_works(tmp_path: Path) -> None:
    sample_agent(
        instructions="Be brief.",
        max_steps=7,
        additional_authorized_imports=["numpy"],
        budget=Budget(tokens=9000, price=Price(input_per_million=1, output_per_million=2)),
        compaction=Compaction(keep_steps=2),
        prompt_templates={"system_prompt": "Mine: {{ signatures }}"},
        code_block_tags=("<code>", "</code>"),
        executor_kwargs={"limits": Limits(wall_seconds=5)},
    ).save(tmp_path / "agent")
    with CodeAgent.load(tmp_path / "agent", model=code_model("final_answer(shout(greet('you')))")) as loaded:
        assert loaded.run("x") == "HELLO, YOU"
        assert (loaded.max_steps, loaded.instructions) == (7, "Be brief.")
        assert loaded.additional_authorized_imports == ["numpy"]
        assert loaded.budget == Budget(tokens=9000, price=Price(input_per_million=1, output_per_million=2))
        assert loaded.compaction == Compaction(keep_steps=2)
        assert loaded.system_prompt.startswith("Mine: def shout")
        assert loaded.code_block_tags == ("<code>", "</code>")
        assert loaded.executor_kwargs["limits"] == Limits(wall_seconds=5)
        assert isinstance(loaded.managed_agents["helper"], ToolCallingAgent)
        assert loaded.managed_agents["helper"].description == "Helps."


def test_changes_come_before_what_was_saved(tmp_path: Path) -> None:
    sample_agent(max_steps=7).save(tmp_path)
    assert CodeAgent.load(tmp_path, model=code_model("x"), max_steps=3).max_steps == 3


def test_no_secret_is_written(tmp_path: Path) -> None:
    kwargs = {"api_key": "very-secret", "envs": {"HF_TOKEN": "very-secret"}, "template": "base"}
    agent = sample_agent(managed_agents=[])
    agent.executor_kwargs = kwargs
    agent.save(tmp_path)
    texts = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    assert not any("very-secret" in text for text in texts)
    data = json.loads((tmp_path / "agent.json").read_text())
    assert data["executor_kwargs"] == {"template": "base"}
    assert data["left_out"] == ["executor_kwargs.api_key", "executor_kwargs.envs"]


def test_no_source_is_written(tmp_path: Path) -> None:
    sample_agent().save(tmp_path)
    assert not list(tmp_path.rglob("*.py"))
    tools = json.loads((tmp_path / "agent.json").read_text())["tools"]
    assert tools == [
        {"name": "shout", "path": "sample_tools:shout"},
        {"name": "greet", "path": "sample_tools:Greeter"},
    ]


def test_what_was_left_out_is_told_when_loading(tmp_path: Path) -> None:
    sample_agent(final_answer_checks=[bool], managed_agents=[]).save(tmp_path)
    with pytest.warns(UserWarning, match="saved without final_answer_checks: pass them to load"):
        CodeAgent.load(tmp_path, model=code_model("x"))
    CodeAgent.load(tmp_path, model=code_model("x"), final_answer_checks=[bool])


def test_a_tool_that_no_import_reaches_must_be_passed(tmp_path: Path) -> None:
    def local_tool(x: int) -> int:
        """Gives it back.

        Args:
            x: Any.
        """
        return x

    sample_agent(tools=[local_tool], managed_agents=[]).save(tmp_path)
    with pytest.raises(ConfigurationError, match="the tool 'local_tool' was made where no import reaches it"):
        CodeAgent.load(tmp_path, model=code_model("x"))
    assert "local_tool" in CodeAgent.load(tmp_path, model=code_model("x"), tools=[local_tool]).tools


def test_a_tool_that_needs_arguments_must_be_passed(tmp_path: Path) -> None:
    import sample_tools  # type: ignore[import-not-found]

    sample_agent(tools=[sample_tools.Named("Hi")], managed_agents=[]).save(tmp_path)
    with pytest.raises(ConfigurationError, match=r"the tool 'named' \(sample_tools:Named\) needs arguments"):
        CodeAgent.load(tmp_path, model=code_model("x"))


def test_a_model_that_cannot_be_made_again_must_be_passed(tmp_path: Path) -> None:
    sample_agent(managed_agents=[]).save(tmp_path)
    with pytest.raises(ConfigurationError, match="pass model="):
        CodeAgent.load(tmp_path)


def test_a_model_of_the_registry_is_made_again_without_its_key(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    from pinjra.models.openai import OpenAIModel

    model = OpenAIModel("some-model", api_key="sk-secret-secret-secret", api_base="http://127.0.0.1:1/v1")
    ToolCallingAgent([], model, verbosity_level=0).save(tmp_path)
    assert "sk-secret" not in (tmp_path / "agent.json").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no saved agent"),
        ("{}", "is no saved agent of Pinjra"),
        ('{"format": "pinjra.agent", "version": 9}', "has version 9; this Pinjra reads 1"),
        ('{"format": "pinjra.agent", "version": 1, "class": "os:system"}', "which is no CodeAgent"),
        ('{"format": "pinjra.agent", "version": 1, "class": "no_such:Thing"}', "cannot be imported"),
    ],
)
def test_what_is_no_saved_agent_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "agent.json").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        CodeAgent.load(tmp_path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no saved agent"):
        CodeAgent.load(tmp_path / "nowhere")


def test_any_kind_of_agent_is_loaded_by_the_base(tmp_path: Path) -> None:
    ToolCallingAgent([], code_model("x"), verbosity_level=0).save(tmp_path)
    loaded = Agent.load(tmp_path, model=code_model("x"))
    assert isinstance(loaded, ToolCallingAgent)


def test_an_agent_is_made_again_from_its_dict() -> None:
    data = json.loads(json.dumps(sample_agent(max_steps=5).to_dict()))
    with CodeAgent.from_dict(data, model=code_model("final_answer(greet('me'))")) as made:
        assert made.max_steps == 5
        assert list(made.managed_agents) == ["helper"]
        assert made.run("x") == "Hello, me"


def test_to_dict_is_plain_data() -> None:
    data = sample_agent().to_dict()
    assert json.loads(json.dumps(data))["class"] == "pinjra.agents.code_agent:CodeAgent"


def test_a_folder_that_smolagents_saved_is_loaded(tmp_path: Path) -> None:
    import sample_tools  # type: ignore[import-not-found]

    smolagents = pytest.importorskip("smolagents")

    class Echo(smolagents.Tool):  # type: ignore[misc]  # no types there
        name = "shout"
        description = "Shouts."
        inputs = {"text": {"type": "string", "description": "What."}}
        output_type = "string"

        def forward(self, text: str) -> str:
            return text

    model = smolagents.InferenceClientModel("owner/name", token="not-saved", temperature=0.5)
    helper = smolagents.ToolCallingAgent([], model, name="helper", description="Helps.", max_steps=3)
    theirs = smolagents.CodeAgent(
        [Echo(), smolagents.VisitWebpageTool()],
        model,
        managed_agents=[helper],
        additional_authorized_imports=["numpy"],
        max_steps=7,
    )
    theirs.save(str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"'shout'.*pass tools="):
        CodeAgent.from_folder(tmp_path)
    agent = CodeAgent.from_folder(
        tmp_path,
        tools=[sample_tools.shout],
        model=code_model("final_answer(shout('a'))"),
        executor_type="local",
    )
    with agent:
        assert (agent.max_steps, list(agent.managed_agents)) == (7, ["helper"])
        assert sorted(agent.tools) == ["final_answer", "shout", "visit_webpage"]
        assert "numpy" in agent.authorized_imports
        assert agent.run("x") == "A"


@pytest.mark.parametrize("name", ["code_agent", "structured_code_agent", "toolcalling_agent"])
def test_prompt_templates_of_smolagents_are_taken(name: str) -> None:
    yaml, smolagents = pytest.importorskip("yaml"), pytest.importorskip("smolagents")
    text = (Path(smolagents.__file__).parent / "prompts" / f"{name}.yaml").read_text()
    kind = ToolCallingAgent if name.startswith("tool") else CodeAgent
    helper = ToolCallingAgent([], code_model("x"), name="helper", description="Helps.", verbosity_level=0)
    agent = kind(
        [], code_model("x"), prompt_templates=yaml.safe_load(text), managed_agents=[helper], verbosity_level=0
    )
    assert "helper" in agent.system_prompt
