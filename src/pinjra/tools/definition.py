"""A function's hints and docstring -> the parts of a tool's definition, or an error that says what to add."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from copy import copy
from typing import Any, get_args, get_type_hints

from pinjra.core.errors import ConfigurationError
from pinjra.core.values import MOST_ITEMS, can_be_listed
from pinjra.tools.docstring import Docstring
from pinjra.tools.hints import HintError, Schema, hint_schema, kinds_of


def type_hints(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Return the resolved type hints of a function or callable object."""
    target = function if inspect.isroutine(function) else type(function).__call__
    try:
        return get_type_hints(target)
    except NameError as error:
        raise ConfigurationError(
            f"tool {name!r}: a type hint names {error.name!r}, which cannot be found; import or define it at the "
            f"top of the module"
        ) from None


def enum_hints(function: Callable[..., Any]) -> dict[str, type[enum.Enum]]:
    """Return the parameters whose hint is an enum (or an enum or None)."""
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):  # no hints to read: then nothing is converted
        return {}
    found = {}
    for name, hint in hints.items():
        for candidate in (hint, *get_args(hint)):
            if isinstance(candidate, type) and issubclass(candidate, enum.Enum) and name != "return":
                found[name] = candidate
    return found


def input_of(name: str, parameter: inspect.Parameter, hints: dict[str, Any], said: Docstring) -> Schema:
    """Return the entry of `Tool.inputs` for one parameter."""
    where = f"tool {name!r}: parameter {parameter.name!r}"
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise ConfigurationError(
            f"{where} takes any number of values; name each argument, or take one list or dict"
        )
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise ConfigurationError(f"{where} is positional-only; models give arguments by name, remove the '/'")
    if parameter.name not in hints:
        raise ConfigurationError(f"{where} has no type hint; write for example `{parameter.name}: str`")
    if not said.arguments.get(parameter.name):
        raise ConfigurationError(
            f"{where} is not described; add to the docstring:\n    Args:\n        {parameter.name}: what to give"
        )
    try:
        schema = hint_schema(hints[parameter.name])
    except HintError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    if parameter.name in said.choices:
        schema["enum"] = said.choices[parameter.name]
    if parameter.default is None:
        schema["nullable"] = True
    return {**schema, "description": said.arguments[parameter.name]}


def output_type(name: str, hints: dict[str, Any]) -> str:
    """Return the output type that a function's return hint says; "any" where it says nothing definite."""
    if "return" not in hints:
        return "any"
    try:
        schema = hint_schema(hints["return"])
    except HintError as error:
        raise ConfigurationError(f"tool {name!r}: the return type: {error}") from None
    kind = schema.get("type", "any")
    return kind if isinstance(kind, str) and not schema.get("nullable") else "any"


def signature_of_inputs(inputs: dict[str, Schema]) -> inspect.Signature:
    """Return the signature of a tool whose `forward` takes anything: inputs that may be None may be left out."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    needed = [inspect.Parameter(name, kind) for name, entry in inputs.items() if not _may_be_left_out(entry)]
    others = [
        inspect.Parameter(name, kind, default=entry.get("default"))
        for name, entry in inputs.items()
        if _may_be_left_out(entry)
    ]
    return inspect.Signature(needed + others)


def import_path(name: str, target: object) -> str:
    """Return "module:qualified.name" of a class or function that an import reaches."""
    module = getattr(target, "__module__", "__main__")
    qualified = getattr(target, "__qualname__", "<locals>")
    if module == "__main__" or "<" in qualified:
        raise ConfigurationError(
            f"tool {name!r} is defined in {module}:{qualified}, where no import reaches it; move it into a module"
        )
    return f"{module}:{qualified}"


_ITERATOR: type = type(iter([]))  # how the items of a generator come from a box


def listed(value: Any) -> Any:
    """Return a range, a generator's items, or a column or array of numpy and pandas as a list; anything else as it is."""
    kind = type(value)
    if kind is _ITERATOR:
        return list(copy(value))  # its items are wanted twice: to be checked and by the tool
    if kind is range and len(value) <= MOST_ITEMS:
        return list(value)
    is_column = kind.__module__.partition(".")[0] in ("numpy", "pandas") and hasattr(value, "tolist")
    return value.tolist() if is_column and can_be_listed(value) else value


def whole_numbers(value: Any, schema: Schema) -> Any:
    """Return a value with floats like 4.0 as integers where its schema asks for these."""
    if isinstance(value, float):
        wants = "integer" in kinds_of(schema) and "number" not in kinds_of(schema)
        return int(value) if wants and value.is_integer() else value
    if isinstance(value, list) and isinstance(items := schema.get("items"), dict):
        # Most lists have nothing to change: told from the classes of the items, found at C speed.
        if {float, list, dict}.isdisjoint(map(type, value)):
            return value
        return [whole_numbers(item, items) for item in value]
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        others = others if isinstance(others, dict) else {}
        return {key: whole_numbers(item, known.get(key, others)) for key, item in value.items()}
    return value


def _may_be_left_out(entry: Schema) -> bool:
    return entry.get("nullable") is True or "default" in entry
