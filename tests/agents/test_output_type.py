"""`output_type=`: the answer of a run is of the type that was asked for, or goes back to the model."""

from __future__ import annotations

import asyncio
import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from pydantic import BaseModel, Field, field_validator

from pinjra import ActionStep, AgentMaxStepsError, CodeAgent, ConfigurationError, ToolCallingAgent
from pinjra.agents import AgentMemory
from pinjra.core.events import FinalAnswer
from pinjra.models import ScriptedModel

from .conftest import calling, code_model, fenced

Make = Callable[..., CodeAgent]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    name: str
    grams: int = Field(gt=0)
    colour: Colour = Colour.RED

    @field_validator("name")
    @classmethod
    def short(cls, name: str) -> str:
        if name == "?":
            raise KeyError("no such part")  # as a validator of anybody's may
        return name


class Order(BaseModel):
    parts: list[Part]
    paid: bool


@dataclass
class Point:
    x: int
    y: float


class Film(TypedDict):
    title: str
    year: int


class Rated(TypedDict):
    stars: int
    words: NotRequired[str]


GUEST = """
from dataclasses import dataclass
from enum import Enum
class Colour(Enum):
    RED = "red"
    BLUE = "blue"
@dataclass
class Part:
    name: str
    grams: int
    colour: Colour = Colour.BLUE
@dataclass
class Order:
    parts: list
    paid: bool
final_answer(Order([Part("bolt", 3)], True))
"""
CASES: dict[str, tuple[object, str, object]] = {
    "a number": (int, "final_answer(7)", 7),
    "a number as a text": (int, "final_answer('7')", 7),
    "a whole float": (int, "final_answer(4.0)", 4),
    "a whole number where a float is wanted": (float, "final_answer(4)", 4.0),
    "numbers of numpy": (list[int], "import numpy as np\nfinal_answer(list(np.arange(3)))", [0, 1, 2]),
    "an array of numpy": (list[float], "import numpy as np\nfinal_answer(np.array([1.5, 2]))", [1.5, 2.0]),
    "a tuple": (tuple[int, str], "final_answer([1, 'a'])", (1, "a")),
    "one of several": (Literal["yes", "no"], "final_answer('yes')", "yes"),
    "a union": (int | None, "final_answer(None)", None),
    "a bounded number": (Annotated[int, Field(lt=10)], "final_answer(9)", 9),
    "an enum by its value": (Colour, "final_answer('blue')", Colour.BLUE),
    "a model of a dict": (
        Order,
        "final_answer({'parts': [{'name': 'bolt', 'grams': 3}], 'paid': True})",
        Order(parts=[Part(name="bolt", grams=3)], paid=True),
    ),
    "a model of JSON": (Part, 'final_answer(\'{"name": "nut", "grams": 2}\')', Part(name="nut", grams=2)),
    "a model of the guest's own classes": (
        Order,
        GUEST,
        Order(parts=[Part(name="bolt", grams=3, colour=Colour.BLUE)], paid=True),
    ),
    "a list of models": (list[Part], "final_answer([{'name': 'a', 'grams': 1}])", [Part(name="a", grams=1)]),
    "a dataclass": (Point, "final_answer({'x': 1, 'y': 2})", Point(1, 2.0)),
    "a TypedDict": (Film, "final_answer(dict(title='M', year='1931'))", {"title": "M", "year": 1931}),
    "TypedDicts in a list": (
        list[Film | None],
        "final_answer([dict(title='M', year=1931)])",
        [{"title": "M", "year": 1931}],
    ),
    "a key that may be left out": (Rated, "final_answer(dict(stars=3))", {"stars": 3}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_converted_to_the_type(code_agent: Make, case: str) -> None:
    wanted, code, expected = CASES[case]
    agent = code_agent(code, additional_authorized_imports=["numpy"])
    result = agent.run("Answer.", output_type=wanted, return_full_result=True)
    assert (result.output, result.state) == (expected, "success"), result.memory.to_json()
    assert type(result.output) is type(expected)
    assert len([step for step in result.memory.steps if isinstance(step, ActionStep)]) == 1
    AgentMemory.from_json(result.memory.to_json())


def test_a_class_that_no_schema_knows_is_checked_by_its_kind(code_agent: Make) -> None:
    image = pytest.importorskip("PIL.Image")
    agent = code_agent(
        "final_answer('a picture')",
        "from PIL import Image\nfinal_answer(Image.new('RGB', (2, 1)))",
        additional_authorized_imports=["PIL"],
    )
    assert agent.run("Draw.", output_type=image.Image).size == (2, 1)
    assert "instance of Image" in str(agent.memory.steps[1].error)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            "{'parts': [{'name': 'bolt', 'grams': 'many'}], 'paid': True}",
            "parts.0.grams: Input should be a valid integer",
        ),
        (
            "{'parts': [{'name': 'bolt', 'grams': 0}], 'paid': True}",
            "parts.0.grams: Input should be greater than 0",
        ),
        ("{'parts': []}", "paid: Field required"),
        ("'I could not find it'", "the value: Input should be"),
        ("{'parts': [{'name': '?', 'grams': 1}], 'paid': 1}", "KeyError"),
    ],
)
def test_what_does_not_fit_goes_back_to_the_model_with_the_place(
    code_agent: Make, wrong: str, told: str
) -> None:
    agent = code_agent(f"final_answer({wrong})", "final_answer({'parts': [], 'paid': False})")
    assert agent.run("Answer.", output_type=Order) == Order(parts=[], paid=False)
    first = agent.memory.steps[1]
    assert told in str(first.error) and "Order" in str(first.error)
    assert not first.is_final_answer


