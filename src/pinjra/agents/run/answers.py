"""output_type= of a run -> what its final answer must be: told to the model, checked, converted."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from importlib import import_module
from types import UnionType
from typing import Any, NotRequired, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

from pinjra.agents.errors import AgentError
from pinjra.core.errors import ConfigurationError, MissingDependency
from pinjra.core.values import Record, can_be_listed

_MOST_PROBLEMS = 10  # that the model is told at once


_NO_TYPES = (int, float, complex, bytes, list, tuple, dict, set, frozenset)


class AnswerType:
    """A type that a run's answer must have: a pydantic model, a dataclass, a TypedDict, or any other type hint.

    Raises:
        ConfigurationError: It is no type that a value can be checked against (the caller's fault).
        MissingDependency: pydantic is not installed (the operator's).
    """

    def __init__(self, wanted: object) -> None:
        is_class = isinstance(wanted, type) and not hasattr(wanted, "__args__")
        self.name: str = wanted.__name__ if is_class else str(wanted)  # type: ignore[attr-defined]  # it is a class
        self._adapter = _adapter(wanted)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema; {} for a type that JSON does not know."""
        from pydantic.errors import PydanticInvalidForJsonSchema

        try:
            return dict(self._adapter.json_schema())
        except PydanticInvalidForJsonSchema:
            return {}

    @property
    def words(self) -> str:
        """Return what a task says of it to the model."""
        more = f" (JSON Schema: {json.dumps(self.schema)})" if len(self.schema) > 1 else ""
        return (
            f"\nThe final answer must be of the type {self.name}{more}. Give the value itself, an object as a dict; "
            "not a text about it."
        )

    def data(self, answer: object) -> object:
        """Return an answer of the type as JSON can hold it."""
        return self._adapter.dump_python(answer, mode="json")

    def converted(self, answer: object) -> object:
        """Return the answer as an object of the type. It may come as that, as a guest's record, as a dict, or as their JSON.

        Raises:
            AgentError: It does not fit; the message tells the model where.
        """
        problem = ""
        for attempt in self._attempts(answer):
            try:
                return attempt()
            except Exception as error:  # also what a validator of anybody's raises
                problem = _told(error)
        raise AgentError(f"the answer was not accepted, it must be of the type {self.name}: {problem}")

    def _attempts(self, answer: object) -> Iterator[Callable[[], object]]:
        given = self._adapter.validate_python
        yield partial(given, answer)
        for enums in (False, True):
            yield partial(given, _plain(answer, enums=enums))
        if isinstance(answer, str) and (text := _unfenced(answer)).startswith(("{", "[")):
            yield partial(self._adapter.validate_json, text)


def named_type(text: str) -> object:
    """Return the type that a text names: "int", "list[str]", "Literal['yes', 'no']", or "module:Name" of a class.

    Raises:
        ConfigurationError: There is no such type (the caller's fault).
    """
    import builtins
    import datetime
    import decimal
    import typing

    module, colon, name = text.partition(":")
    holder = type("Wanted", (), {"__annotations__": {"it": name if colon else text}})
    try:
        known = import_module(module) if colon else None
        names = (
            vars(known) if known else {**vars(builtins), **vars(typing), **vars(datetime), **vars(decimal)}
        )
        return get_type_hints(holder, globalns=dict(names))["it"]
    except Exception as error:  # whatever a module, or a text that is no type, raises
        problem = f"{type(error).__name__}: {error}"
        raise ConfigurationError(
            f"{text!r} names no type ({problem}); say int, list[str] or MODULE:NAME"
        ) from error


def _adapter(wanted: object) -> Any:
    try:
        from pydantic import ConfigDict, TypeAdapter
        from pydantic.errors import PydanticUserError
    except ImportError as error:
        raise MissingDependency("pydantic", "pip install 'pinjra[typed]'") from error
    try:
        if isinstance(wanted, _NO_TYPES):  # pydantic would take it for a class of somebody's
            raise TypeError(wanted)
        wanted = _readable(wanted)
        try:
            return TypeAdapter(wanted, config=ConfigDict(arbitrary_types_allowed=True))
        except PydanticUserError:  # models, dataclasses and TypedDicts have a configuration of their own
            return TypeAdapter(wanted)
    except Exception as error:  # pydantic raises of several kinds for what is no type
        raise ConfigurationError(
            f"output_type= must be a type to check an answer against, not {wanted!r}"
        ) from error


def _readable(hint: Any) -> Any:
    """Return a hint with its TypedDicts as typing_extensions makes them: before Python 3.12 pydantic reads no others."""
    import typing_extensions

    arguments = get_args(hint)
    if is_typeddict(hint) and sys.version_info < (3, 12):
        hints = get_type_hints(hint, include_extras=True).items()
        fields = {name: _field(said, name in hint.__required_keys__) for name, said in hints}
        return typing_extensions.TypedDict(hint.__name__, fields)  # type: ignore[operator]  # made at run time
    if get_origin(hint) in (Union, UnionType):
        return Union[tuple(map(_readable, arguments))]  # noqa: UP007 (made at run time)
    if get_origin(hint) in (list, dict, tuple, set, frozenset):
        return get_origin(hint)[tuple(map(_readable, arguments))]
    return hint


def _field(hint: Any, is_needed: bool) -> Any:
    if get_origin(hint) in (Required, NotRequired):
        return get_origin(hint)[_readable(get_args(hint)[0])]
    return _readable(hint) if is_needed else NotRequired[_readable(hint)]


def _plain(value: object, *, enums: bool) -> object:
    """Return a value with guests' records as dicts, those of enums as their values, numpy's numbers as Python's."""
    again = partial(_plain, enums=enums)
    if isinstance(value, Record):
        if enums and list(value.fields) == ["name", "value"]:
            return value.fields["value"]
        return {name: again(item) for name, item in value.fields.items()}
    if isinstance(value, dict):
        return {again(key): again(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return (
            type(value)(map(again, value))
            if type(value) in (list, tuple, set, frozenset)
            else list(map(again, value))
        )
    is_array = type(value).__module__ == "numpy" and can_be_listed(value)
    if is_array and callable(to_list := getattr(value, "tolist", None)):
        return to_list()
    return value


def _unfenced(text: str) -> str:
    text = text.strip()
    return text.strip("`").removeprefix("json").strip() if text.startswith("```") else text


def _told(error: Exception) -> str:
    """Return where an answer does not fit, without what it holds."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"
    found = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [
        f"{'.'.join(map(str, each['loc'])) or 'the value'}: {each['msg']}" for each in found[:_MOST_PROBLEMS]
    ]
    more = len(found) - len(lines)
    return "; ".join(lines) + (f"; and {more} more" if more > 0 else "")
