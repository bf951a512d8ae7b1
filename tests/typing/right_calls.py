"""Calls as the manual writes them: both type checkers take each, and find the types that stand behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, assert_type

from pydantic import BaseModel

from pinjra import (
    AgentMemory,
    Budget,
    ChatMessage,
    CodeAgent,
    Execution,
    Fleet,
    InferenceClientModel,
    JailExecutor,
    Limits,
    Model,
    MultiStepAgent,
    PythonExecutor,
    RunResult,
    ScriptedModel,
    Tool,
    ToolCallingAgent,
    VisitWebpageTool,
    allow,
    create_executor,
    refuse,
    sandbox,
    tool,
)
from pinjra.core.events import Event


class Order(BaseModel):
    name: str


@dataclass
class Point:
    x: int


class Film(TypedDict):
    title: str


@tool
def price(product: str, pieces: int = 1) -> float:
    """Return a price.

    Args:
        product: Which.
        pieces: How many.
    """
    return pieces * 2.0


@tool(seconds=5, examples=["price('pen')"])
async def slow_price(product: str) -> float:
    """Return a price.

    Args:
        product: Which.
    """
    return 1.0


class Shout(Tool):
    name = "shout"
    description = "Returns a text in capitals."
    inputs = {"text": {"type": "string", "description": "Any text."}}
    output_type = "string"

    def forward(self, text: str) -> str:
        return text.upper()


class Echo(Model):
    def generate(
        self, messages: Sequence[Any], stop_sequences: Sequence[str] | None = None, **options: Any
    ) -> ChatMessage:
        return ChatMessage(role="assistant", content="hello")


assert_type(price("pen", pieces=2), float)
assert_type(price.name, str)
model: Model = ScriptedModel(["1"])
models: list[Model] = [model, Echo(), InferenceClientModel()]
agent = CodeAgent(
    tools=[price, slow_price, Shout(), VisitWebpageTool()],
    model=model,
    additional_authorized_imports=["pandas"],
    executor_type="jail",
    executor_kwargs={"limits": Limits(wall_seconds=5)},
    max_steps=5,
    budget=Budget(tokens=1_000),
    before_run=lambda code, agent: refuse("no") if "x" in code else allow(),
)
manager: MultiStepAgent = ToolCallingAgent(
    tools=[price], model=model, managed_agents=[agent], name="boss", description="Decides."
)

assert_type(agent.run("task", output_type=int), int)
assert_type(agent.run("task", output_type=Order), Order)
assert_type(agent.run("task", output_type=Film), Film)
assert_type(agent.run("task", output_type=list[Point], max_steps=3), list[Point])
assert_type(agent.run("task", return_full_result=True, output_type=Point), RunResult[Point])
assert_type(agent.run("task", return_full_result=True).output, Any)
assert_type(agent.run("task", stream=True), Iterator[Event])
agent.run("task", False, False)
agent.run("task", output_type=Literal["yes", "no"])
agent.run("task", output_type=int | None, return_full_result=True, files=["a.csv"], additional_args={"x": 1})
answer: str = agent.run("task", reset=False, images=["a.png"])
result: RunResult = agent.run("task", return_full_result=True)
memory: AgentMemory = result.memory
resumed: int = agent.resume(memory, output_type=int).output


async def later() -> None:
    assert_type(await agent.arun("task", output_type=Order), Order)
    assert_type(await agent.arun("task", return_full_result=True, output_type=int), RunResult[int])
    task = asyncio.create_task(agent.arun("task"))
    task.cancel()
    async for event in agent.arun("task", stream=True):
        assert_type(event, Event)
    assert_type(await slow_price("pen"), float)
    await asyncio.gather(agent.arun("one", output_type=int), agent.arun("two", output_type=str))
    async with sandbox("jail") as box:
        await box.aput_file("a.txt", b"a")
        assert_type(await box.aget_file("a.txt"), bytes)
        assert_type(await box.alist_files(), dict[str, int])
        async with await box.afork() as child:
            await child.areset()


with sandbox(
    "jail",
    authorized_imports=["pandas"],
    packages=["polars==1.35.2"],
    mounts={"data": "/srv/data"},
    network=["api.github.com"],
    secrets={"api.github.com": {"Authorization": "Bearer …"}},
    programs=["git", "bash"],
    limits=Limits(wall_seconds=5, memory_bytes=512 << 20),
    files=["sales.csv", {"a.txt": b"a"}],
    imports="standard",
    guard=False,
    rollback=False,
    env={"LANG": "C"},
) as box:
    assert_type(box, JailExecutor)
    assert_type(box.run("input()", stdin="3\n", wall_seconds=2), Execution)
    assert_type(box.exec(["bash", "-c", "ls"]).status, int | None)
    box.run("ls", language="bash")
    copy = box.fork()
    assert_type(copy, JailExecutor)
    box.send_tools({"price": price, "len": len})
    box.send_variables({"x": 1})
sandbox("docker", image="python:3.12", cpus=2.0).close()
sandbox("e2b", api_key="…", template="base", timeout_seconds=60, metadata={"a": "b"}).close()
sandbox(authorized_imports=["numpy"]).interrupt()
other: PythonExecutor = create_executor("local", additional_authorized_imports=["numpy"])
JailExecutor(["numpy"], limits=Limits(), programs="*", spares=0, guard=False)
fleet = Fleet("local")
assert_type(CodeAgent.from_folder("saved", model=ScriptedModel(["x"])), CodeAgent)
assert_type(ToolCallingAgent.from_dict({}, model=ScriptedModel(["x"])), ToolCallingAgent)
