"""Checks: what crosses between guest and host, arrays, tables, images and large values too, and what lives on between runs."""

from __future__ import annotations

import datetime
import decimal
import uuid
from types import ModuleType
from typing import Any

from pinjra.core.values import Opaque, Record
from pinjra.executors.base import PythonExecutor
from pinjra.executors.conformance.suite import CheckFailed, NotHere, check, expect, value_of


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


BYTES = 4 << 20


@check(imports=["numpy"])
def arrays_cross_both_ways(executor: PythonExecutor) -> None:
    np = _library("numpy")
    executor.send_variables({"a": np.arange(6, dtype="int32").reshape(2, 3)})
    got = _with_library(executor, "import numpy as np\n(a * 2).astype('float64')")
    if not isinstance(got, np.ndarray) or got.dtype != np.float64 or got.tolist() != [[0, 2, 4], [6, 8, 10]]:
        raise CheckFailed(f"got {got!r}")
    executor.send_tools({"double": lambda a: a * 2})
    again = _with_library(
        executor, "b = double(np.arange(3, dtype='int64'))\n(type(b).__name__, b.tolist(), double(b))"
    )
    expect(str(again), str(("ndarray", [0, 2, 4], np.array([0, 4, 8]))))


@check(imports=["pandas"])
def tables_cross_both_ways(executor: PythonExecutor) -> None:
    pd = _library("pandas")
    frame = pd.DataFrame(
        {"n": [1, 2, 3], "name": ["a", None, "ü"], "when": pd.to_datetime(["2024-02-29"] * 3)}
    )
    executor.send_variables({"frame": frame})
    got = _with_library(executor, "import pandas as pd\nframe['n'] = frame['n'] * 10\n{'of': [frame]}")
    wanted = frame.assign(n=[10, 20, 30])
    if not isinstance(got, dict) or not isinstance(got["of"][0], pd.DataFrame):
        raise CheckFailed(f"got {got!r:.500}")
    expect(got["of"][0].to_dict(), wanted.to_dict())
    expect(frame["n"].tolist(), [1, 2, 3], "the host's own table")
    seen: list[object] = []

    def take(table: Any) -> object:
        seen.append(table)
        return table.head(1)

    executor.send_tools({"take": take})
    code = "one = take(pd.DataFrame({'x': [1.5, 2.5]}))\n(type(one).__name__, one.to_dict())"
    expect(_with_library(executor, code), ("DataFrame", {"x": {0: 1.5}}))
    expect([type(s) for s in seen], [pd.DataFrame])


@check(imports=["PIL"])
def images_cross_both_ways(executor: PythonExecutor) -> None:
    _library("PIL.Image")
    from PIL import Image

    executor.send_variables({"picture": Image.new("RGB", (3, 2), (255, 0, 0))})
    code = "from PIL import Image\npicture.putpixel((0, 0), (0, 0, 255))\npicture"
    got = _with_library(executor, code)
    if not isinstance(got, Image.Image):
        raise CheckFailed(f"got {got!r:.500}")
    expect((got.size, got.getpixel((0, 0)), got.getpixel((2, 1))), ((3, 2), (0, 0, 255), (255, 0, 0)))
    executor.send_tools({"size": lambda image: image.size})
    expect(value_of(executor, "size(picture)"), (3, 2))


@check()
def large_values_cross_both_ways(executor: PythonExecutor) -> None:
    pattern = bytes(range(256)) * (BYTES // 256)
    executor.send_variables({"blob": pattern})
    expect(value_of(executor, "(len(blob), blob[:3], blob[-1])"), (BYTES, b"\x00\x01\x02", 255))
    got = value_of(executor, "{'blob': blob[::-1], 'text': 'é' * 1_000_000}")
    if not isinstance(got, dict) or got["blob"] != pattern[::-1] or got["text"] != "é" * 1_000_000:
        raise CheckFailed("4 MiB came back changed")
    executor.send_tools({"turn": lambda data: data[::-1]})
    expect(value_of(executor, "turn(blob) == blob[::-1]"), True)


@check()
def nested_values_cross_both_ways(executor: PythonExecutor) -> None:
    nested = {
        "rows": [{"id": n, "tags": ("a", {"b": {n, n + 1}}), 3: [None, -0.5, b"\x00"]} for n in range(50)]
    }
    executor.send_variables({"nested": nested})
    expect(value_of(executor, "nested"), nested)
    executor.send_tools({"same": lambda value: value})
    expect(value_of(executor, "same(nested) == nested and same(nested)"), nested)


def _library(name: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise NotHere(f"the host's Python has no {name.partition('.')[0]}") from None


def _with_library(executor: PythonExecutor, code: str) -> Any:
    """Return a run that must succeed, where the guest's Python has what it imports."""
    done = executor.run(code)
    if done.error is not None and done.error.type in ("ModuleNotFoundError", "ImportError"):
        raise NotHere(f"in the sandbox: {done.error.message:.200}")
    expect(done.error, None, code)
    return done.value
