"""A manager and a member of its team: each with a session of its own; the member is a function in the manager's code.

python examples/team.py
"""

from pinjra import CodeAgent, ScriptedModel, tool

STOCK = {"pen": 40, "book": 7, "lamp": 12}
PRICES = {"pen": 2, "book": 12, "lamp": 30}


@tool
def stock(item: str) -> int:
    """Return how many pieces of an item are in stock.

    Args:
        item: Its name.
    """
    return STOCK[item]


@tool
def price(item: str) -> int:
    """Return the price of an item, in euros.

    Args:
        item: Its name.
    """
    return PRICES[item]


def main() -> None:
    """Ask the manager, and show who did what."""
    clerk = CodeAgent(
        tools=[stock],
        model=ScriptedModel(["```python\nfinal_answer({i: stock(i) for i in ['pen', 'book', 'lamp']})\n```"]),
        name="clerk",
        description="Knows what is in stock. Give it a question in full.",
    )
    manager = CodeAgent(
        tools=[price],
        managed_agents=[clerk],
        model=ScriptedModel(
            [
                "I ask the clerk.\n```python\npieces = clerk(task='How many pieces of each item are there?')\nprint(pieces)\n```",
                "```python\nfinal_answer(sum(n * price(item) for item, n in pieces.items()))\n```",
            ]
        ),
        verbosity_level=0,
    )
    with manager:
        result = manager.run("What is everything in stock worth?", return_full_result=True)
    print("worth:", result.output)
    step = manager.memory.steps[-2]
    print("steps of the clerk:", [len(run.steps) for run in getattr(step, "nested", ())])


if __name__ == "__main__":
    main()
