"""Twenty agents at the same time, in one event loop: each run has a box of its own, and events come as they happen.

python examples/many_at_once.py
"""

import asyncio
import re
from collections.abc import Sequence

from pinjra import ChatMessage, CodeAgent, ScriptedModel
from pinjra.core.events import ToolCalled

TASKS = [f"What is the square of {n}?" for n in range(20)]


def answer(messages: Sequence[ChatMessage]) -> str:
    """Return what a model would write: a program for the number in the task."""
    number = re.findall(r"square of (\d+)", messages[-1].content)[-1]
    return f"I multiply.\n```python\nfinal_answer(await multiply({number}, {number}))\n```"


async def multiply(a: int, b: int) -> int:
    """Return the product of two numbers.

    Args:
        a: One.
        b: The other.
    """
    await asyncio.sleep(0.01)  # a service that takes its time: nobody waits for it but the one who called
    return a * b


async def main() -> None:
    """Run all tasks at once, then one with its events."""
    with CodeAgent(tools=[multiply], model=ScriptedModel(answer), verbosity_level=0) as agent:
        answers = await asyncio.gather(*(agent.arun(task) for task in TASKS))
        print(answers == [n * n for n in range(20)])
        async for event in agent.arun("What is the square of 12?", stream=True):
            if isinstance(event, ToolCalled):
                print("called:", event.name)


if __name__ == "__main__":
    asyncio.run(main())
