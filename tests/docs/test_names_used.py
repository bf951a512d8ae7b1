"""Each name that docs/names.md says works is used here as the documentation of smolagents uses it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pinjra
from pinjra import (
    ActionStep,
    AgentMemory,
    ChatMessage,
    CodeAgent,
    FinalAnswerStep,
    FinalAnswerTool,
    InferenceClientModel,
    LocalPythonExecutor,
    LogLevel,
    MCPClient,
    MessageRole,
    Model,
    MultiStepAgent,
    OpenAIModel,
    PlanningStep,
    PythonInterpreterTool,
    RunResult,
    ScriptedModel,
    SystemPromptStep,
    TaskStep,
    Timing,
    TokenUsage,
    Tool,
    ToolCall,
    ToolCallingAgent,
    ToolCollection,
    UserInputTool,
    VisitWebpageTool,
    tool,
)
from pinjra.models.base import Completion

from .test_names import SAID

USED: set[str] = set()
WORKS = {name for name, right in SAID.items() if right.startswith("works")}
# Names whose use needs an account, a server or weights: the tests that use them against stand-ins or the real thing.
ELSEWHERE = {
    "AzureOpenAIModel": "models/test_chat_models.py",
    "AzureOpenAIServerModel": "models/test_chat_models.py",
    "LiteLLMModel": "models/test_chat_models.py",
    "LiteLLMRouterModel": "models/test_chat_models.py",
    "TransformersModel": "models/test_transformers.py",
    "AmazonBedrockModel": "models/test_familiar_models.py",
    "AmazonBedrockServerModel": "models/test_familiar_models.py",
    "DockerExecutor": "remote/test_containers.py",
    "E2BExecutor": "remote/test_vendors.py",
    "ModalExecutor": "remote/test_vendors.py",
    "BlaxelExecutor": "remote/test_vendors.py",
    "VisitWebpageTool": "tools/test_library.py",
    "WebSearchTool": "tools/test_library.py",
    "DuckDuckGoSearchTool": "tools/test_library.py",
    "WikipediaSearchTool": "tools/test_library.py",
}


def uses(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Note that a test uses these names."""
    USED.update(names)
    return lambda test: test


def members(owner: str, *names: str) -> list[str]:
    return [f"{owner}.{name}" for name in names]


def parameters(owner: str, *names: str) -> list[str]:
    return [f"{owner}({name}=)" for name in names]


def test_every_name_that_works_is_used_somewhere() -> None:
    assert sorted(WORKS - USED - ELSEWHERE.keys()) == []
    tests = Path(__file__).parents[1]
    assert [
        name for name, file in ELSEWHERE.items() if not list(tests.glob(file.replace(".py", "*.py")))
    ] == []


@tool
def get_weather(city: str, celsius: bool = False) -> str:
    """Get the weather of a city.

    Args:
        city: The city.
        celsius: In degrees Celsius.
    """
    return f"sunny in {city}"


def model(*codes: str) -> ScriptedModel:
    return ScriptedModel([f"Thought: I do it.\n<code>\n{code}\n</code>" for code in codes])


def code_agent(*codes: str, **options: Any) -> CodeAgent:
    defaults: dict[str, Any] = {"tools": [], "executor_type": "local", "verbosity_level": LogLevel.OFF}
    return CodeAgent(model=model(*codes), **(defaults | options))


@uses(
    "CodeAgent", "MultiStepAgent", "LogLevel", "PromptTemplates", "tool", "CodeAgent.cleanup",
    *parameters("MultiStepAgent", "tools", "model", "instructions", "max_steps", "verbosity_level", "name", "description",
                "managed_agents", "add_base_tools", "prompt_templates", "provide_run_summary"),
    *members("MultiStepAgent", "system_prompt", "visualize", "replay"),
)  # fmt: skip
def test_an_agent_as_the_guided_tour_makes_it(capsys: pytest.CaptureFixture[str]) -> None:
    helper = code_agent("final_answer('42')", name="helper", description="Helps.", provide_run_summary=True)
    agent = CodeAgent(
        tools=[get_weather],
        model=model("final_answer(helper(task='What?') + get_weather(city='Pune'))"),
        instructions="Be brief.",
        max_steps=3,
        verbosity_level=0,
        managed_agents=[helper],
        prompt_templates={
            "managed_agent": {"task": "{{name}}: {{task}}", "report": "{{name}} says {{final_answer}}"}
        },
        add_base_tools=False,
        executor_type="local",
    )
    assert isinstance(agent, MultiStepAgent)
    assert "Be brief." in agent.system_prompt
    assert "def get_weather" in agent.system_prompt
    answer = str(agent.run("How is it?"))
    assert "42" in answer
    assert "Summary of the work" in answer
    assert answer.endswith("sunny in Pune")
    agent.visualize()
    agent.replay()
    assert "get_weather" in capsys.readouterr().out
    agent.cleanup()
    helper.cleanup()
    searching = CodeAgent(tools=[], model=model(), add_base_tools=True, verbosity_level=0)
    assert {"web_search", "visit_webpage", "final_answer"} <= searching.tools.keys()


