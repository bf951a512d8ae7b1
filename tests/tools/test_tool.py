"""Tools: definitions that say what to fix, calls, argument checks in words for a model."""

from __future__ import annotations

import asyncio
import copy
import enum
import subprocess
import sys
import threading
from typing import Any, Literal, TypedDict

import numpy
import pandas
import pytest
from PIL import Image

from pinjra.core.calls import describe
from pinjra.core.errors import ConfigurationError, ToolRefused
from pinjra.tools.base import Tool, tool


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(TypedDict):
    x: float
    y: float


@tool
def lookup(key: str, depth: int = 1) -> str:
    """Look a key up.

    Args:
        key: What to look up,
            in lower case.
        depth: How many levels.

    Returns:
        The value.
    """
    return f"{key}/{depth}"


class Echo(Tool):
    name = "echo"
    description = "Give back."
    inputs = {"value": {"type": "any", "description": "What to give back."}}
    output_type = "any"

    def forward(self, value: Any) -> Any:
        return value


def make(inputs: dict[str, dict[str, Any]]) -> Tool:
    class Made(Tool):
        name = "made"
        description = "Made for a test."
        output_type = "any"
        skip_forward_signature_validation = True

        def __init__(self) -> None:
            self.inputs = inputs

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return kwargs or args

    return Made()


def test_the_decorator_takes_the_schema_from_hints_and_docstring() -> None:
    assert lookup.name == "lookup"
    assert lookup.description == "Look a key up."
    assert lookup.inputs == {
        "key": {"type": "string", "description": "What to look up, in lower case."},
        "depth": {"type": "integer", "description": "How many levels."},
    }
    assert lookup.output_type == "string"
    assert lookup.required_inputs == ("key",)
    assert lookup("a") == "a/1"
    assert lookup("a", depth=2) == "a/2"
    assert lookup({"key": "a", "depth": 3}) == "a/3"


def test_every_common_hint_has_a_schema() -> None:
    def several(
        a: int | None,
        b: int | str,
        c: Literal["x", "y"],
        d: list[int],
        e: dict[str, float],
        f: Color,
        g: Any,
        h: Image.Image,
        i: pandas.DataFrame,
        j: tuple[int, str],
        k: Point,
        m: list[str] | None = None,
    ) -> dict[str, int]:
        """Take several.

        Args:
            a: A.
            b: B.
            c: C.
            d: D.
            e: E.
            f: F.
            g: G.
            h: H.
            i: I.
            j: J.
            k: K.
            m: M.
        """
        return {}

    made = tool(several)
    found = {
        name: {k: v for k, v in entry.items() if k != "description"} for name, entry in made.inputs.items()
    }
    assert found == {
        "a": {"type": "integer", "nullable": True},
        "b": {"type": ["integer", "string"]},
        "c": {"type": "string", "enum": ["x", "y"]},
        "d": {"type": "array", "items": {"type": "integer"}},
        "e": {"type": "object", "additionalProperties": {"type": "number"}},
        "f": {"type": "string", "enum": ["red", "blue"]},
        "g": {"type": "any"},
        "h": {"type": "image"},
        "i": {"type": "dataframe"},
        "j": {
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "minItems": 2,
            "maxItems": 2,
        },
        "k": {
            "type": "object",
            "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
            "required": ["x", "y"],
            "additionalProperties": False,
        },
        "m": {"type": "array", "items": {"type": "string"}, "nullable": True},
    }
    assert made.output_type == "object"


def test_an_enum_argument_reaches_the_function_as_a_member() -> None:
    @tool
    def paint(color: Color) -> str:
        """Paint.

        Args:
            color: Which.
        """
        return repr(color)

    assert paint("red") == repr(Color.RED)
    assert paint(color=Color.BLUE) == repr(Color.BLUE)
    with pytest.raises(ToolRefused, match="argument 'color' must be one of 'red', 'blue', not 'green'"):
        paint.check_arguments(("green",), {})


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "string"}, 5, "argument 'x' must be a string, not 5 (int)"),
        ({"type": "integer"}, True, "argument 'x' must be a whole number, not True (bool)"),
        ({"type": "integer"}, 3.5, "argument 'x' must be a whole number, not 3.5 (float)"),
        ({"type": "number"}, "3", "argument 'x' must be a number, not '3' (str)"),
        ({"type": "string"}, None, "argument 'x' must be a string, not None (NoneType)"),
        ({"type": ["string", "array"]}, 1, "argument 'x' must be a string or a list, not 1 (int)"),
        (
            {"type": "array", "items": {"type": "integer"}},
            [1, "b"],
            "argument 'x'[1] must be a whole number, not 'b' (str)",
        ),
        (
            {"type": "object", "additionalProperties": {"type": "number"}},
            {"a": "b"},
            "argument 'x'['a'] must be a number, not 'b' (str)",
        ),
        (
            {"type": "object", "additionalProperties": True},
            "text",
            "argument 'x' must be a dict, not 'text' (str)",
        ),
        (
            {"type": "string", "enum": ["a"], "nullable": True},
            "b",
            "argument 'x' must be one of 'a', None, not 'b'",
        ),
        ({"type": "integer", "minimum": 3}, 1, "argument 'x': 1 does not fit minimum 3"),
        ({"type": "string", "enum": ["a"]}, numpy.arange(3), "must be a string, not <ndarray> (ndarray)"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_words(
    schema: dict[str, Any], value: object, said: str
) -> None:
    made = make({"x": {**schema, "description": ""}})
    with pytest.raises(ToolRefused) as caught:
        made.check_arguments((value,), {})
    assert str(caught.value).endswith(said)
    assert str(caught.value).startswith("made(x: ")


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, numpy.int64(3)),
        ({"type": "number"}, numpy.float32(3)),
        ({"type": "number"}, 3),
        ({"type": "array"}, (1, 2)),
        ({"type": "any"}, object()),
        ({"type": "object"}, object()),
        ({"type": "image"}, Image.new("RGB", (1, 1))),
        ({"type": "dataframe"}, pandas.DataFrame()),
        ({"type": "array", "items": {"type": "image"}}, [Image.new("RGB", (1, 1))]),
        ({"type": "string", "nullable": True}, None),
        ({"anyOf": [{"type": "string"}, {"type": "array"}], "nullable": True}, None),
    ],
)
def test_arguments_that_fit_pass(schema: dict[str, Any], value: object) -> None:
    make({"x": {**schema, "description": ""}}).check_arguments((), {"x": value})


