"""Traces: what a real SDK sends to a receiver, by the GenAI conventions; nothing of contents unless asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="pip install 'pinjra[otel]'")

from .otlp import Receiver, plain, receiver

PROGRAM = '''
from pinjra import CodeAgent, ToolCallingAgent, ScriptedModel, Limits, tool, traces
from pinjra.models.base import Completion, ToolCall
traces.enable()

@tool
def lookup(key: str) -> str:
    """Look a thing up.

    Args:
        key: Which.
    """
    if key == "bad":
        raise KeyError("hf_" + "A" * 30)
    return "value of " + key

def call(name, **arguments):
    return Completion(tool_calls=(ToolCall(id="c1", name=name, arguments=arguments),))

def fenced(code):
    return "Thought.\\n```python\\n" + code + "\\n```"

helper = ToolCallingAgent(
    tools=[lookup], model=ScriptedModel([call("lookup", key="a"), call("final_answer", answer="found")], model_id="small"),
    name="helper", description="Looks things up.", verbosity_level=0)
agent = CodeAgent(
    tools=[lookup],
    model=ScriptedModel(["The plan.", fenced("print(helper('do it'))\\nlookup('b')"), fenced("1 / 0"), fenced("final_answer(2)")],
                        model_id="large"),
    managed_agents=[helper], name="boss", description="Decides.", planning_interval=5, executor_type="local",
    executor_kwargs={"limits": Limits(wall_seconds=7)}, verbosity_level=0)
agent.run("secret of the task: sk-" + "a" * 30)
agent.close()
'''


def sent(program: str, **environment: str) -> Receiver:
    """Return what a process sends that runs a program."""
    with receiver() as found:
        variables = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": found.url, **environment}
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env=variables,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    return found


@pytest.fixture(scope="module")
def found() -> Receiver:
    return sent(PROGRAM)


def test_spans_are_nested_through_code_tools_and_managed_agents(found: Receiver) -> None:
    assert found.tree() == [
        ("invoke_agent boss", ""),
        ("plan boss", "invoke_agent boss"),
        ("chat large", "plan boss"),
        ("chat large", "invoke_agent boss"),
        ("run_code", "invoke_agent boss"),
        ("execute_tool helper", "run_code"),
        ("invoke_agent helper", "execute_tool helper"),
        ("chat small", "invoke_agent helper"),
        ("execute_tool lookup", "invoke_agent helper"),
        ("chat small", "invoke_agent helper"),
        ("execute_tool final_answer", "invoke_agent helper"),
        ("execute_tool lookup", "run_code"),
        ("chat large", "invoke_agent boss"),
        ("run_code", "invoke_agent boss"),
        ("chat large", "invoke_agent boss"),
        ("run_code", "invoke_agent boss"),
    ]
    assert len({span.trace_id for span in found.spans}) == 1


def test_attributes_are_those_of_the_conventions(found: Receiver) -> None:
    boss = plain(found.named("invoke_agent boss").attributes)
    assert boss["gen_ai.operation.name"] == "invoke_agent"
    assert (boss["gen_ai.agent.name"], boss["gen_ai.agent.description"]) == ("boss", "Decides.")
    assert (boss["gen_ai.request.model"], boss["gen_ai.provider.name"]) == ("large", "scripted")
    assert boss["gen_ai.usage.output_tokens"] > 0 and boss["pinjra.state"] == "success"
    chats = [plain(span.attributes) for span in found.spans if span.name == "chat large"]
    assert {chat["gen_ai.operation.name"] for chat in chats} == {"chat"}
    assert (
        chats[0]["gen_ai.response.finish_reasons"] == ["stop"] and chats[0]["gen_ai.usage.input_tokens"] > 0
    )
    tool = plain(found.named("execute_tool helper").attributes)
    assert (tool["gen_ai.tool.name"], tool["gen_ai.tool.type"]) == ("helper", "function")
    kinds = {span.name.partition(" ")[0]: span.kind for span in found.spans}
    assert kinds == {
        "invoke_agent": 1,
        "plan": 1,
        "run_code": 1,
        "execute_tool": 1,
        "chat": 3,
    }  # internal 1, client 3
    assert found.resource["service.name"] == "pinjra"


def test_a_run_of_code_has_limits_the_cause_of_its_end_and_usage(found: Receiver) -> None:
    runs = [span for span in found.spans if span.name == "run_code"]
    first, failed, last = (plain(span.attributes) for span in runs)
    assert first["pinjra.executor"] == "LocalPythonExecutor" and first["pinjra.limit.wall_seconds"] == 7
    assert first["pinjra.usage.tool_calls"] == 2 and first["pinjra.usage.wall_seconds"] > 0
    assert (failed["error.type"], failed["pinjra.error_kind"]) == ("ZeroDivisionError", "exception")
    assert runs[1].status.code == 2 and runs[0].status.code == 0
    assert last["pinjra.final"] is True


def test_tokens_and_durations_are_metrics(found: Receiver) -> None:
    tokens = found.points["gen_ai.client.token.usage"]
    assert {point["gen_ai.token.type"] for point, _ in tokens} == {"input", "output"}
    assert {point["gen_ai.request.model"] for point, _ in tokens} == {"large", "small"}
    ((chats, large),) = [
        (a, p)
        for a, p in found.points["gen_ai.client.operation.duration"]
        if a["gen_ai.request.model"] == "large"
    ]
    assert large.count == 4 and chats["gen_ai.provider.name"] == "scripted"
    assert list(large.explicit_bounds)[:3] == [0.01, 0.02, 0.04]
    assert {a["gen_ai.agent.name"] for a, _ in found.points["gen_ai.invoke_agent.duration"]} == {
        "boss",
        "helper",
    }
    assert {a["gen_ai.tool.name"] for a, _ in found.points["gen_ai.execute_tool.duration"]} >= {
        "helper",
        "lookup",
    }


def test_contents_are_not_sent_unless_asked_and_then_without_secrets(found: Receiver) -> None:
    everything = str(
        [plain(span.attributes) for span in found.spans] + [str(span.status) for span in found.spans]
    )
    assert (
        "secret of the task" not in everything and "1 / 0" not in everything and "division" not in everything
    )
    told = sent(PROGRAM, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true")
    boss = plain(told.named("invoke_agent boss").attributes)
    (asked,) = json.loads(boss["gen_ai.input.messages"])
    assert asked == {"role": "user", "parts": [{"type": "text", "content": "secret of the task: [secret]"}]}
    assert json.loads(boss["gen_ai.output.messages"])[0]["parts"][0]["content"] == 2
    chat = plain(next(span for span in told.spans if span.name == "chat large").attributes)
    assert json.loads(chat["gen_ai.system_instructions"])[0]["type"] == "text"
    assert json.loads(chat["gen_ai.output.messages"])[0]["finish_reason"] == "stop"
    lookup = plain(next(span for span in told.spans if span.name == "execute_tool lookup").attributes)
    assert json.loads(lookup["gen_ai.tool.call.arguments"]) == {"key": "a"}
    assert lookup["gen_ai.tool.call.result"] == "value of a"
    codes = [plain(span.attributes)["pinjra.code"] for span in told.spans if span.name == "run_code"]
    assert "1 / 0" in codes


def test_a_tool_that_fails_is_told_without_its_words() -> None:
    found = sent(PROGRAM.replace("lookup('b')", "lookup('bad')"))
    failed = [span for span in found.spans if span.name == "execute_tool lookup" and span.status.code == 2]
    assert [plain(span.attributes)["error.type"] for span in failed] == ["KeyError"]
    assert "hf_" not in str(found.spans)


def test_runs_on_threads_and_event_loops_have_traces_of_their_own() -> None:
    found = sent("""
        import asyncio
        from concurrent.futures import ThreadPoolExecutor
        from pinjra import CodeAgent, ScriptedModel, sandbox, traces
        traces.enable()
        def make(name):
            return CodeAgent(model=ScriptedModel(["```python\\nfinal_answer(1)\\n```"]), name=name, description="d",
                             executor_type="local", verbosity_level=0)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: make(f"thread_{n}").run("t"), range(4)))
        async def main():
            await asyncio.gather(*(make(f"task_{n}").arun("t") for n in range(4)))
            async with sandbox("local") as box:
                await box.arun("1")
        asyncio.run(main())
        """)
    tree = found.tree()
    for kind in ("thread", "task"):
        for number in range(4):
            assert tree.count(("run_code", f"invoke_agent {kind}_{number}")) == 1
            assert tree.count((f"invoke_agent {kind}_{number}", "")) == 1
    assert tree.count(("run_code", "")) == 1


def test_a_trace_goes_on_in_another_process() -> None:
    above = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    found = sent(PROGRAM, TRACEPARENT=above)
    boss = found.named("invoke_agent boss")
    assert (boss.trace_id.hex(), boss.parent_span_id.hex()) == ("ab" * 16, "cd" * 8)


def test_a_program_that_has_set_up_opentelemetry_keeps_what_it_has() -> None:
    found = sent("""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        kept = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(kept))
        trace.set_tracer_provider(provider)
        from pinjra import sandbox, traces
        traces.enable()
        with trace.get_tracer("own").start_as_current_span("own"), sandbox("local") as box:
            box.run("1")
        traces.disable()
        with sandbox("local") as box:
            box.run("1")
        code, own = kept.get_finished_spans()
        assert code.name == "run_code" and code.parent.span_id == own.context.span_id
        """)
    assert found.spans == []


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, 0),
        ({"OTEL_TRACES_EXPORTER": "none"}, 0),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, 0),
        ({"OTEL_SERVICE_NAME": "mine"}, 1),
    ],
)
def test_variables_of_the_sdk_are_respected(variables: dict[str, str], count: int) -> None:
    program = (
        'from pinjra import sandbox, traces\ntraces.enable()\nwith sandbox("local") as box: box.run("1")'
    )
    found = sent(program, **variables)
    assert len(found.spans) == count
    assert not count or found.resource["service.name"] == "mine"


def test_an_exporter_that_is_not_installed_is_one_clear_error() -> None:
    program = """
        from pinjra import ConfigurationError, traces
        try:
            traces.enable()
        except ConfigurationError as error:
            said = "OTEL_TRACES_EXPORTER names 'zipkin', which is not installed; there are: otlp, none, console"
            assert str(error).startswith(said), error
        else:
            raise SystemExit(1)
        """
    sent(program, OTEL_TRACES_EXPORTER="zipkin")


def test_the_command_line_traces_a_run() -> None:
    found = sent("""
        import sys
        from pinjra import ScriptedModel
        from pinjra.cli import main
        from pinjra.models import registry
        registry.load_model = lambda name: ScriptedModel(["```python\\nfinal_answer(3)\\n```"])
        sys.argv = "pinjra run add --model m --executor local --quiet --trace".split()
        main()
        """)
    assert [name for name, _ in found.tree()] == ["invoke_agent CodeAgent", "chat scripted", "run_code"]
