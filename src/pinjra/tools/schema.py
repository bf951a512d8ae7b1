"""A tool -> what a model is told of it: JSON Schema for tool calling, a Python signature for generated code."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pinjra.tools.hints import Schema, kinds_of

_ANY_JSON = ["string", "number", "boolean", "object", "array", "null"]
_STANDS_FOR: dict[str, tuple[str, list[str]]] = {
    "any": ("", _ANY_JSON),
    "image": ("an image: the name it was given", ["string"]),
    "audio": ("a sound: the name it was given", ["string"]),
    "dataframe": ("a table: the name it was given", ["string"]),
    "file": ("a file's name", ["string"]),
}
_PYTHON_NAMES = {
    "string": "str",
    "boolean": "bool",
    "integer": "int",
    "number": "float",
    "array": "list",
    "object": "dict",
    "null": "None",
    "any": "Any",
    "image": "PIL.Image.Image",
    "audio": "object",
    "dataframe": "pandas.DataFrame",
    "file": "pathlib.Path",
}

# Keywords whose value is a schema, schemas by name, a list of schemas.
_SCHEMA = ("items", "additionalProperties", "not", "contains")
_NAMED = ("properties", "$defs", "definitions", "patternProperties")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")


class Described:
    """What of a tool is told to a model; its attributes are said at `Tool`."""

    name: str
    description: str
    inputs: dict[str, Schema]
    output_type: str
    output_schema: dict[str, Any] | None = None
    examples: Sequence[str] = ()
    methods: Sequence[str] = ()
    signature: inspect.Signature

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work; the arguments are those of `inputs`. May be `async`."""
        raise NotImplementedError(f"{type(self).__name__} has no forward() method: write one")

    @property
    def is_async(self) -> bool:
        """Whether a call returns an awaitable."""
        return inspect.iscoroutinefunction(self.forward)

    @property
    def required_inputs(self) -> tuple[str, ...]:
        """Names of the arguments that every call must give."""
        empty = inspect.Parameter.empty
        return tuple(
            name for name, parameter in self.signature.parameters.items() if parameter.default is empty
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSchema:
    """A tool as a model's tool-calling interface wants it.

    Args:
        parameters: Plain JSON Schema (2020-12) of an object with one property an argument.
    """

    name: str
    description: str
    parameters: dict[str, Any]


def json_schema(tool: Described) -> ToolSchema:
    """Return the schema by which a model calls this tool with JSON arguments."""
    description = tool.description
    if tool.examples:
        description += "\nExamples:\n" + "\n".join(tool.examples)
    return ToolSchema(
        name=tool.name,
        description=description,
        parameters={
            "type": "object",
            "properties": {name: plain_schema(entry) for name, entry in tool.inputs.items()},
            "required": list(tool.required_inputs),
            "additionalProperties": False,
        },
    )


def plain_schema(schema: Schema) -> Schema:
    """Return plain JSON Schema for a schema with our extensions (`nullable`, "any", "image", …)."""
    result = {
        key: map_subschemas(key, value, plain_schema) for key, value in schema.items() if key != "nullable"
    }
    said = _replace_types(result)
    if said and "description" in result:
        result["description"] = f"{result['description']} ({said})"
    elif said:
        result["description"] = said
    return allowing_null(result) if schema.get("nullable") is True else result


def allowing_null(schema: Schema) -> Schema:
    """Return the schema with None among what it accepts."""
    if "enum" in schema and None not in schema["enum"]:
        schema = schema | {"enum": [*schema["enum"], None]}
    if "type" in schema:
        types = kinds_of(schema)
        return schema | {"type": types if "null" in types or "any" in types else [*types, "null"]}
    if "anyOf" in schema:
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    return schema


def map_subschemas(key: str, value: Any, change: Any) -> Any:
    """Return a keyword's value with `change` applied to each schema in it; other values as they are."""
    if not has_subschemas(key, value):
        return value
    if key in _SCHEMA:
        return change(value)
    if isinstance(value, dict):
        return {name: change(part) if isinstance(part, dict) else part for name, part in value.items()}
    return [change(part) if isinstance(part, dict) else part for part in value]


def has_subschemas(key: str, value: Any) -> bool:
    """Return whether a keyword's value holds schemas."""
    return (
        isinstance(value, dict) if key in (*_SCHEMA, *_NAMED) else key in _LISTED and isinstance(value, list)
    )


def _replace_types(schema: Schema) -> str:
    """Replace our own types in place by JSON's; return what to add to the description, or ""."""
    names = kinds_of(schema)
    if not any(name in _STANDS_FOR for name in names):
        return ""
    replaced: list[str] = []
    for name in names:
        replaced += _STANDS_FOR[name][1] if name in _STANDS_FOR else [name]
    unique = list(dict.fromkeys(replaced))
    schema["type"] = unique[0] if len(unique) == 1 else unique
    return "; ".join(said for name in names if (said := _STANDS_FOR.get(name, ("", ""))[0]))


def python_signature(tool: Described) -> str:
    """Return the tool as a Python function without a body, for the prompt of an agent that writes code."""
    defaults = tool.signature.parameters
    arguments = ", ".join(_python_argument(name, tool.inputs[name], defaults[name]) for name in defaults)
    head = f"{'async ' if tool.is_async else ''}def {tool.name}({arguments}) -> {_returned(tool)}:"
    return f"{head}\n{textwrap.indent(_documentation(tool), '    ')}"


def _python_argument(name: str, entry: Schema, parameter: inspect.Parameter) -> str:
    kind = python_type(entry)
    if parameter.default is inspect.Parameter.empty:
        return f"{name}: {kind}"
    # SECURITY: a default may be a key or an object of the host; only what tells nothing but a number is shown.
    plain = parameter.default is None or type(parameter.default) in (bool, int, float) or "enum" in entry
    shown = repr(parameter.default) if plain else "..."
    return f"{name}: {kind} = {shown if len(shown) <= 60 else '...'}"


def python_type(schema: Schema) -> str:
    """Return how Python would write the type that a schema describes."""
    said = _python_type(schema)
    return f"{said} | None" if schema.get("nullable") is True and "None" not in said else said


def _python_type(schema: Schema) -> str:
    if "enum" in schema:
        return "Literal[" + ", ".join(repr(value) for value in schema["enum"]) + "]"
    if "anyOf" in schema:
        return " | ".join(
            dict.fromkeys(python_type(part) for part in schema["anyOf"] if isinstance(part, dict))
        )
    given = schema.get("type", "any")
    if isinstance(given, list):
        return " | ".join(_PYTHON_NAMES.get(name, "Any") for name in given)
    if given == "array" and isinstance(schema.get("items"), dict):
        return f"list[{python_type(schema['items'])}]"
    if given == "array" and "prefixItems" in schema:
        return f"tuple[{', '.join(python_type(part) for part in schema['prefixItems'])}]"
    if given == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"dict[str, {python_type(schema['additionalProperties'])}]"
    return _PYTHON_NAMES.get(given, "Any")


def _returned(tool: Described) -> str:
    return "dict" if tool.output_schema is not None else _PYTHON_NAMES.get(tool.output_type, "Any")


def _documentation(tool: Described) -> str:
    parts = [tool.description.strip()]
    if tool.inputs:
        lines = [
            f"    {name}: {' '.join(entry.get('description', '').split())}"
            for name, entry in tool.inputs.items()
        ]
        parts.append("Args:\n" + "\n".join(lines))
    if tool.output_schema is not None:
        fields = json.dumps(tool.output_schema, indent=2)
        parts.append(
            "Returns:\n    A dict of this JSON schema; read its fields directly:\n"
            + textwrap.indent(fields, "    ")
        )
    if tool.methods:
        parts.append(f"What it returns has methods that you can call: {', '.join(tool.methods)}.")
    if tool.examples:
        parts.append("Examples:\n" + textwrap.indent("\n".join(tool.examples), "    "))
    # A description that itself has triple quotes must not end the docstring in the prompt.
    text = "\n\n".join(parts).replace('"""', "'''")
    return f'"""{text}\n"""'