def test_a_wrong_number_or_name_of_arguments_is_refused_with_the_usage() -> None:
    for args, kwargs, said in [
        ((), {}, "missing a required argument: 'key'"),
        (("a", 1, 2), {}, "too many positional arguments"),
        ((), {"kee": "a"}, "there is no argument 'kee'; perhaps you mean 'key'; there are: key, depth"),
        (("a",), {"deep": 1}, "there is no argument 'deep'; perhaps you mean 'depth'; there are: key, depth"),
    ]:
        with pytest.raises(ToolRefused) as caught:
            lookup.check_arguments(args, kwargs)
        assert str(caught.value) == f"lookup(key: str, depth: int): {said}"


def test_the_message_about_a_huge_value_is_short() -> None:
    with pytest.raises(ToolRefused) as caught:
        lookup.check_arguments((["x" * 1_000_000] * 100,), {})
    assert len(str(caught.value)) < 400


def test_a_reference_in_a_schema_is_never_fetched() -> None:
    made = make({"x": {"$ref": "http://127.0.0.1:9/schema.json", "description": ""}})
    with pytest.raises(ToolRefused, match="argument 'x' has a schema that refers to what is not in it"):
        made.check_arguments((1,), {})


def test_a_dict_for_an_argument_that_takes_a_dict_stays_one() -> None:
    assert Echo()({"value": 5}) == {"value": 5}
    assert lookup({"key": "k"}) == "k/1"


def test_setup_runs_once_though_many_threads_call_first() -> None:
    class Slow(Echo):
        count = 0

        def setup(self) -> None:
            type(self).count += 1

    made = Slow()
    barrier = threading.Barrier(8)

    def call() -> None:
        barrier.wait()
        made(1)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Slow.count == 1


def test_an_async_tool_is_awaited_by_its_caller() -> None:
    @tool(seconds=5, name="wait_for")
    async def slow(key: str) -> str:
        """Wait.

        Args:
            key: A key.
        """
        await asyncio.sleep(0)
        return key.upper()

    assert slow.is_async
    assert asyncio.run(slow("a")) == "A"
    known = describe(slow.name, slow)
    assert (known.name, known.is_async, known.seconds) == ("wait_for", True, 5.0)


def test_an_executor_learns_what_it_needs_of_a_tool() -> None:
    known = describe("lookup", lookup)
    assert known.doc == "Look a key up."
    assert not known.is_async
    assert known.check is not None
    with pytest.raises(ToolRefused):
        known.check((1,), {})


def test_sanitizing_checks_the_arguments_first() -> None:
    with pytest.raises(ToolRefused, match="argument 'depth' must be a whole number"):
        lookup(key="a", depth="deep", sanitize_inputs_outputs=True)


def test_the_representation_never_shows_attributes() -> None:
    class Keyed(Echo):
        def __init__(self, api_key: str) -> None:
            self.api_key = api_key

    assert repr(Keyed("sk-secret")) == "<Keyed echo(value: Any)>"


def test_a_copied_tool_works() -> None:
    assert copy.deepcopy(Echo())(5) == 5


def test_the_import_path_leads_back_to_the_tool() -> None:
    from pinjra.tools.library.final_answer import FinalAnswerTool

    assert FinalAnswerTool().import_path == "pinjra.tools.library.final_answer:FinalAnswerTool"
    with pytest.raises(ConfigurationError, match="where no import reaches it; move it into a module"):
        make({}).import_path


def test_importing_tools_loads_no_heavy_package() -> None:
    script = (
        "import sys, pinjra.tools.base, pinjra.tools.library.visit_webpage\n"
        "print([m for m in ('numpy', 'jsonschema', 'httpx', 'bs4', 'mcp', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "make",
    [
        lambda np, pd: np.zeros((1 << 31, 0), np.int8),  # no bytes, and 2**31 empty lists
        lambda np, pd: np.zeros(4 << 20, np.int8),
        lambda np, pd: pd.RangeIndex(1 << 27),
        lambda np, pd: range(1 << 40),
    ],
    ids=["rows of nothing", "many items", "an index that is three numbers", "a range"],
)
def test_what_would_become_a_far_longer_list_is_no_list(make):
    np, pd = pytest.importorskip("numpy"), pytest.importorskip("pandas")

    @tool
    def total(numbers: list[int]) -> int:
        """Add numbers.

        Args:
            numbers: What to add.
        """
        return sum(numbers)

    assert total(np.arange(1000)) == 499_500
    assert total(pd.RangeIndex(1000)) == 499_500
    with pytest.raises(ToolRefused, match="must be a list"):
        total.check_arguments((make(np, pd),), {})
