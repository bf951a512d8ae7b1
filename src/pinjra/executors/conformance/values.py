"""Checks: what crosses between guest and host, and what lives on between runs."""

from __future__ import annotations

import datetime
import decimal
import uuid

from pinjra.core.values import Opaque, Record
from pinjra.executors.base import PythonExecutor
from pinjra.executors.conformance.suite import CheckFailed, check, expect, value_of


@check()
def the_value_of_the_last_expression_is_the_result(executor: PythonExecutor) -> None:
    expect(value_of(executor, "x = [1, 2]\nx.append(3)\nsum(x)"), 6)
    expect(value_of(executor, "y = 1"), None)


@check()
def variables_functions_and_classes_live_on_between_runs(executor: PythonExecutor) -> None:
    value_of(
        executor,
        "def f(n):\n    return n * k\nclass P:\n    def __init__(self, v):\n        self.v = v\nk = 7\np = P(3)",
    )
    expect(value_of(executor, "f(p.v)"), 21)
    value_of(executor, "k = 2")
    expect(value_of(executor, "f(P(5).v)"), 10)


_VALUES: tuple[object, ...] = (
    (None, True, 2**70, -1.5, 1 + 2j, "é\u2028", b"\x00\xff"),
    {"a": [1, (2, 3)], 4: {5, 6}, (7,): frozenset([8])},
    [datetime.date(2024, 2, 29), datetime.timedelta(hours=1), decimal.Decimal("0.10"), uuid.UUID(int=7)],
)


@check()
def plain_values_dates_decimals_and_identifiers_cross_as_themselves(executor: PythonExecutor) -> None:
    for value in _VALUES:
        code = repr(value).replace("Decimal", "decimal.Decimal").replace("UUID", "uuid.UUID")
        expect(value_of(executor, f"import datetime, decimal, uuid\n{code}"), value)
    expect(str(value_of(executor, "[float('nan'), float('inf')]")), "[nan, inf]")


@check()
def what_cannot_cross_arrives_as_a_description(executor: PythonExecutor) -> None:
    got = value_of(executor, "class Odd:\n    pass\nOdd()")
    if not isinstance(got, Opaque):
        raise CheckFailed(f"wanted an Opaque, got {got!r}")
    expect(got.type, "Odd")
    record = value_of(executor, "from dataclasses import dataclass\n@dataclass\nclass D:\n    a: int\nD(4)")
    expect(record, Record("D", {"a": 4}))


@check()
def host_variables_arrive_as_copies(executor: PythonExecutor) -> None:
    rows = [{"id": 1, "tags": ["x"]}]
    executor.send_variables({"rows": rows, "blob": b"\x00" * 1000})
    expect(
        value_of(executor, "rows[0]['tags'].append('y')\nrows.append(2)\n(len(rows), len(blob))"), (2, 1000)
    )
    expect(rows, [{"id": 1, "tags": ["x"]}], "the host's own list")


@check()
def deep_and_cyclic_values_end_in_a_description_or_an_error(executor: PythonExecutor) -> None:
    executor.run("a = []\nfor i in range(5000):\n    a = [a]\na")
    executor.run("b = []\nb.append(b)\nb")
    expect(value_of(executor, "1 + 1"), 2)
