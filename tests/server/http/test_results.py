"""Values of guests as JSON: what would become far longer than it came is described."""

import pytest

from pinjra.server.http.results import value_json

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.zeros((1 << 31, 0), np.int8),
        lambda: np.zeros((2,) * 24, np.int8),
        lambda: pd.RangeIndex(1 << 27),
        lambda: pd.Series(np.zeros(8 << 20, np.int8)),
        lambda: pd.DataFrame({"a": np.zeros(2 << 20, np.int8)}),
    ],
    ids=["rows of nothing", "many axes", "an index of three numbers", "a column", "a table"],
)
def test_arrays_that_would_become_millions_of_objects_are_described(make):
    value = make()
    found = value_json([value, 5])
    assert (found[0]["type"], found[1]) == (type(value).__name__, 5)
    assert len(found[0]["repr"]) < 10_000


def test_ordinary_arrays_and_tables_are_data():
    assert value_json([np.arange(3), pd.Series([1.5]), pd.DataFrame({"a": [1]})]) == [
        [0, 1, 2],
        {"0": 1.5},
        {"a": {"0": 1}},
    ]
