"""Type hints -> schema: what a parameter's annotation says, as an entry of `Tool.inputs`.

A schema here is JSON Schema with four extensions that users of this kind of library know: the types "any", "image",
"audio", "dataframe" and "file" (a value of that sort passes as itself), and `nullable` (None is fine too).
"""

from __future__ import annotations

import enum
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin, is_typeddict

from pinjra.core.errors import ConfigurationError

Schema = dict[str, Any]

JSON_TYPES = ("string", "boolean", "integer", "number", "array", "object", "null")
PASSED_AS_THEMSELVES = ("any", "image", "audio", "dataframe", "file")
ALL_TYPES = JSON_TYPES + PASSED_AS_THEMSELVES

_PLAIN: dict[object, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    Any: "any",
    object: "any",
    list: "array",
    tuple: "array",
    set: "array",
    frozenset: "array",
    Sequence: "array",
    Iterable: "array",
}
# Named by where they are defined, so that none of these packages has to be there.
_BY_NAME = {
    "PIL.Image.Image": "image",
    "torch.Tensor": "audio",
    "pandas.core.frame.DataFrame": "dataframe",
    "pandas.DataFrame": "dataframe",
}


def kinds_of(schema: Schema) -> list[Any]:
    """Return the types that a schema names, which may be none."""
    given = schema.get("type", [])
    return given if isinstance(given, list) else [given]


class HintError(ConfigurationError):
    """The tool author's fault: a type hint that has no schema. Says what to write instead."""


def hint_schema(hint: object) -> Schema:
    """Return the schema of a type hint; classes that JSON does not know give {"type": "object"}.

    Raises:
        HintError: The hint cannot be told to a model (a string that did not resolve, a callable, a type variable).
    """
    origin = get_origin(hint)
    if origin is None:
        return _plain_schema(hint)
    if origin is Annotated:
        return hint_schema(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return _union_schema(get_args(hint))
    if origin is Literal:
        return _literal_schema(get_args(hint))
    if origin is tuple:
        return _tuple_schema(get_args(hint))
    if isinstance(origin, type) and issubclass(origin, (dict, Mapping)):
        return {"type": "object", "additionalProperties": _value_schema(get_args(hint)[1])}
    if _PLAIN.get(origin) == "array":
        return {"type": "array", "items": _value_schema(get_args(hint)[0])}
    if origin is Callable or not isinstance(origin, type):
        raise HintError(f"a model cannot give a {hint!r}; take a str, number, bool, list or dict")
    return {"type": "object"}


def _plain_schema(hint: object) -> Schema:
    known = _PLAIN.get(hint) if _is_hashable(hint) else None
    if known is not None:
        return {"type": known}
    if not isinstance(hint, type):
        raise HintError(f"the type hint {hint!r} is no type; write a class, Literal[...], Union[...] or Any")
    if issubclass(hint, enum.Enum):
        return _literal_schema(tuple(member.value for member in hint))
    if is_typeddict(hint):
        return _typed_dict_schema(hint)
    if issubclass(hint, Mapping):
        # Not a bare "object": that would let any object pass.
        return {"type": "object", "additionalProperties": True}
    if issubclass(hint, PurePath):
        return {"type": "file"}
    return {"type": _BY_NAME.get(f"{hint.__module__}.{hint.__qualname__}", "object")}


def _typed_dict_schema(hint: type) -> Schema:
    from typing import get_type_hints

    fields = {name: _value_schema(kind) for name, kind in get_type_hints(hint).items()}
    required = sorted(getattr(hint, "__required_keys__", fields))
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def _union_schema(members: tuple[object, ...]) -> Schema:
    parts = [hint_schema(member) for member in members if member is not type(None)]
    schema = parts[0] if len(parts) == 1 else _merged(parts)
    return schema | {"nullable": True} if type(None) in members else schema


def _merged(parts: list[Schema]) -> Schema:
    """Return one schema for several: a list of types where that says it all, anyOf where not."""
    if all(set(part) == {"type"} and isinstance(part["type"], str) for part in parts):
        return {"type": sorted({part["type"] for part in parts})}
    return {"anyOf": parts}


def _literal_schema(values: tuple[object, ...]) -> Schema:
    named = [value for value in values if value is not None]
    kinds = sorted({_literal_type(value) for value in named})
    schema: Schema = {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": named}
    return schema | {"nullable": True} if None in values else schema


def _literal_type(value: object) -> str:
    kind = _PLAIN.get(type(value))
    if kind not in ("string", "boolean", "integer", "number"):
        raise HintError(f"the choice {value!r} is no str, int, float or bool, so a model cannot name it")
    return kind


def _tuple_schema(members: tuple[object, ...]) -> Schema:
    if len(members) == 2 and members[1] is Ellipsis:
        return {"type": "array", "items": _value_schema(members[0])}
    count = len(members)
    return {
        "type": "array",
        "prefixItems": [_value_schema(member) for member in members],
        "minItems": count,
        "maxItems": count,
    }


def _value_schema(hint: object) -> Schema:
    """Return the schema of a value inside a list or dict; type variables and Any mean "any"."""
    return {"type": "any"} if hint is Any or type(hint).__name__ == "TypeVar" else hint_schema(hint)


def _is_hashable(hint: object) -> bool:
    return type(hint).__hash__ is not None