@uses(
    "RunResult", "AgentMemory", "MemoryStep",
    *parameters("MultiStepAgent", "return_full_result", "step_callbacks", "planning_interval", "final_answer_checks"),
    *parameters("MultiStepAgent.run", "task", "reset", "additional_args", "max_steps", "return_full_result"),
    "MultiStepAgent.run", *members("RunResult", "output", "state", "steps", "token_usage", "timing", "dict"),
    "ActionStep", *members("ActionStep", "step_number", "timing", "tool_calls", "error", "model_output",
        "code_action", "observations",
                           "observations_images", "action_output", "token_usage", "is_final_answer", "dict"),
    "TaskStep", *members("TaskStep", "task", "task_images", "dict"), "SystemPromptStep",
    "PlanningStep", *members("PlanningStep", "plan", "timing", "token_usage", "dict"),
    "FinalAnswerStep", *members("FinalAnswerStep", "output", "dict"),
    *members("AgentMemory", "get_full_steps", "get_succinct_steps", "replay", "return_full_code", "reset"),
    "AgentMemory(system_prompt=)",
)  # fmt: skip
def test_a_runs_result_and_memory_are_read_as_the_memory_guide_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers: list[object] = []
    numbers: list[int] = []
    scripted = ScriptedModel(
        ["1. Divide. 2. Answer.", "<code>1 / 0</code>", "<code>print('seen')\nfinal_answer(x)</code>"]
    )
    agent = CodeAgent(
        tools=[],
        model=scripted,
        executor_type="local",
        verbosity_level=0,
        planning_interval=5,
        final_answer_checks=[lambda answer, memory, agent: answer == 7 and len(memory.steps) > 1],
        step_callbacks={
            ActionStep: [lambda step, agent: numbers.append(step.step_number)],
            FinalAnswerStep: lambda step: answers.append(step),
        },
    )
    result: Any = agent.run(
        task="Do it.", reset=True, additional_args={"x": 7}, max_steps=4, return_full_result=True
    )
    assert isinstance(result, RunResult)
    assert (result.output, result.state, numbers) == (7, "success", [1, 2])
    (final,) = answers
    assert isinstance(final, FinalAnswerStep)
    assert (final.output, final.dict()["output"]) == (7, 7)
    assert isinstance(agent.memory.system_prompt, SystemPromptStep)
    task, plan, failed, last = agent.memory.steps
    assert isinstance(task, TaskStep)
    assert (task.task.startswith("Do it."), task.task_images, task.dict()["task"]) == (True, (), task.task)
    assert isinstance(plan, PlanningStep)
    assert (plan.plan, plan.dict()["plan"]) == ("1. Divide. 2. Answer.", plan.plan)
    assert plan.timing.duration >= 0
    assert plan.token_usage.output_tokens == 4
    assert isinstance(failed, ActionStep)
    assert isinstance(last, ActionStep)
    assert "ZeroDivisionError" in str(failed.error)
    assert failed.code_action == "1 / 0"
    assert (last.step_number, last.error, last.is_final_answer, last.action_output) == (2, None, True, 7)
    assert "seen" in last.observations
    assert last.model_output.startswith("<code>")
    (call,) = last.tool_calls
    assert (call.name, call.arguments, call.id) == ("python_interpreter", last.code_action, "call_2")
    assert last.observations_images == ()
    assert last.timing.duration > 0
    assert last.token_usage.total_tokens > 0
    assert last.dict()["code_action"] == "print('seen')\nfinal_answer(x)"
    assert (
        len(result.steps) == len(agent.memory.get_full_steps()) == len(agent.memory.get_succinct_steps()) == 4
    )
    assert result.token_usage.input_tokens > 0
    assert result.timing.duration > 0
    assert result.dict()["output"] == 7
    assert "1 / 0" in agent.memory.return_full_code()
    agent.memory.replay()
    assert "seen" in capsys.readouterr().out
    agent.cleanup()
    own = AgentMemory(system_prompt="Be good.")
    own.steps.append(TaskStep(task="x"))
    own.reset()
    assert own.steps == []


