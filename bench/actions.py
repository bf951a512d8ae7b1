"""Code actions and JSON actions on composed tasks -> turns, prompt tokens and tool round trips of both.

    python bench/actions.py

Both policies are scripted and as good as each form allows: a JSON turn may make many calls at once, but none that needs the
result of another of the same turn; code may nest, loop and hand objects on. What is compared is the form, not a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pinjra.agents import CodeAgent, ToolCallingAgent
from pinjra.core.events import Event, ToolCalled
from pinjra.models.base import Completion, ToolCall
from pinjra.models.scripted import ScriptedModel

Calls = list[tuple[str, dict[str, object]]]
STOCK = {"pen": 40, "book": 7, "bag": 0, "lamp": 12, "cup": 3, "desk": 1, "chair": 9, "shelf": 2}


def items() -> list:
    """Return the names of all items of the shop."""
    return list(STOCK)


def stock(item: str) -> int:
    """Return how many of an item there are.

    Args:
        item: Its name.
    """
    return STOCK[item]


def rate(country: str) -> float:
    """Return the tax rate of a country.

    Args:
        country: Its name.
    """
    return 0.2


def owner(item: str) -> str:
    """Return the country that an item comes from.

    Args:
        item: Its name.
    """
    return "France"


def table() -> list:
    """Return all sales, one row each."""
    return [{"day": day, "sold": day % 7} for day in range(200)]


def total(rows: list, column: str) -> int:
    """Return the sum of a column.

    Args:
        rows: Rows.
        column: Its name.
    """
    return sum(row[column] for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task, the code that solves it, and the JSON turns that do."""

    name: str
    question: str
    code: list[str]
    turns: list[Calls]
    answer: object


TASKS = [
    Task(
        name="one call",
        question="How many pens are there?",
        code=["final_answer(stock('pen'))"],
        turns=[[("stock", {"item": "pen"})], [("final_answer", {"answer": 40})]],
        answer=40,
    ),
    Task(
        name="nested calls",
        question="What is the tax rate of the country that lamps come from?",
        code=["final_answer(rate(owner('lamp')))"],
        turns=[
            [("owner", {"item": "lamp"})],
            [("rate", {"country": "France"})],
            [("final_answer", {"answer": 0.2})],
        ],
        answer=0.2,
    ),
    Task(
        name="loop over a tool",
        question="How many things are in stock altogether?",
        code=["final_answer(sum(stock(item) for item in items()))"],
        turns=[
            [("items", {})],
            [("stock", {"item": item}) for item in STOCK],
            [("final_answer", {"answer": sum(STOCK.values())})],
        ],
        answer=sum(STOCK.values()),
    ),
    Task(
        name="search until found",
        question="Which is the first item of which there is none?",
        code=["final_answer(next(item for item in items() if stock(item) == 0))"],
        turns=[
            [("items", {})],
            *([("stock", {"item": item})] for item in ("pen", "book", "bag")),
            [("final_answer", {"answer": "bag"})],
        ],
        answer="bag",
    ),
    Task(
        name="object handed on",
        question="How many were sold altogether?",
        code=["final_answer(total(table(), 'sold'))"],
        turns=[
            [("table", {})],
            [("total", {"rows": table(), "column": "sold"})],  # JSON has to write the rows out again
            [("final_answer", {"answer": sum(day % 7 for day in range(200))})],
        ],
        answer=sum(day % 7 for day in range(200)),
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one run took. Tokens are words, the same for both forms."""

    turns: int
    read: int
    written: int
    calls: int


def main() -> None:
    """Print a table of both forms and their ratios."""
    print(f"{'task':20} {'':6} {'turns':>6} {'tokens read':>12} {'tokens written':>15} {'calls':>6}")
    sums = {"code": [0, 0, 0, 0], "JSON": [0, 0, 0, 0]}
    for task in TASKS:
        for form, figures in (("code", by_code(task)), ("JSON", by_json(task))):
            row = [figures.turns, figures.read, figures.written, figures.calls]
            sums[form] = [a + b for a, b in zip(sums[form], row, strict=True)]
            print(f"{task.name:20} {form:6} {row[0]:6} {row[1]:12} {row[2]:15} {row[3]:6}")
    ratios = [f"{json / code:.2f}" for code, json in zip(sums["code"], sums["JSON"], strict=True)]
    print(f"{'JSON ÷ code':20} {'':6} {ratios[0]:>6} {ratios[1]:>12} {ratios[2]:>15} {ratios[3]:>6}")


def by_code(task: Task) -> Figures:
    """Return what the code agent took."""
    texts = [f"I call what is needed.\n```python\n{code}\n```" for code in task.code]
    with CodeAgent(_tools(), ScriptedModel(texts), executor_type="local", verbosity_level=0) as agent:
        return _measured(task, agent, written=sum(len(text.split()) for text in texts))


def by_json(task: Task) -> Figures:
    """Return what the JSON agent took."""
    turns = [
        Completion(
            tool_calls=tuple(ToolCall(id=f"c{n}", name=c[0], arguments=c[1]) for n, c in enumerate(turn))
        )
        for turn in task.turns
    ]
    written = sum(len(str(call).split()) for turn in task.turns for call in turn)
    with ToolCallingAgent(_tools(), ScriptedModel(turns), verbosity_level=0) as agent:
        return _measured(task, agent, written=written)


def _tools() -> list[Callable[..., object]]:
    return [items, stock, rate, owner, table, total]


def _measured(task: Task, agent: CodeAgent | ToolCallingAgent, *, written: int) -> Figures:
    events: list[Event] = list(agent.events(task.question))
    answer = events[-1].output  # type: ignore[attr-defined]  # a RunFinished
    if answer != task.answer:
        raise SystemExit(f"{task.name}: {answer!r} is not {task.answer!r}")
    calls = [e for e in events if isinstance(e, ToolCalled) and e.name != "final_answer"]
    model = agent.model
    assert isinstance(model, ScriptedModel)
    read = sum(_words(request.messages) for request in model.requests)
    return Figures(turns=len(model.requests), read=read, written=written, calls=len(calls))


def _words(messages: object) -> int:
    """Return the words of a prompt; calls of tools count as they are written."""
    return sum(
        len(m.content.split()) + sum(len(str((c.name, c.arguments)).split()) for c in m.tool_calls)
        for m in messages  # type: ignore[attr-defined]
    )


if __name__ == "__main__":
    main()