def test_the_model_is_told_the_type_and_its_schema(code_agent: Make) -> None:
    model = ScriptedModel([fenced("final_answer({'x': 1, 'y': 2})")])
    code_agent(model=model).run("Answer.", output_type=Point)
    task = next(message.content for message in model.requests[0].messages if "Answer." in message.content)
    schema = json.loads(task.partition("JSON Schema: ")[2].partition("). Give")[0])
    assert schema["properties"]["y"]["type"] == "number" and schema["required"] == ["x", "y"]


def test_a_json_agent_is_offered_the_schema_of_the_answer() -> None:
    model = ScriptedModel([calling(("final_answer", {"answer": {"parts": [], "paid": True}}))])
    with ToolCallingAgent(model=model, verbosity_level=0) as agent:
        assert agent.run("Answer.", output_type=Order) == Order(parts=[], paid=True)
    (offered,) = [tool for tool in model.requests[0].tools if tool.name == "final_answer"]
    assert offered.parameters["properties"]["answer"]["properties"]["parts"]["items"] == {
        "$ref": "#/$defs/Part"
    }
    assert offered.parameters["$defs"]["Part"]["required"] == ["name", "grams"]


def test_checks_and_events_see_the_converted_answer(code_agent: Make) -> None:
    seen: list[Any] = []
    agent = code_agent(
        "final_answer({'x': 1, 'y': 2})", final_answer_checks=[lambda answer: seen.append(answer) or True]
    )
    events = list(agent.run("Answer.", True, output_type=Point))
    assert seen == [Point(1, 2.0)]
    assert [event.value for event in events if isinstance(event, FinalAnswer)] == seen


def test_a_last_word_that_fits_is_the_answer_and_another_one_is_an_error(code_agent: Make) -> None:
    agent = code_agent(model=ScriptedModel([fenced("1"), "42"]))
    assert agent.run("Answer.", max_steps=1, output_type=int) == 42
    agent = code_agent(model=ScriptedModel([fenced("1"), "Perhaps 42."] * 2))
    with pytest.raises(AgentMaxStepsError, match="no final answer within 1 steps") as caught:
        agent.run("Answer.", max_steps=1, output_type=int)
    assert caught.value.result.output is None
    result = agent.run("Answer.", max_steps=1, output_type=int, return_full_result=True)
    assert (result.output, result.state) == (None, "max_steps_error")


def test_it_holds_on_an_event_loop_for_several_attempts_and_when_resumed(code_agent: Make) -> None:
    agent = code_agent("final_answer('3')")
    assert asyncio.run(agent.arun("Answer.", output_type=int)) == 3
    voting = code_agent(model=code_model(*["final_answer('3')"] * 3), vote=3)
    assert voting.run("Answer.", output_type=int) == 3
    memory = (
        code_agent(model=ScriptedModel([fenced("x = 1"), "no"]))
        .run("Answer.", max_steps=1, return_full_result=True)
        .memory
    )
    assert code_agent("final_answer('5')").resume(memory, output_type=int).output == 5


@pytest.mark.parametrize("wrong", [7, "no such type", [int, str]])
def test_what_is_no_type_is_refused_before_the_run(code_agent: Make, wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="output_type= must be a type"):
        code_agent("1").run("Answer.", output_type=wrong)