@uses(
    *parameters("CodeAgent", "additional_authorized_imports", "executor", "executor_type", "executor_kwargs",
        "max_print_outputs_length",
                "use_structured_outputs_internally", "code_block_tags", "stream_outputs"),
    *parameters("MultiStepAgent.run", "stream", "images"),
    "LocalPythonExecutor", "PythonExecutor", *parameters("LocalPythonExecutor",
        "additional_authorized_imports", "additional_functions", "timeout_seconds",
                "max_print_outputs_length"),
    *members("LocalPythonExecutor", "send_tools", "send_variables"),
)  # fmt: skip
def test_executors_are_given_and_configured_as_the_guide_on_secure_execution_does() -> None:
    from pinjra import Limits, PythonExecutor

    box = LocalPythonExecutor(
        additional_authorized_imports=["fractions"],
        additional_functions={"twice": lambda x: 2 * x},
        timeout_seconds=30,
        max_print_outputs_length=5000,
    )
    assert isinstance(box, PythonExecutor)
    box.send_tools({"thrice": lambda x: 3 * x})
    box.send_variables({"base": 5})
    done = box("print('out')\ntwice(base) + thrice(1)")
    assert (done.output, done.logs, done.is_final_answer) == (13, "out\n", False)
    box.state["added"] = 3
    assert (box.state["added"], box.state.get("missing"), "base" in box.state) == (3, None, True)
    assert {"twice", "thrice"} <= box.static_tools.keys()
    assert ([*box.additional_functions], box.timeout_seconds, box.limits.output_bytes) == (
        ["twice"],
        30,
        5000,
    )
    with box, code_agent("final_answer(base)", executor=box) as agent:
        assert agent.run("x") == 5
    with code_agent(
        "print('x' * 1000)\nimport fractions\nfinal_answer(str(fractions.Fraction(1, 2)))",
        additional_authorized_imports=["fractions"],
        executor_kwargs={"limits": Limits(wall_seconds=20)},
        max_print_outputs_length=100,
        code_block_tags=("<code>", "</code>"),
        stream_outputs=True,
    ) as agent:
        events = list(agent.run("x", stream=True, images=[b"\x89PNG\r\n\x1a\n0000"]))  # type: ignore[call-overload]
        assert events[-1].output == "1/2"
    structured = ScriptedModel(['{"thought": "t", "code": "final_answer(1)"}'])
    with CodeAgent(
        [], structured, use_structured_outputs_internally=True, executor_type="local", verbosity_level=0
    ) as agent:
        assert agent.run("x") == 1
        assert structured.requests[0].response_schema is not None


@uses(
    "ToolCallingAgent",
    *parameters("ToolCallingAgent", "max_tool_threads", "stream_outputs"),
    "ToolCall",
    "FinalAnswerTool",
    "MultiStepAgent.interrupt",
)
def test_a_tool_calling_agent_as_the_guide_makes_it() -> None:
    call = ToolCall(name="get_weather", arguments={"city": "Goa"}, id="1")
    done = ToolCall(name="final_answer", arguments={"answer": "sunny"}, id="2")
    scripted = ScriptedModel([Completion(tool_calls=(call,)), Completion(tool_calls=(done,))])
    agent = ToolCallingAgent(
        tools=[get_weather], model=scripted, max_tool_threads=2, stream_outputs=False, verbosity_level=0
    )
    assert isinstance(agent.tools["final_answer"], FinalAnswerTool)
    assert agent.run("Weather?") == "sunny"
    agent.interrupt()
    step: Any = agent.memory.steps[1]
    assert (step.tool_calls[0].name, step.observations) == ("get_weather", "sunny in Goa")


@uses("MultiStepAgent.step")
def test_steps_are_taken_one_at_a_time_as_the_memory_guide_does() -> None:
    with code_agent("x = 4", "final_answer(x)") as agent:
        agent.memory.steps.append(TaskStep(task="What?"))
        first, second = ActionStep(step_number=1), ActionStep(step_number=2)
        assert agent.step(first) is None
        agent.memory.steps.append(first)
        assert agent.step(memory_step=second) == 4


