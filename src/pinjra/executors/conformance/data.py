"""Checks: arrays, tables, images and large values, both ways and through tools."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from pinjra.executors.base import PythonExecutor
from pinjra.executors.conformance.suite import CheckFailed, NotHere, check, expect, value_of

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
