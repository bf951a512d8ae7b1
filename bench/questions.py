"""Small questions -> how many of them a model answers right, with the agent's own prompt. Judged by value.

    python bench/questions.py --model qwen2.5-coder-1.5b
    python bench/questions.py --model qwen2.5-coder-0.5b --vote 5 --executor local

Three groups, whose rates are printed apart: `tuned` were looked at while the prompt was made; `held out` were not, but
their failures were read afterwards; `fresh` were written after the prompt was frozen and asked once. The last line names
the prompt by its hash: a figure holds for that prompt only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pinjra.agents import CodeAgent
from pinjra.models.registry import load_model
from pinjra.models.scripted import ScriptedModel

PRICES = {"pen": 3, "book": 12, "bag": 45}
POPULATIONS = {"Oslo": 709_000, "Bern": 134_000, "Riga": 605_000}


def price(item: str) -> int:
    """Return the price of an item of the shop, in euros.

    Args:
        item: The item's name, such as "pen".
    """
    return PRICES[item]


def population(city: str) -> int:
    """Return how many people live in a city.

    Args:
        city: The city's name, such as "Oslo".
    """
    return POPULATIONS[city]


def reading(day: int) -> float:
    """Return the temperature that was measured on a day of the month, in degrees.

    Args:
        day: Day of the month, 1 to 31.
    """
    return 10.0 + (day * 7) % 11


@dataclass(frozen=True)
class Question:
    """A task and what its answer must be."""

    text: str
    expected: object
    tools: tuple[Callable[..., object], ...] = ()
    group: str = "tuned"


TUNED = (
    Question("What is the 20th Fibonacci number? (The first two are 1 and 1.)", 6765),
    Question("What is the sum of all prime numbers below 1000?", 76127),
    Question("What is the sum of the digits of 2**100?", 115),
    Question("Which day of the week was 2024-02-29?", "Thursday"),
    Question("What is 2024 in binary, without a prefix?", "11111101000"),
    Question("How many days are there from 2023-03-15 to 2024-03-15?", 366),
    Question(
        "1000 euros grow by 5 percent each year. How many are there after 10 years, rounded to cents?",
        1628.89,
    ),
    Question("How many times is the letter s in 'she sells sea shells'?", 6),
    Question("What is the greatest common divisor of 1071 and 462?", 21),
    Question("Write the word 'pinjra' backwards.", "arjnip"),
    Question("What does a pen cost?", 3, (price,)),
    Question("What do two books and a bag cost together?", 69, (price,)),
    Question("How many more people live in Oslo than in Bern?", 575_000, (population,)),
)
HELD_OUT = (
    Question("How many of the numbers from 1 to 500 can be divided by 7 but not by 3?", 48),
    Question("What is 17 factorial divided by 15 factorial?", 272),
    Question("What is the median of 12, 7, 3, 25, 8, 19?", 10),
    Question("Which date is 100 days after 2025-01-01? Answer as YYYY-MM-DD.", "2025-04-11"),
    Question("What is the hexadecimal number ff3 as a decimal number?", 4083),
    Question("Sort the words pear, fig, banana and kiwi by length and give the shortest.", "fig"),
    Question("How many distinct letters has the word 'mississippi'?", 4),
    Question("What is the square root of 7569?", 87),
    Question("What is the product of the digits of 98765?", 15120),
    Question("How many Sundays were there in January 2023?", 5),
    Question("What do ten pens cost?", 30, (price,)),
    Question("What was the highest temperature measured from day 1 to day 7?", 20.0, (reading,)),
    Question("Do more people live in Riga than in Oslo? Answer True or False.", False, (population,)),
)
FRESH = (
    Question("How many multiples of 13 are there from 1000 to 1999?", 77),
    Question("In how many ways can 5 people be chosen out of 12?", 792),
    Question("What is the average of 14, 22, 9, 31 and 24?", 20),
    Question("How many days are there from 2025-09-01 to 2025-12-25?", 115),
    Question("Which day of the week was 1999-12-31?", "Friday"),
    Question("What is the binary number 1101101 as a decimal number?", 109),
    Question("How many vowels are there in 'the quick brown fox'?", 5),
    Question("Give the initials of 'random access memory' in capital letters, as one word.", "RAM"),
    Question("What is the sum of the squares of the numbers from 1 to 30?", 9455),
    Question("Which is the longest of the words orange, apple, strawberry and plum?", "strawberry"),
    Question("How many different words are there in 'to be or not to be that is the question'?", 8),
    Question("A thing costs 350 euros without tax. What does it cost with 19 percent tax?", 416.5),
    Question("What do seven bags cost?", 315, (price,)),
    Question("What was the average of the temperatures measured from day 1 to day 5?", 15.6, (reading,)),
    Question("How many people live in Oslo, Bern and Riga together?", 1_448_000, (population,)),
    Question("Which costs more, two books or one bag? Answer book or bag.", "bag", (price,)),
)
GROUPS = {"tuned": TUNED, "held out": HELD_OUT, "fresh": FRESH}
QUESTIONS = tuple(replace(q, group=group) for group, some in GROUPS.items() for q in some)


def is_right(given: object, expected: object) -> bool:
    """Return whether an answer has the expected value; numbers in text and case do not matter."""
    if isinstance(expected, str):
        return str(given).strip().strip(".").casefold() == expected.casefold()
    if isinstance(expected, bool) or isinstance(given, bool):
        return str(given).strip().casefold() == str(expected).casefold()
    try:
        number = float(str(given).replace(",", "").strip())
    except ValueError:
        return False
    return math.isclose(number, float(str(expected)), rel_tol=1e-9, abs_tol=0.005)


def ask(question: Question, model: object, options: argparse.Namespace) -> dict[str, object]:
    """Return what the agent answered, whether it is right, and how long it took."""
    agent = CodeAgent(
        tools=list(question.tools),
        model=model,  # type: ignore[arg-type]
        executor_type=options.executor,
        max_steps=options.max_steps,
        vote=options.vote,
        verbosity_level=0,
        return_full_result=True,
    )
    begun = time.perf_counter()
    with agent:
        result = agent.run(question.text)
    answer = getattr(result, "output", None)
    state = getattr(result, "state", "")
    right = state == "success" and is_right(answer, question.expected)
    codes = [step.get("code_action") for step in getattr(result, "steps", ()) if step.get("code_action")]
    return {
        "question": question.text,
        "right": right,
        "answer": str(answer)[:200],
        "expected": question.expected,
        "state": state,
        "steps": len(codes),
        "seconds": round(time.perf_counter() - begun, 1),
        "group": question.group,
        "code": codes[-1] if codes else "",
    }


def report(results: Sequence[dict[str, object]], model: str, vote: int) -> str:
    """Return the rates as one line."""
    rates = []
    for group in (*GROUPS, "all"):
        some = [r for r in results if group in ("all", r["group"])]
        rates.append(f"{group} {sum(bool(r['right']) for r in some)}/{len(some)}")
    seconds = sorted(float(str(r["seconds"])) for r in results)
    middle = seconds[len(seconds) // 2] if seconds else 0.0
    return f"{model}, vote of {vote}: {', '.join(rates)}; median {middle:.1f} s an answer; prompt {prompt_hash()}"


def prompt_hash() -> str:
    """Return what names the prompt of small models, with one tool: the system prompt and the examples."""
    model = ScriptedModel([])
    model.prompt_style = "small"
    agent = CodeAgent([price], model, executor_type="local")
    texts = [agent.system_prompt, *(message.content for message in agent.message_form().examples)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def main() -> None:
    """Ask every question and print a line each, then the rates."""
    parser = argparse.ArgumentParser(description="How many small questions a model answers right.")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b")
    parser.add_argument("--executor", default=None)
    parser.add_argument("--max-steps", type=int, default=4)
    parser.add_argument("--vote", type=int, default=1)
    parser.add_argument("--only", default="", help="ask only questions that hold this text")
    parser.add_argument(
        "--group", choices=tuple(GROUPS), default=None, help="ask only questions of this group"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a question")
    options = parser.parse_args()
    model = load_model(options.model)
    results = []
    for question in (q for q in QUESTIONS if options.only in q.text and options.group in (None, q.group)):
        results.append(ask(question, model, options))
        last = results[-1]
        if options.json:
            print(json.dumps(last), flush=True)
        else:
            mark = "right" if last["right"] else f"WRONG (expected {last['expected']!r})"
            print(f"{last['seconds']:>6} s  {mark}: {question.text} -> {last['answer']}", flush=True)
    print(report(results, options.model, options.vote))


if __name__ == "__main__":
    main()