@uses(*members("MultiStepAgent", "save", "to_dict", "from_dict", "from_folder"))
def test_agents_are_saved_and_loaded_as_the_guide_on_sharing_does(tmp_path: Path) -> None:
    agent = code_agent("final_answer(1)", tools=[VisitWebpageTool()], name="surfer", description="Surfs.")
    agent.save(tmp_path / "agent")
    for made in (
        CodeAgent.from_folder(tmp_path / "agent", model=model()),
        CodeAgent.from_dict(agent.to_dict(), model=model()),
    ):
        assert (made.name, sorted(made.tools)) == ("surfer", ["final_answer", "visit_webpage"])


@uses(
    *(
        f"Agent{kind}"
        for kind in (
            "Error",
            "ParsingError",
            "ExecutionError",
            "MaxStepsError",
            "GenerationError",
            "ToolCallError",
            "ToolExecutionError",
        )
    )
)
def test_errors_carry_message_and_kind() -> None:
    for kind in (
        "ParsingError",
        "ExecutionError",
        "MaxStepsError",
        "GenerationError",
        "ToolCallError",
        "ToolExecutionError",
    ):
        error = getattr(pinjra, f"Agent{kind}" if kind != "MaxStepsError" else "AgentMaxStepsError")(
            "what happened"
        )
        assert isinstance(error, pinjra.AgentError)
        assert (error.message, error.dict()) == (
            "what happened",
            {"type": f"Agent{kind}", "message": "what happened"},
        )


@uses("Timing", *members("Timing", "start_time", "end_time", "duration", "dict"), "TokenUsage",
      *members("TokenUsage", "input_tokens", "output_tokens", "total_tokens", "dict"))  # fmt: skip
def test_figures() -> None:
    timing = Timing(start_time=1.0)
    assert timing.end_time is None
    timing.end_time = 3.5
    assert (timing.duration, timing.dict()) == (2.5, {"start_time": 1.0, "end_time": 3.5, "duration": 2.5})
    usage = TokenUsage(input_tokens=10, output_tokens=20)
    assert (usage.total_tokens, usage.dict()) == (
        30,
        {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30},
    )


class ModelDownloads(Tool):
    name = "model_downloads"
    description = "Returns the most downloaded model of a task."
    inputs = {"task": {"type": "string", "description": "The task."}}
    output_type = "string"
    output_schema = {"type": "string"}

    def __init__(self) -> None:
        super().__init__()
        self.is_set_up = 0

    def setup(self) -> None:
        self.is_set_up += 1

    def forward(self, task: str) -> str:
        return f"{task}-{self.is_set_up}"


@uses("Tool", *members("Tool", "forward", "setup", "output_schema", "validate_arguments", "to_code_prompt",
    "to_tool_calling_prompt", "to_dict", "save"),
      "ToolCollection", "ToolCollection(tools=)")  # fmt: skip
def test_tools_as_the_guide_on_tools_makes_them(tmp_path: Path) -> None:
    made = ModelDownloads()
    assert (made("text"), made(task="image")) == ("text-1", "image-1")
    assert made.forward("x") == "x-1"
    made.validate_arguments()
    assert made.to_code_prompt().startswith("def model_downloads(task: str)")
    assert "model_downloads" in made.to_tool_calling_prompt()
    assert made.to_dict()["name"] == "model_downloads"
    made.save(tmp_path)
    assert (tmp_path / "tool.json").exists()
    collection = ToolCollection(tools=[made, get_weather])
    with code_agent("final_answer(model_downloads('t'))", tools=[*collection.tools]) as agent:
        assert agent.run("x") == "t-1"


@uses(
    "MCPClient",
    *parameters("MCPClient", "server_parameters", "structured_output"),
    *members("MCPClient", "connect", "get_tools", "disconnect"),
    "ToolCollection.from_mcp",
)
def test_mcp_servers_as_the_guide_on_tools_uses_them() -> None:
    mcp = pytest.importorskip("mcp")
    script = (
        "from mcp.server.mcpserver import MCPServer\ns = MCPServer('x')\n"
        "@s.tool()\ndef double(n: int) -> int:\n    'Double.'\n    return 2 * n\ns.run('stdio')"
    )
    server = mcp.StdioServerParameters(command=sys.executable, args=["-W", "ignore", "-c", script])
    client = MCPClient(server_parameters=server, structured_output=False)
    try:
        client.connect()
        (double,) = client.get_tools()
        assert str(double(n=4)) == "8"
    finally:
        client.disconnect()
    with ToolCollection.from_mcp(server, trust_remote_code=True) as collection:
        assert [each.name for each in collection.tools] == ["double"]


