"""The `str` dtype of pandas 3, both ways. pandas 2.3 has it behind an option; from 3 on it is the default."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pinjra import sandbox
from pinjra.executors.base import PythonExecutor

pd = pytest.importorskip("pandas", minversion="2.3")
ON = "import pandas as pd\npd.options.future.infer_string = True\n"


@pytest.fixture(params=["jail", "local"])
def box(request: pytest.FixtureRequest) -> Iterator[PythonExecutor]:
    with sandbox(request.param, authorized_imports=["pandas", "numpy"]) as box:
        yield box


@pytest.fixture
def texts_are_str() -> Iterator[None]:
    with pd.option_context("future.infer_string", True):
        yield


@pytest.mark.usefixtures("texts_are_str")
def test_a_table_with_texts_crosses_both_ways_and_is_the_same(box: PythonExecutor) -> None:
    table = pd.DataFrame({"name": ["pen", None, "ü\U0001f58a"], "sold": [1, 2, 3]})
    assert table.dtypes["name"] == "str"
    box.run(ON)
    box.send_variables({"table": table, "names": table["name"]})
    there = box.run(
        "(str(table.dtypes['name']), str(names.dtype), int(names.isna().sum()), list(table.columns))"
    )
    assert there.value == ("str", "str", 1, ["name", "sold"])
    back = box.run("table").value
    pd.testing.assert_frame_equal(back, table)
    pd.testing.assert_series_equal(box.run("names").value, table["name"])


@pytest.mark.usefixtures("texts_are_str")
def test_texts_made_in_the_box_are_of_the_dtype_here(box: PythonExecutor) -> None:
    made = box.run(
        ON + "pd.Series(['a', None, 'b'], index=pd.Index(['x', 'y', 'z'], name='key'), name='n')"
    ).value
    expected = pd.Series(["a", None, "b"], index=pd.Index(["x", "y", "z"], name="key"), name="n")
    pd.testing.assert_series_equal(made, expected)
    assert made.dtype == "str"
    counted = box.run(ON + "pd.DataFrame({'k': ['a', 'b', 'a'], 'v': [1, 2, 3]}).groupby('k').v.sum()").value
    assert counted.to_dict() == {"a": 4, "b": 2}


@pytest.mark.skipif(int(pd.__version__.split(".")[0]) > 2, reason="from pandas 3 on every text has the dtype")
def test_where_the_dtype_is_not_known_texts_are_objects_with_the_same_values(box: PythonExecutor) -> None:
    made = box.run(ON + "pd.Series(['a', None])").value
    assert made.dtype == object
    assert made[0] == "a"
    assert pd.isna(made[1])


def test_types_of_columns_are_shown_by_the_names_that_pandas_shows(box: PythonExecutor) -> None:
    made = "import pandas as pd\nframe = pd.DataFrame({'a': [1], 'b': pd.Categorical(['x']), 'c': pd.array([1], 'Int8')})\n"
    found = box.run(f"{made}print(frame.dtypes)\nframe.dtypes, frame.dtypes['b']")
    assert found.stdout == f"{found.value[0]}\n"
    assert repr(found.value[1]) == "category"
    assert box.run("frame.dtypes['b']").value.repr == box.run("repr(frame.dtypes['b'])").value
