"""Calls that no type checker may take: one in each line that ends with `# wrong`, and nothing else."""

from __future__ import annotations

from pinjra import CodeAgent, JailExecutor, Limits, ScriptedModel, ToolCallingAgent, sandbox, tool
from pinjra import sandbx  # wrong


@tool
def price(product: str, pieces: int = 1) -> float:
    """Return a price.

    Args:
        product: Which.
        pieces: How many.
    """
    return pieces * 2.0


model = ScriptedModel(["1"])
agent = CodeAgent(tools=[price], model=model)
price(7)  # wrong
price("pen", piece=2)  # wrong
number: int = price("pen")  # wrong
CodeAgent(tools=[price], model=model, max_step=5)  # wrong
CodeAgent(tools=[price], model="gpt-5")  # wrong
ToolCallingAgent(tools=[7], model=model)  # wrong
agent.run(7)  # wrong
agent.run("task", max_step=3)  # wrong
agent.run("task", images=5)  # wrong
text: str = agent.run("task", output_type=int)  # wrong
event: str = agent.run("task", stream=True)  # wrong
agent.run("task", return_full_result=True, output_type=int).output.upper()  # wrong
sandbox("jail", wall_seconds=5)  # wrong
sandbox("jail", limits=5)  # wrong
sandbox("jail", imports="some")  # wrong
sandbox("jail", network=5)  # wrong
JailExecutor(["numpy"], programms="*")  # wrong
Limits(wall=5)  # wrong
sandbox("jail").run(b"1")  # wrong
sandbox("jail").run("1", std_in="1")  # wrong
sandbox("jail").run("1").valeu  # wrong


async def later() -> None:
    await agent.arun("task", max_step=3)  # wrong
    word: str = await agent.arun("task", output_type=int)  # wrong
    print(word)


print(number, text, event, sandbx)
