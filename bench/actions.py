"""Code actions and JSON actions on composed tasks -> turns, prompt tokens and tool round trips of both.

    python bench/actions.py                                   both forms, scripted
    python bench/actions.py --model qwen2.5-coder-1.5b        both forms, by a model, on the forty tasks of bench/shop.py

Scripted, both policies are as good as each form allows: a JSON turn may make many calls at once, but none that needs the
result of another of the same turn; code may nest, loop and hand objects on. What is compared is the form, not a model.

By a model, both agents have the same tools, the same rules in as many words, the same five worked examples as chat turns (of
towns, which no task is about), the same number of steps and no retries from outside. The prompts were tuned on six questions
about towns, the one for code in two rounds, the one for JSON in five. `--transcripts FILE` writes what was said
and what came of it, a line each; `--table FILE...` prints the table of such files (only tasks that each form was asked) and their
hashes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import shop
from questions import is_right

from pinjra.agents import CodeAgent, ToolCallingAgent
from pinjra.agents.memory.messages import MessageForm
from pinjra.agents.memory.observation import as_data
from pinjra.agents.prompts.examples import IS_IT_KNOWN
from pinjra.core.events import Event, ToolCalled
from pinjra.core.value_text import describe_value
from pinjra.models.base import ChatMessage, Completion, Model, ToolCall
from pinjra.models.registry import load_model
from pinjra.models.scripted import ScriptedModel
from pinjra.models.text_calls import call_line, result_line

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
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description="Code actions beside JSON actions.")
    parser.add_argument("--model", help="ask this model; without it both forms are scripted")
    parser.add_argument("--form", choices=tuple(FORMS), help="only this form")
    parser.add_argument("--only", default="", help="only tasks that hold this text")
    parser.add_argument("--most", type=int, help="so many tasks, in even parts of each kind")
    parser.add_argument(
        "--tuning", action="store_true", help="the six questions that the prompts were tuned on, instead"
    )
    parser.add_argument("--table", type=Path, nargs="+", help="the table of these transcripts; asks nothing")
    parser.add_argument("--transcripts", type=Path, help="write each run there, a line of JSON each")
    options = parser.parse_args()
    if options.table:
        print(table_of(options.table))
    elif options.model is None:
        scripted()
    else:
        measured(options)


def scripted() -> None:
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


# ---------------------------------------------------------------- by a model

MOST_TOKENS = 300  # of one answer: eight calls in JSON are 200
STEPS = 5  # the longest JSON policy of a task needs five turns
TUNING = (
    shop.Task(shop.ONE, "How many people live in Ulm?", 126_000),
    shop.Task(shop.ONE, "Which town is nearest to Jena?", "Bonn"),
    shop.Task(shop.NESTED, "How many people live in the town that is nearest to Ulm?", 111_000),
    shop.Task(shop.NESTED, "How many people live in Jena and in Ulm together?", 237_000),
    shop.Task(shop.LOOP, "Which town has the fewest people?", "Jena"),
    shop.Task(shop.SEVERAL, "How many towns have more than 112000 people?", 2),
)
_CODE_PROMPT = """You solve tasks by writing Python. Answer with one code block only; you then see what it printed.
These functions exist; call them, never define or import them:
{{ brief_signatures }}
final_answer(answer)  # ends the task
Work every number out by calls and code, never guess one. Call final_answer last, with exactly what the task asks for, in the same code."""
_JSON_PROMPT = """You solve tasks by calling tools. Answer with calls only, one JSON object a line; you then see what they returned.
These tools exist:
{{ brief_signatures }}
final_answer(answer)  # ends the task
Tools that do not need each other's results are called in one answer.
Work every number out by calls, never guess one. As soon as the results hold what the task asks for, call final_answer with it, alone."""
# Question, code, and the turns of calls with their results.
_EXAMPLES: tuple[tuple[str, str, list[list[tuple[str, dict[str, object], object]]]], ...] = (
    (
        "How many people live in Bonn?",
        "final_answer(people('Bonn'))",
        [[("people", {"town": "Bonn"}, 336000)], [("final_answer", {"answer": 336000}, "")]],
    ),
    (
        "Which town is nearest to Bonn?",
        "final_answer(neighbour('Bonn'))",
        [[("neighbour", {"town": "Bonn"}, "Ulm")], [("final_answer", {"answer": "Ulm"}, "")]],
    ),
    (
        "How many people live in the town that is nearest to Jena?",
        "final_answer(people(neighbour('Jena')))",
        [
            [("neighbour", {"town": "Jena"}, "Bonn")],
            [("people", {"town": "Bonn"}, 336000)],
            [("final_answer", {"answer": 336000}, "")],
        ],
    ),
    (
        "How many people live in all towns together?",
        "final_answer(sum(people(town) for town in towns()))",
        [
            [("towns", {}, ["Ulm", "Bonn", "Jena"])],
            [("people", {"town": town}, shop.TOWNS[town]) for town in shop.TOWNS],
            [("calculate", {"expression": "126000 + 336000 + 111000"}, 573000)],
            [("final_answer", {"answer": 573000}, "")],
        ],
    ),
    (
        "Which town has the most people?",
        "final_answer(max(towns(), key=lambda town: people(town)))",
        [
            [("towns", {}, ["Ulm", "Bonn", "Jena"])],
            [("people", {"town": town}, shop.TOWNS[town]) for town in shop.TOWNS],
            [("final_answer", {"answer": "Bonn"}, "")],
        ],
    ),
)


class CodeForm(CodeAgent):
    """The code agent with the bench's examples."""

    def message_form(self) -> MessageForm:
        """Return how memory is shown."""
        turns = [(question, f"```python\n{code}\n```") for question, code, _ in _EXAMPLES]
        examples = [
            ChatMessage(role=role, content=text)
            for turn in turns
            for role, text in zip(("user", "assistant"), turn, strict=True)
        ]
        return replace(super().message_form(), examples=tuple(examples))


