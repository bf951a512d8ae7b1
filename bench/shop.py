"""A shop's tools, and forty tasks with them -> what each answer must be. For bench/actions.py: no model was tuned on these.

Four kinds, ten each: one call; calls inside calls; a call for each of many things; several of these together. Answers are computed
from the same tables as the tools' results. The three tools of towns are for the examples of the prompts; no task needs them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

# item -> price in euros, pieces in stock, country, grams
ITEMS = {
    "pen": (2, 40, "France", 10),
    "book": (12, 7, "Italy", 500),
    "bag": (45, 0, "Spain", 900),
    "lamp": (30, 12, "France", 1500),
    "cup": (6, 3, "Poland", 300),
    "desk": (180, 1, "Italy", 30000),
    "chair": (75, 9, "Spain", 7000),
    "shelf": (60, 2, "Poland", 12000),
}
# country -> tax in percent, kilometres, capital
COUNTRIES = {
    "France": (20, 880, "Paris"),
    "Italy": (22, 1180, "Rome"),
    "Spain": (21, 1870, "Madrid"),
    "Poland": (23, 520, "Warsaw"),
}
MONTHS = ["January", "February", "March", "April", "May"]
RATES = {"dollar": 1.25, "rupee": 100.0, "pound": 0.8}
TOWNS = {"Ulm": 126_000, "Bonn": 336_000, "Jena": 111_000}


def _name(item: str) -> str:
    """Return an item's name as it stands in the table: tools of people are not picky about capitals and plurals, either."""
    return item.lower().removesuffix("s").replace("shelve", "shelf")


def items() -> list:
    """Return the names of all items of the shop."""
    return list(ITEMS)


def price(item: str) -> int:
    """Return the price of an item, in euros.

    Args:
        item: Its name.
    """
    return ITEMS[_name(item)][0]


def stock(item: str) -> int:
    """Return how many pieces of an item are in stock.

    Args:
        item: Its name.
    """
    return ITEMS[_name(item)][1]


def origin(item: str) -> str:
    """Return the country that an item comes from.

    Args:
        item: Its name.
    """
    return ITEMS[_name(item)][2]


def weight(item: str) -> int:
    """Return the weight of one piece of an item, in grams.

    Args:
        item: Its name.
    """
    return ITEMS[_name(item)][3]


def tax(country: str) -> int:
    """Return the tax of a country, in percent.

    Args:
        country: Its name.
    """
    return COUNTRIES[country.capitalize()][0]


def distance(country: str) -> int:
    """Return how far away a country is, in kilometres.

    Args:
        country: Its name.
    """
    return COUNTRIES[country.capitalize()][1]


def capital(country: str) -> str:
    """Return the capital of a country.

    Args:
        country: Its name.
    """
    return COUNTRIES[country.capitalize()][2]


def sold(item: str, month: str) -> int:
    """Return how many pieces of an item were sold in a month.

    Args:
        item: Its name.
        month: Its name, such as "May".
    """
    item = _name(item)
    return (len(item) * 7 + MONTHS.index(month.capitalize()) * 5 + ITEMS[item][0]) % 11


def convert(euros: float, currency: str) -> float:
    """Return an amount of euros in another currency.

    Args:
        euros: The amount.
        currency: "dollar", "rupee" or "pound".
    """
    return euros * RATES[currency.lower().rstrip("s")]


def calculate(expression: str) -> float:
    """Return the value of an arithmetic expression.

    Args:
        expression: Numbers, + - * / and brackets, such as "3 * (4 + 5)".
    """
    if not re.fullmatch(r"[\d\s.+*/()-]{1,200}", expression) or "**" in expression or "//" in expression:
        raise ValueError("numbers, + - * / and brackets only")
    return eval(expression, {"__builtins__": {}})  # numbers and four operators, nothing that has a name


def towns() -> list:
    """Return the names of all towns."""
    return list(TOWNS)


def people(town: str) -> int:
    """Return how many people live in a town.

    Args:
        town: Its name.
    """
    return TOWNS[town]


def neighbour(town: str) -> str:
    """Return the town that is nearest to a town.

    Args:
        town: Its name.
    """
    return {"Ulm": "Jena", "Jena": "Bonn", "Bonn": "Ulm"}[town]