@uses("UserInputTool", "PythonInterpreterTool", "VisitWebpageTool(max_output_length=)")
def test_tools_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *words: "blue")
    assert UserInputTool()("Which colour?") == "blue"
    with pinjra.sandbox("local") as box:
        assert "5" in str(PythonInterpreterTool(box)("2 + 3"))
    assert VisitWebpageTool(max_output_length=100).name == "visit_webpage"


@uses(
    "Model",
    "Model.generate",
    *parameters("Model", "model_id", "flatten_messages_as_text"),
    "ChatMessage",
    "MessageRole",
)
def test_a_model_of_ones_own_as_the_guide_on_models_writes_it() -> None:
    class Own(Model):
        def generate(self, messages: Any, stop_sequences: Any = None, **kwargs: Any) -> Any:
            assert isinstance(messages[0].content, str)
            return ChatMessage(role=MessageRole.ASSISTANT, content="<code>final_answer(8)</code>")

    own = Own(flatten_messages_as_text=True, model_id="own")
    assert own.model_id == "own"
    with CodeAgent(tools=[], model=own, executor_type="local", verbosity_level=0) as agent:
        assert agent.run("x") == 8


def fake_client(*texts: str) -> Any:
    answers = iter(texts)

    def create(**body: Any) -> Any:
        bodies.append(body)
        if body.get("stream"):
            deltas = [SimpleNamespace(content=piece, tool_calls=None) for piece in next(answers).split(" ")]
            return iter(
                [
                    SimpleNamespace(choices=[SimpleNamespace(delta=d, finish_reason=None)], usage=None)
                    for d in deltas
                ]
            )
        message = SimpleNamespace(content=next(answers), tool_calls=None)
        return SimpleNamespace(choices=[SimpleNamespace(message=message, finish_reason="stop")], usage=None)

    bodies: list[Any] = []
    return SimpleNamespace(
        bodies=bodies,
        chat_completion=create,
        chat=SimpleNamespace(completions=SimpleNamespace(create=create)),
    )


@uses("OpenAIModel", "OpenAIServerModel", "REMOVE_PARAMETER", "OpenAIModel.generate_stream",
      *parameters("OpenAIModel", "api_base", "api_key", "organization", "project", "client_kwargs",
          "custom_role_conversions"))  # fmt: skip
def test_the_openai_model_as_its_docstring_makes_it() -> None:
    pytest.importorskip("openai")
    assert pinjra.OpenAIServerModel is OpenAIModel
    made = OpenAIModel(
        model_id="m", api_base="http://127.0.0.1:1/v1", api_key="k", organization="o", project="p", client_kwargs={"timeout": 3},
        custom_role_conversions={"tool": "user"}, temperature=0.5, stop=pinjra.REMOVE_PARAMETER,
    )  # fmt: skip
    assert (made._client.timeout, made._client.organization, made._client.project) == (3, "o", "p")
    client = fake_client("one", "two three")
    streamed = OpenAIModel(
        "m", client=client, custom_role_conversions={"system": "user"}, stop=pinjra.REMOVE_PARAMETER
    )
    assert streamed([{"role": "system", "content": "s"}], stop_sequences=["x"]).content == "one"
    assert [delta.content for delta in streamed.generate_stream([{"role": "user", "content": "u"}])] == [
        "two",
        "three",
        "twothree",
    ]
    assert client.bodies[0]["messages"][0]["role"] == "user"
    assert "stop" not in client.bodies[0]


@uses("InferenceClientModel", "InferenceClientModel.generate_stream",
      *parameters("InferenceClientModel", "provider", "token", "timeout", "client_kwargs", "api_key",
          "bill_to", "base_url", "custom_role_conversions"))  # fmt: skip
def test_the_inference_client_model_as_its_docstring_makes_it() -> None:
    made = InferenceClientModel(
        "owner/name",
        provider="together",
        token="hf_x",
        timeout=5,
        bill_to="org",
        client_kwargs={"headers": {"a": "b"}},
    )
    assert made._client.timeout == 5
    own = InferenceClientModel(
        "m", base_url="http://127.0.0.1:1", api_key="k", custom_role_conversions={"system": "user"}
    )
    assert own.base_url == "http://127.0.0.1:1"
    client = fake_client("one two")
    streamed = InferenceClientModel("m", token="hf_x", client=client)
    assert [delta.content for delta in streamed.generate_stream([{"role": "user", "content": "u"}])][:2] == [
        "one",
        "two",
    ]


def test_the_page_names_no_test_file_that_is_gone() -> None:
    page = (Path(__file__).parents[2] / "docs" / "names.md").read_text("utf-8")
    assert re.search(r"A test uses each name", page)