class JsonForm(ToolCallingAgent):
    """The JSON agent with the same examples, as calls."""

    def message_form(self) -> MessageForm:
        """Return how memory is shown."""
        examples: list[ChatMessage] = []
        for question, _, turns in _EXAMPLES:
            examples.append(ChatMessage(role="user", content=question))
            for calls in turns:
                examples += _call_turn(calls)
        return replace(super().message_form(), examples=tuple(examples))


def _call_turn(calls: Sequence[tuple[str, dict[str, object], object]]) -> list[ChatMessage]:
    written = "\n".join(call_line(name, arguments) for name, arguments, _ in calls)
    said = ChatMessage(role="assistant", content=written)
    if calls[0][0] == "final_answer":
        return [said]
    seen = "\n".join(
        [
            *(result_line(name, arguments, describe_value(result)) for name, arguments, result in calls),
            IS_IT_KNOWN,
        ]
    )
    return [said, ChatMessage(role="user", content=f"Observation:\n{as_data(seen, 10_000)}")]


FORMS = {"code": (CodeForm, _CODE_PROMPT), "JSON": (JsonForm, _JSON_PROMPT)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One task by one form."""

    form: str
    kind: str
    question: str
    answer: str
    right: bool
    turns: int
    read: int
    written: int
    calls: int
    seconds: float


def measured(options: argparse.Namespace) -> None:
    """Ask every task in each form, then print a row for each kind and form."""
    model = load_model(options.model, seed=7, max_tokens=MOST_TOKENS)
    tasks = [t for t in (TUNING if options.tuning else shop.TASKS) if options.only in t.question]
    tasks = [task for first in range(5) for task in tasks[first::5]][
        : options.most
    ]  # of every kind, however few
    outcomes = []
    for form in [options.form] if options.form else FORMS:
        for task in tasks:
            outcome, transcript = asked(task, form, model)
            outcomes.append(outcome)
            line = (
                json.dumps({**asdict(outcome), "transcript": transcript}, default=str, sort_keys=True) + "\n"
            )
            if options.transcripts:
                with options.transcripts.open("a", encoding="utf-8") as file:
                    file.write(line)
            mark = "right" if outcome.right else f"WRONG ({task.answer!r})"
            print(
                f"{outcome.seconds:6.1f} s {form} {outcome.turns} {mark}: {task.question} -> {outcome.answer}",
                flush=True,
            )
    print(summary(outcomes))


def table_of(files: Sequence[Path]) -> str:
    """Return the table of transcripts, and the hash of each file."""
    lines = [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
    outcomes = [Outcome(**{name: line[name] for name in Outcome.__slots__}) for line in lines]
    forms = [
        {o.question for o in outcomes if o.form == form} for form in dict.fromkeys(o.form for o in outcomes)
    ]
    asked_all = set.intersection(*forms)
    hashes = [f"{file.name}: sha256 {hashlib.sha256(file.read_bytes()).hexdigest()[:16]}" for file in files]
    return "\n".join([summary([o for o in outcomes if o.question in asked_all]), *hashes])


def asked(task: shop.Task, form: str, model: Model) -> tuple[Outcome, list[object]]:
    """Return what one form made of a task, and what was said."""
    kind, prompt = FORMS[form]
    where = {"executor_type": "jail"} if form == "code" else {}
    agent = kind(
        shop.TOOLS, model, prompt_templates={"system_prompt": prompt}, max_steps=STEPS, verbosity_level=0,
        return_full_result=True, **where,
    )  # fmt: skip
    begun = time.process_time()  # of this process, the model in it: a busy machine does not count
    with agent:
        events: list[Event] = list(agent.events(task.question))
    seconds = time.process_time() - begun
    result = events[-1]
    steps = [step for step in agent.memory.steps if hasattr(step, "model_output")]
    usage = [step.token_usage for step in steps]
    answer = result.output if result.state == "success" else f"({result.state})"  # type: ignore[attr-defined]
    outcome = Outcome(
        form=form, kind=task.kind, question=task.question, answer=str(answer)[:100],
        right=result.state == "success" and is_right(answer, task.answer),  # type: ignore[attr-defined]
        turns=len(steps), read=sum(u.input_tokens for u in usage), written=sum(u.output_tokens for u in usage),
        calls=sum(isinstance(e, ToolCalled) and e.name != "final_answer" for e in events), seconds=round(seconds, 1),
    )  # fmt: skip
    return outcome, [[step.model_output, step.observations, str(step.error or "")] for step in steps]


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return a table: a row for each kind and form, means of turns, tokens and seconds."""
    rows = [
        "| kind | form | right | turns | tokens read | written | calls | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind in [*dict.fromkeys(o.kind for o in outcomes), "all"]:
        for form in dict.fromkeys(o.form for o in outcomes):
            some = [o for o in outcomes if o.form == form and kind in (o.kind, "all")]
            means = [
                sum(getattr(o, name) for o in some) / len(some)
                for name in ("turns", "read", "written", "calls", "seconds")
            ]
            shown = [
                f"{means[0]:.1f}",
                f"{means[1]:.0f}",
                f"{means[2]:.0f}",
                f"{means[3]:.1f}",
                f"{means[4]:.1f}",
            ]
            rows.append(
                f"| {kind} | {form} | {sum(o.right for o in some)}/{len(some)} | {' | '.join(shown)} |"
            )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
