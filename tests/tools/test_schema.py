"""What models are told of a tool: plain JSON Schema, and a Python signature that parses."""

from __future__ import annotations

import ast
from typing import Any

import jsonschema
import pytest
from PIL import Image

from pinjra.tools.base import Tool, tool
from pinjra.tools.schema import json_schema, python_signature


@tool(examples=["crop(page, [0, 0, 10, 10])"])
def crop(image: Image.Image, box: list[int], note: str | None = None, extra: Any = 1) -> Image.Image:
    """Cut a part of an image out.

    Args:
        image: What to cut.
        box: Left, top, right, bottom.
        note: Written below.
        extra: Whatever.
    """
    return image


def test_the_json_schema_is_plain_and_valid() -> None:
    schema = json_schema(crop)
    assert schema.name == "crop"
    assert schema.description == "Cut a part of an image out.\nExamples:\ncrop(page, [0, 0, 10, 10])"
    jsonschema.Draft202012Validator.check_schema(schema.parameters)
    assert schema.parameters == {
        "type": "object",
        "properties": {
            "image": {"type": "string", "description": "What to cut. (an image: the name it was given)"},
            "box": {
                "type": "array",
                "items": {"type": "integer"},
                "description": "Left, top, right, bottom.",
            },
            "note": {"type": ["string", "null"], "description": "Written below."},
            "extra": {
                "type": ["string", "number", "boolean", "object", "array", "null"],
                "description": "Whatever.",
            },
        },
        "required": ["image", "box"],
        "additionalProperties": False,
    }


def test_the_python_signature_parses_and_says_everything() -> None:
    text = python_signature(crop)
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert text.splitlines()[0] == (
        "def crop(image: PIL.Image.Image, box: list[int], note: str | None = None, extra: Any = 1) -> PIL.Image.Image:"
    )
    documentation = ast.get_docstring(function)
    assert documentation == (
        "Cut a part of an image out.\n\nArgs:\n    image: What to cut.\n    box: Left, top, right, bottom.\n"
        "    note: Written below.\n    extra: Whatever.\n\nExamples:\n    crop(page, [0, 0, 10, 10])"
    )


def test_an_async_tool_says_so() -> None:
    @tool
    async def fetch(key: str) -> str:
        """Fetch.

        Args:
            key: A key.
        """
        return key

    assert python_signature(fetch).startswith("async def fetch(key: str) -> str:")


def test_a_description_cannot_end_the_docstring_in_the_prompt() -> None:
    class Quoting(Tool):
        name = "quoting"
        description = 'Say """ and go on.'
        inputs: dict[str, dict[str, Any]] = {}
        output_type = "string"

        def forward(self) -> str:
            return ""

    assert len(ast.parse(python_signature(Quoting())).body) == 1


@pytest.mark.parametrize("quote", ["\\", 'ends with a quote"'])
def test_odd_ends_of_a_description_still_parse(quote: str) -> None:
    made = Tool.from_function(lambda: "", name="odd", description=quote)
    ast.parse(python_signature(made))


def test_a_structured_result_is_described() -> None:
    class Structured(Tool):
        name = "structured"
        description = "Structured."
        inputs: dict[str, dict[str, Any]] = {}
        output_type = "object"
        output_schema = {"type": "object", "properties": {"total": {"type": "integer"}}}

        def forward(self) -> dict[str, int]:
            return {"total": 1}

    text = python_signature(Structured())
    assert text.startswith("def structured() -> dict:")
    assert '"total"' in text
    ast.parse(text)
