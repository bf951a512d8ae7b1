"""Values are on the other side what their users rely on: names of items, attributes, iterators, exceptions, sources."""

from __future__ import annotations

import asyncio
import collections
import copy
import dataclasses
import enum
import pickle  # noqa: TID251 (of our own objects)
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from pinjra import Opaque, PythonExecutor, Record, sandbox, tool
from pinjra.core.values import ForeignException

pydantic = pytest.importorskip("pydantic")


class Colour(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    left: int
    right: str = "r"


@dataclasses.dataclass
class Point:
    x: int
    y: list[int]

    def norm(self) -> int:
        return abs(self.x)


class Model(pydantic.BaseModel):  # type: ignore[misc, name-defined]  # imported only where it is there
    n: int
    secret: pydantic.SecretStr = pydantic.SecretStr("hidden")
    _private: str = "private"


@pytest.fixture(scope="module", params=["jail", "local"])
def box(request: pytest.FixtureRequest) -> Iterator[PythonExecutor]:
    with sandbox(request.param, authorized_imports=["pydantic", "enum", "typing"]) as box:
        yield box


def value(box: PythonExecutor, code: str) -> Any:
    done = box.run(code)
    assert done.error is None, done.error
    return done.value


def test_named_tuples_have_their_names(box: PythonExecutor) -> None:
    found = value(box, "from collections import namedtuple\nP = namedtuple('P', 'x y')\n[P(1, [2])]")[0]
    assert (found.x, found.y, found, repr(found)) == (1, [2], (1, [2]), "P(x=1, y=[2])")
    assert isinstance(found, tuple) and found._fields == ("x", "y") and found._asdict() == {"x": 1, "y": [2]}
    with pytest.raises(AttributeError):
        found.z
    box.send_variables({"p": Pair(1)})
    assert value(box, "a, b = p\n[p.left, p.right, a, b, p == (1, 'r')]") == [1, "r", 1, "r", True]
    assert value(box, "p").right == "r"


def test_objects_with_fields_have_attributes(box: PythonExecutor) -> None:
    box.send_variables({"c": Colour.RED, "d": Point(-1, [2]), "m": Model(n=5)})
    assert value(box, "[c.name, c.value, d.x, d.y, m.n]") == ["RED", 1, -1, [2], 5]
    assert "hidden" not in str(value(box, "repr(m)")) and "private" not in str(value(box, "repr(m)"))
    code = "from pydantic import BaseModel\nclass M(BaseModel):\n    n: int\n    s: str = 'x'\nM(n=3)"
    model = value(box, code)
    assert (model.n, model.s, model) == (3, "x", Record("M", {"n": 3, "s": "x"}))
    member = value(box, "import enum\nclass E(enum.Enum):\n    A = 'a'\nE.A")
    assert (member.name, member.value) == ("A", "a")
    with pytest.raises(AttributeError):
        member.other


def test_an_object_that_is_given_back_is_the_object_itself(box: PythonExecutor) -> None:
    point = Point(-3, [])
    got: list[object] = []
    box.send_tools({"make": lambda: [point], "norm": lambda p: got.append(p) or p.norm()})
    assert value(box, "p = make()[0]\n[p.x, norm(p)]") == [-3, 3]
    assert got[0] is point


def test_copies_and_pickles_are_equal(box: PythonExecutor) -> None:
    code = "from collections import namedtuple\nclass Own(Exception): pass\n"
    found = value(box, f"{code}[namedtuple('P', 'x')(1), Own('o', 2), ValueError('v')]")
    for again in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert again[0].x == 1 and again[1].type == "Own" and again[1].args == ("o", 2)
        assert type(again[2]) is ValueError
    record = value(box, "from dataclasses import dataclass\n@dataclass\nclass D:\n    a: int\nD(1)")
    assert pickle.loads(pickle.dumps(record)) == copy.copy(record) == record


def test_exceptions_are_values(box: PythonExecutor) -> None:
    found = value(box, "try:\n    {}['k']\nexcept KeyError as error:\n    kept = error\nkept")
    assert type(found) is KeyError and found.args == ("k",)
    own = value(box, "class Own(ValueError):\n    pass\nOwn('a', 1)")
    assert type(own) is ForeignException and repr(own) == "Own('a', 1)" and str(own) == "('a', 1)"
    box.send_variables({"e": OSError(2, "gone"), "own": ForeignException("Theirs", "x")})
    assert value(box, "[type(e).__name__, e.errno, str(own), repr(own)]") == [
        "FileNotFoundError",
        2,
        "x",
        "Theirs('x')",
    ]


def test_iterators_of_containers_are_lists_and_stay_as_they_are(box: PythonExecutor) -> None:
    box.run("i = iter([1, 2, 3])\nnext(i)")
    code = "[i, iter('ab'), iter((1,)), iter(range(2)), iter({'k': 1}), {'k': 1}.items(), iter({5})]"
    assert value(box, code) == [[2, 3], ["a", "b"], [1], [0, 1], ["k"], [("k", 1)], [5]]
    assert value(box, "list(i)") == [2, 3]


def test_generators_are_iterators_where_they_are_given_away(box: PythonExecutor) -> None:
    box.send_tools(
        {
            "squares": lambda: (n * n for n in range(3)),
            "total": sum,
            "pairs": lambda: zip("ab", [1, 2], strict=True),
        }
    )
    assert value(box, "s = squares()\n[next(s), list(s), list(s)]") == [0, [1, 4], []]
    assert value(box, "total(n for n in range(4))") == 6
    assert value(box, "pairs()") == [("a", 1), ("b", 2)]
    answer = box.run("final_answer(n for n in 'ab')")
    assert answer.is_final_answer and next(answer.value) == "a" and list(answer.value) == ["b"]  # type: ignore[call-overload]
    assert value(box, "g = (n for n in range(2))\ng").type == "generator"
    assert value(box, "list(g)") == [0, 1]  # looked at, not used up


def test_iterators_inside_of_what_is_given_away_are_given_too(box: PythonExecutor) -> None:
    box.send_tools(
        {"some": lambda: {"g": (n for n in range(3)), "l": [map(int, "12"), ({"k": 1}.items(),)], "n": 5}}
    )
    assert value(box, "s = some()\n[next(s['g']), list(s['g']), s['l'], s['n']]") == [
        0,
        [1, 2],
        [[1, 2], ([("k", 1)],)],
        5,
    ]
    box.send_variables({"g": (n for n in "ab"), "d": {"m": map(str, [1])}})
    assert value(box, "[list(g), list(d['m'])]") == [["a", "b"], ["1"]]
    answer = box.run("final_answer({'a': [n * n for n in range(2)], 'g': [(n for n in range(2))]})")
    assert [list(each) for each in answer.value["g"]] == [[0, 1]]  # type: ignore[call-overload,index]


def test_what_lists_its_items_is_a_list_where_a_list_is_wanted(box: PythonExecutor) -> None:
    @tool
    def added(numbers: list[int]) -> str:
        """Tell what came.

        Args:
            numbers: Some.
        """
        return f"{type(numbers).__name__} {sum(numbers)}"

    box.send_tools({"added": added})
    for written in ("(n for n in range(3))", "range(3)", "map(int, '12')", "{1: 0, 2: 0}.keys()", "[1, 2.0]"):
        assert value(box, f"added({written})") == "list 3"
    failed = box.run("added(n for n in ['a', 1])")
    assert failed.error is not None and "must be a whole number" in failed.error.message


def test_a_generator_that_fails_or_never_ends_is_an_error_of_the_run(box: PythonExecutor) -> None:
    failed = box.run("final_answer(1 / n for n in [1, 0])")
    assert failed.error is not None and failed.error.type == "ZeroDivisionError"
    box.send_tools({"endless": lambda: iter(int, 1)})
    done = box.run("endless()")
    assert done.error is not None and "more than 1000000 items" in done.error.message


OWN_CONTAINERS = """
from collections import OrderedDict
class Sorted(dict):
    def __iter__(self): return iter(sorted(super().keys()))
    def keys(self): return list(self)
class Elsewhere(list):
    def __init__(self, *items): self.items = items
    def __iter__(self): return iter(self.items)
class Endless(list):
    def __iter__(self): return iter(int, 1)
    def __repr__(self): return 'Endless()'
class Failing(list):
    def __iter__(self): return 1 / 0
    def __repr__(self): return 'Failing()'
class Cache(OrderedDict): pass
cache = Cache(a=1, b=2)
cache.move_to_end('a')
"""


def test_a_container_of_a_class_of_its_own_has_the_items_and_the_order_that_it_says(
    box: PythonExecutor,
) -> None:
    found = value(box, f"{OWN_CONTAINERS}[Sorted(b=1, a=2), Elsewhere(1, 2), cache, Endless(), Failing()]")
    assert str(found) == "[{'a': 2, 'b': 1}, [1, 2], {'b': 2, 'a': 1}, Endless(), Failing()]"


def test_what_stands_for_an_object_reads_as_the_object_does_in_containers_too(box: PythonExecutor) -> None:
    found = value(box, "import re\n[re.compile('a'), {'k': (slice(2), ...)}]")
    assert repr(found) == "[re.compile('a'), {'k': (slice(None, 2, None), Ellipsis)}]"


def test_a_builtins_name_is_the_builtin_again_behind_a_run_that_has_put_its_own_function_there(
    box: PythonExecutor,
) -> None:
    assert value(box, "len = str = lambda x: 'forged'\nlen('a')") == "forged"
    assert value(box, "len('a'), str(1)") == (1, "1")


def test_a_function_comes_with_its_source(box: PythonExecutor) -> None:
    code = "def outer():\n    def double(x):\n        # twice\n        return x * 2\n    return double\n"
    assert value(box, f"{code}outer()") == Opaque("function", "def double(x):\n    # twice\n    return x * 2")
    assert value(box, "outer").repr.startswith("def outer():")
    box.send_tools({"mine": lambda: test_a_function_comes_with_its_source})
    assert "<function object of the host>" in value(box, "repr(mine())")  # of the host's only the name


@tool
def half(x: int, others: list[int] | None = None) -> str:
    """Tell what came.

    Args:
        x: A number.
        others: More.
    """
    return repr((x, others))


def test_a_whole_float_is_taken_where_an_integer_is_wanted(box: PythonExecutor) -> None:
    box.send_tools({"half": half})
    assert value(box, "half(4.0, [1.0, 2])") == "(4, [1, 2])"
    refused = box.run("half(4.5)")
    assert refused.error is not None and "must be a whole number" in refused.error.message


def test_collections_are_what_they_were(box: PythonExecutor) -> None:
    kept = {
        "counter": collections.Counter("aab"),
        "default": collections.defaultdict(list, {"k": [1]}),
        "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
        "queue": collections.deque([1, 2], maxlen=3),
    }
    box.send_variables(kept)
    assert value(box, "[counter.most_common(1), default['new'], list(ordered), queue.maxlen]") == [
        [("a", 2)],
        [],
        ["b", "a"],
        3,
    ]
    found = value(box, "[counter, ordered, queue]")
    assert [type(each) for each in found] == [collections.Counter, collections.OrderedDict, collections.deque]


def test_the_same_holds_on_an_event_loop(box: PythonExecutor) -> None:
    async def rows() -> list[Pair]:
        return [Pair(1), Pair(2)]

    async def main() -> object:
        box.send_tools({"rows": rows})
        return (await box.arun("[row.left for row in await rows()]")).value

    assert asyncio.run(main()) == [1, 2]
