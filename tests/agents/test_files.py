"""Files and pictures of agents: given, told to the model, written, and saved on the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinjra.agents import CodeAgent, ToolCallingAgent
from pinjra.agents.memory.memory import AgentMemory
from pinjra.agents.memory.steps import ActionStep
from pinjra.core.errors import ConfigurationError, ExecutorUnavailable
from pinjra.models.scripted import ScriptedModel

from .conftest import code_model

SALES = b"month,sum\nJan,3\nFeb,5\nJan,4\n"


@pytest.mark.parametrize("executor_type", ["local", "jail"])
def test_a_table_becomes_a_plot_and_a_workbook_on_the_host(tmp_path: Path, executor_type: str) -> None:
    for needed in ("pandas", "matplotlib", "openpyxl"):
        pytest.importorskip(needed)
    (tmp_path / "sales.csv").write_bytes(SALES)
    model = code_model(
        "import pandas as pd\nsales = pd.read_csv('sales.csv')\nby_month = sales.groupby('month')['sum'].sum()\nprint(by_month)",
        "import matplotlib.pyplot as plt\nby_month.plot(kind='bar')\nplt.savefig('plot.png')\nplt.show()\n"
        "by_month.to_frame().to_excel('summary.xlsx')",
        "final_answer(int(by_month.sum()))",
    )
    agent = CodeAgent(
        [],
        model,
        executor_type=executor_type,
        additional_authorized_imports=["pandas", "matplotlib", "openpyxl"],
        verbosity_level=0,
    )
    try:
        with agent:
            result = agent.run("Plot sales by month", files=[tmp_path / "sales.csv"], return_full_result=True)
    except ExecutorUnavailable as error:
        pytest.skip(f"{executor_type} cannot run here: {error}")
    assert (result.output, sorted(result.files)) == (12, ["plot.png", "summary.xlsx"])
    saved = {path.name: path for path in result.save(tmp_path / "out")}  # the agent is closed
    assert saved["plot.png"].read_bytes().startswith(b"\x89PNG")
    assert saved["artifact-1.png"].read_bytes() == result.artifacts[0].data
    import pandas

    assert pandas.read_excel(saved["summary.xlsx"])["sum"].tolist() == [5, 7]
    told = model.requests[0].messages[-1].content
    assert f"- sales.csv ({len(SALES)} bytes)\n    month,sum\n    Jan,3" in told


def test_artifacts_stand_in_their_step_and_in_saved_memory() -> None:
    model = code_model("class T:\n    def _repr_html_(self): return '<b>'\ndisplay(T())", "final_answer(1)")
    with CodeAgent([], model, executor_type="local", verbosity_level=0) as agent:
        agent.run("x")
        assert agent.last_result is not None
        assert [one.media_type for one in agent.last_result.artifacts] == ["text/html"]
        again = AgentMemory.from_json(agent.memory.to_json())
    step = next(step for step in again.steps if isinstance(step, ActionStep))
    assert [(one.media_type, one.data) for one in step.artifacts] == [("text/html", b"<b>")]


def test_files_that_cannot_go_in_are_refused_before_the_model_is_asked() -> None:
    model = code_model("final_answer(1)")
    with CodeAgent([], model, executor_type="local", verbosity_level=0) as agent:
        with pytest.raises(ConfigurationError, match="no file 'missing"):
            agent.run("x", files=["missing.csv"])
        with pytest.raises(ConfigurationError, match=r"more than Limits\.disk_bytes"):
            agent.run("x", files=[{"a": bytes(65 << 20)}])
    assert model.requests == []


def test_an_agent_that_runs_no_code_takes_no_files() -> None:
    agent = ToolCallingAgent([], ScriptedModel(["x"]), verbosity_level=0)
    with pytest.raises(ConfigurationError, match="agents that run code"):
        agent.run("x", files=[{"a": b"1"}])


def test_the_model_is_told_which_files_its_code_wrote() -> None:
    model = code_model("for n in range(25): open(f'{n:02}.txt', 'w').write('x' * n)", "final_answer(1)")
    with CodeAgent([], model, executor_type="local", verbosity_level=0) as agent:
        agent.run("x")
    told = model.requests[1].messages[-1].content
    assert "Files written: 00.txt (0 bytes), 01.txt (1 bytes), " in told
    assert "19.txt (19 bytes) and 5 more" in told


def test_a_small_model_is_asked_whether_the_task_is_done() -> None:
    script = [
        "open('plot.png', 'w').write('x')\n",
        "final_answer('plot.png')\n",
    ]  # it goes on where "```python" began
    model = ScriptedModel(script, prompt_style="small")
    with CodeAgent([], model, executor_type="local", verbosity_level=0) as agent:
        assert agent.run("x") == "plot.png"
    told = [message.content for message in model.requests[1].messages if message.role == "user"][-1]
    assert "Files written: plot.png (1 bytes)" in told
    assert "If the task is done, call final_answer" in told


def test_the_model_is_told_of_files_that_are_in_the_box_already() -> None:
    model = code_model("open('b.txt', 'w').write('B')\nfinal_answer(open('a.csv').read())")
    files = [{"a.csv": b"x,y\n1,2\n", ".hidden": b""}]
    with CodeAgent(
        [], model, executor_type="local", executor_kwargs={"files": files}, verbosity_level=0
    ) as agent:
        assert agent.run("read") == "x,y\n1,2\n"
    said = "".join(str(message.content) for message in model.requests[0].messages)
    assert "- a.csv (8 bytes)\n    x,y\n    1,2" in said
    assert ".hidden" not in said
