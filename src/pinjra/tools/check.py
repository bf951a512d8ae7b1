"""A value and its schema -> what is wrong with it, in words for the model that gave it."""

from __future__ import annotations

import numbers
import reprlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pinjra.tools.hints import PASSED_AS_THEMSELVES, Schema
from pinjra.tools.schema import allowing_null, map_subschemas

if TYPE_CHECKING:
    from jsonschema import ValidationError

__all__ = ["make_checker", "short"]

_SAID = {
    "string": "a string",
    "boolean": "True or False",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "a dict",
    "null": "None",
}


def make_checker(name: str, schema: Schema) -> Callable[[object], str | None]:
    """Return a function that says what is wrong with a value for the argument `name`, or None.

    An object type without further keywords takes any object as itself; with keywords it wants a dict.
    """
    if _takes_everything(schema):
        return lambda value: None
    validator = _validator(_checkable(schema))

    def problem(value: object) -> str | None:
        from jsonschema.exceptions import best_match
        from referencing.exceptions import Unresolvable

        try:
            error = best_match(validator.iter_errors(value))
        except RecursionError:
            return f"argument {name!r} is nested too deeply"
        except Unresolvable:
            return f"argument {name!r} has a schema that refers to what is not in it"
        except (TypeError, ValueError):  # a value that cannot be compared with the choices (an array)
            return f"argument {name!r} cannot be a {type(value).__name__}"
        return None if error is None else _words(name, error)

    return problem


def short(value: object) -> str:
    """Return a cut description of a value, at most some 120 characters."""
    shown = reprlib.Repr()
    shown.maxstring = shown.maxother = shown.maxlong = 60
    shown.maxlist = shown.maxtuple = shown.maxset = shown.maxfrozenset = shown.maxdict = 3
    text = shown.repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _takes_everything(schema: Schema) -> bool:
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if any(kind in PASSED_AS_THEMSELVES for kind in kinds) and "enum" not in schema:
        return True
    return kinds == ["object"] and not set(schema) - {"type", "description", "nullable", "default", "title"}


def _checkable(schema: Schema) -> Schema:
    """Return the schema with `nullable` written out and bare object types open, at every depth."""
    if _takes_everything(schema):
        return {}
    result = {
        key: map_subschemas(key, value, _checkable) for key, value in schema.items() if key != "nullable"
    }
    return allowing_null(result) if schema.get("nullable") is True else result


def _validator(schema: Schema) -> Any:
    import jsonschema
    from jsonschema.validators import extend
    from referencing import Registry

    draft = jsonschema.Draft202012Validator
    types = draft.TYPE_CHECKER.redefine_many(
        {
            # The guest's numpy scalars are numbers; its booleans are not; 3.0 is no whole number for Python.
            "integer": lambda _, value: isinstance(value, numbers.Integral) and not isinstance(value, bool),
            "number": lambda _, value: isinstance(value, numbers.Real) and not isinstance(value, bool),
            "array": lambda _, value: isinstance(value, (list, tuple, set, frozenset)),
            **{kind: lambda _, value: True for kind in PASSED_AS_THEMSELVES},
        }
    )
    # SECURITY: an empty registry: a "$ref" in somebody else's schema must not be fetched from the network.
    return extend(draft, type_checker=types)(schema, registry=Registry())


def _words(name: str, error: ValidationError) -> str:
    where = f"argument {name!r}" + "".join(f"[{part!r}]" for part in error.absolute_path)
    if error.validator == "type":
        wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        said = " or ".join(_SAID.get(kind, str(kind)) for kind in wanted)
        return f"{where} must be {said}, not {short(error.instance)} ({type(error.instance).__name__})"
    if error.validator == "enum":
        choices = ", ".join(repr(value) for value in error.validator_value)
        return f"{where} must be one of {choices}, not {short(error.instance)}"
    if error.validator in ("required", "additionalProperties", "dependentRequired"):
        return f"{where}: {error.message[:300]}"
    wanted_text = short(error.validator_value)
    return f"{where}: {short(error.instance)} does not fit {error.validator} {wanted_text}"