TOOLS: list[Callable[..., object]] = [
    items, price, stock, origin, weight, tax, distance, capital, sold, convert, calculate, towns, people, neighbour,
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Task:
    """A question, its kind, and what its answer must be."""

    kind: str
    question: str
    answer: object


ONE, NESTED, LOOP, SEVERAL = "one call", "nested calls", "loop", "composition"

TASKS = (
    Task(ONE, "What does a book cost, in euros?", price("book")),
    Task(ONE, "How many lamps are in stock?", stock("lamp")),
    Task(ONE, "Which country do chairs come from?", origin("chair")),
    Task(ONE, "What is the tax of Italy, in percent?", tax("Italy")),
    Task(ONE, "How many kilometres away is Spain?", distance("Spain")),
    Task(ONE, "What is the capital of Poland?", capital("Poland")),
    Task(ONE, "How many pens were sold in May?", sold("pen", "May")),
    Task(ONE, "What does one bag weigh, in grams?", weight("bag")),
    Task(ONE, "How many dollars are 64 euros?", convert(64, "dollar")),
    Task(ONE, "How many different items does the shop have?", len(ITEMS)),
    Task(NESTED, "What is the tax of the country that lamps come from?", tax(origin("lamp"))),
    Task(NESTED, "How many kilometres away is the country that cups come from?", distance(origin("cup"))),
    Task(NESTED, "What is the capital of the country that bags come from?", capital(origin("bag"))),
    Task(NESTED, "What does a desk cost in dollars?", convert(price("desk"), "dollar")),
    Task(NESTED, "How many euros did the chairs that were sold in March bring?", sold("chair", "March") * price("chair")),
    Task(NESTED, "What are all lamps in stock worth together, in euros?", stock("lamp") * price("lamp")),
    Task(NESTED, "What do all chairs in stock weigh together, in grams?", stock("chair") * weight("chair")),
    Task(NESTED, "What does a book cost in euros when the tax of the country it comes from is added?",
         price("book") * (1 + tax(origin("book")) / 100)),
    Task(NESTED, "How many more kilometres away is the country of bags than the country of pens?",
         distance(origin("bag")) - distance(origin("pen"))),
    Task(NESTED, "What do 3 cups and 2 shelves cost together, in rupees?", convert(3 * price("cup") + 2 * price("shelf"), "rupee")),
    Task(LOOP, "How many pieces are in stock, of all items together?", sum(map(stock, ITEMS))),
    Task(LOOP, "Which item of the shop is the most expensive?", max(ITEMS, key=price)),
    Task(LOOP, "Which item of the shop is the heaviest?", max(ITEMS, key=weight)),
    Task(LOOP, "Of which item are there no pieces in stock?", min(ITEMS, key=stock)),
    Task(LOOP, "How many items cost less than 40 euros?", sum(price(i) < 40 for i in ITEMS)),
    Task(LOOP, "What do one of each item cost together, in euros?", sum(map(price, ITEMS))),
    Task(LOOP, "How many items come from Spain?", sum(origin(i) == "Spain" for i in ITEMS)),
    Task(LOOP, "How many books were sold in January, February, March, April and May together?", sum(sold("book", m) for m in MONTHS)),
    Task(LOOP, "How many pieces of all items together were sold in April?", sum(sold(i, "April") for i in ITEMS)),
    Task(LOOP, "What is the average weight of the items, in grams?", sum(map(weight, ITEMS)) / len(ITEMS)),
    Task(SEVERAL, "Which item from Italy is the most expensive?", max((i for i in ITEMS if origin(i) == "Italy"), key=price)),
    Task(SEVERAL, "What is everything in stock worth together, in euros?", sum(stock(i) * price(i) for i in ITEMS)),
    Task(SEVERAL, "How many items come from countries whose tax is above 20 percent?", sum(tax(origin(i)) > 20 for i in ITEMS)),
    Task(SEVERAL, "In which of the months January, February, March and April were the most cups sold?", max(MONTHS[:4], key=lambda m: sold("cup", m))),
    Task(SEVERAL, "How many euros did all items together bring in May?", sum(sold(i, "May") * price(i) for i in ITEMS)),
    Task(SEVERAL, "What is the capital of the country that the most expensive item comes from?", capital(origin(max(ITEMS, key=price)))),
    Task(SEVERAL, "How many items cost more than 70 dollars?", sum(convert(price(i), "dollar") > 70 for i in ITEMS)),
    Task(SEVERAL, "Which item comes from the nearest country and is the cheapest of those?",
         min((i for i in ITEMS if origin(i) == "Poland"), key=price)),
    Task(SEVERAL, "How many grams do all pieces of items from France in stock weigh together?",
         sum(stock(i) * weight(i) for i in ITEMS if origin(i) == "France")),
    Task(SEVERAL, "What do one of each item cost together, each with the tax of its country, in euros?",
         sum(price(i) * (1 + tax(origin(i)) / 100) for i in ITEMS)),
)  # fmt: skip
