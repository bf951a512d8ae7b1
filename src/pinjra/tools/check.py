"""A value and its schema -> what is wrong with it, in words for the model that gave it.

JSON Schema is compiled once, to closures. Checking stops at the first fault and is counted: a call of a few bytes for each item
must not cost the host more than the guest paid. What cannot be counted, regular expressions, is matched in a process of its own.

What does not work: jsonschema (20 µs for each right item, and an error object of 3 KB for each wrong one below `anyOf`).
"""

from __future__ import annotations

import numbers
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Any, cast

from pinjra.tools.hints import PASSED_AS_THEMSELVES, Schema
from pinjra.tools.patterns import matches
from pinjra.tools.schema import allowing_null, map_subschemas

VISITS = 2_000_000  # of values and keywords in one check: about a second
_MATCH_VISITS = 200  # what one regular expression counts for

_SAID = {
    "string": "a string",
    "boolean": "True or False",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "a dict",
    "null": "None",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a value does not fit, and which keyword of the schema says so."""

    keyword: str
    wanted: Any
    value: object
    path: tuple[object, ...] = ()

    def below(self, part: object) -> Fault:
        """Return the same fault seen from the container that holds the value at `part`."""
        return replace(self, path=(part, *self.path))


class _Meter:
    """Counts what a check does."""

    def __init__(self) -> None:
        self.left = VISITS

    def spend(self, visits: int = 1) -> None:
        self.left -= visits
        if self.left < 0:
            raise _TooMuch


class _TooMuch(Exception):
    """A value that takes too long to be checked."""


Check = Callable[[object, _Meter], "Fault | None"]


def make_checker(name: str, schema: Schema) -> Callable[[object], str | None]:
    """Return a function that says what is wrong with a value for the argument `name`, or None.

    An object type without further keywords takes any object as itself; with keywords it wants a dict.
    """
    if _takes_everything(schema):
        return lambda value: None
    check = _Compiler(_checkable(schema)).compiled()

    def problem(value: object) -> str | None:
        try:
            fault = check(value, _Meter())
        except _TooMuch:
            return f"argument {name!r} is too large to be checked"
        except RecursionError:
            return f"argument {name!r} is nested too deeply"
        except _Unresolvable:
            return f"argument {name!r} has a schema that refers to what is not in it"
        except Exception:  # a value that cannot be compared with the choices (an array), or any other odd one
            return f"argument {name!r} cannot be a {type(value).__name__}"
        return None if fault is None else _words(name, fault)

    return problem


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


# ---------------------------------------------------------------- schema -> closures


class _Unresolvable(Exception):
    """A "$ref" to what is not in the schema."""


class _Compiler:
    """Makes the check of one schema; keywords that it does not know are notes for people, as JSON Schema has it."""

    def __init__(self, root: object) -> None:
        self._root = root
        self._references: dict[str, Check] = {}

    def compiled(self) -> Check:
        """Return the check of the whole schema."""
        return self.check_of(self._root)

    def check_of(self, schema: object) -> Check:
        """Return the check of a schema inside it."""
        if schema is False:
            return lambda value, _meter: Fault("false", False, value)
        if not isinstance(schema, dict):
            return _accepts
        checks = [make(self, schema[key], schema) for key, make in _KEYWORDS.items() if key in schema]
        if not checks:
            return _accepts
        return checks[0] if len(checks) == 1 else lambda value, meter: _first(checks, value, meter)

    def reference(self, target: object) -> Check:
        """Return the check of what a "$ref" names; made when it is first needed, since it may name what holds it."""

        def check(value: object, meter: _Meter) -> Fault | None:
            meter.spend()
            key = str(target)
            if key not in self._references:
                self._references[key] = self.check_of(self._resolved(key))
            return self._references[key](value, meter)

        return check

    def _resolved(self, reference: str) -> object:
        # SECURITY: within the schema only: a "$ref" in somebody else's schema must not be fetched from the network.
        found: Any = self._root
        if not reference.startswith("#"):
            raise _Unresolvable
        for part in reference[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(key)] if isinstance(found, list) else found[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise _Unresolvable from None
        return found


def _accepts(_value: object, _meter: _Meter) -> Fault | None:
    return None


def _first(checks: list[Check], value: object, meter: _Meter) -> Fault | None:
    for check in checks:
        fault = check(value, meter)
        if fault is not None:
            return fault
    return None


@lru_cache(4096)
def _is_kind(kind: str, cls: type) -> bool:
    """Return whether objects of a class are of a JSON type. The guest's numpy scalars are numbers; its booleans are not."""
    if kind in ("integer", "number"):
        base = numbers.Integral if kind == "integer" else numbers.Real
        return issubclass(cls, base) and not issubclass(cls, bool)
    return kind in PASSED_AS_THEMSELVES or issubclass(cls, _CLASSES.get(kind, ()))


def _is_any(kinds: Iterable[str], value: object) -> bool:
    cls = cast("type[Any]", type(value))
    if isinstance(value, float) and "integer" in kinds and value.is_integer():
        return True  # 4.0 is a whole number, also for JSON Schema; `Tool` makes it one
    return any(_is_kind(kind, cls) for kind in kinds)  # type: ignore[arg-type]  # a class can be hashed


_SEQUENCES = (list, tuple, set, frozenset, deque)
_CLASSES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "array": _SEQUENCES,
    "object": (dict,),
    "null": (type(None),),
}


def _type(_compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
    kinds = wanted if isinstance(wanted, list) else [wanted]

    def check(value: object, meter: _Meter) -> Fault | None:
        meter.spend()
        return None if _is_any(kinds, value) else Fault("type", kinds, value)

    return check


def _equals(choice: object, value: object) -> bool:
    return isinstance(choice, bool) == isinstance(value, bool) and bool(choice == value)


def _of_kind(
    keyword: str, kinds: tuple[str, ...], fits: Callable[[Any, Any], bool]
) -> Callable[[_Compiler, Any, Schema], Check]:
    """Return the maker of a keyword that says something of values of these kinds (none: of all) and nothing of others."""

    def make(_compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
        def check(value: object, meter: _Meter) -> Fault | None:
            meter.spend()
            if (kinds and not _is_any(kinds, value)) or fits(value, wanted):
                return None
            return Fault(keyword, wanted, value)

        return check

    return make


def _pattern(_compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
    def check(value: object, meter: _Meter) -> Fault | None:
        if not isinstance(value, str):
            return None
        meter.spend(_MATCH_VISITS)
        return None if matches(str(wanted), value) else Fault("pattern", wanted, value)

    return check


def _items(compiler: _Compiler, wanted: Any, schema: Schema) -> Check:
    start = len(schema.get("prefixItems", ()))
    check_item = compiler.check_of(wanted)
    only_type = (
        wanted.get("type")
        if isinstance(wanted, dict) and not set(wanted) & set(_KEYWORDS) - {"type"}
        else None
    )
    kinds = only_type if isinstance(only_type, list) else [only_type] if only_type else []

    def check(value: object, meter: _Meter) -> Fault | None:
        if not isinstance(value, _SEQUENCES):
            return None
        items = list(value)[start:] if start else list(value)
        meter.spend(1 + len(items) // 20)
        # Most lists are of one type: told from the classes of the items, found at C speed.
        if kinds and all(any(_is_kind(kind, cls) for kind in kinds) for cls in set(map(type, items))):
            return None
        for at, item in enumerate(items, start):
            fault = check_item(item, meter)
            if fault is not None:
                return fault.below(at)
        return None

    return check


Making = Callable[["_Compiler", Any, Schema], Check]


def _of(kind: type | tuple[type, ...]) -> Callable[[Making], Making]:
    """Have a keyword's check made for values of a kind only: of others it says nothing."""

    def only(make: Making) -> Making:
        def made(compiler: _Compiler, wanted: Any, schema: Schema) -> Check:
            check = make(compiler, wanted, schema)
            return lambda value, meter: check(value, meter) if isinstance(value, kind) else None

        return made

    return only


def _below(parts: Iterable[tuple[object, Check, object]], meter: _Meter) -> Fault | None:
    """Return the first fault of parts of a container: where each is, what checks it, and the part."""
    for at, check, part in parts:
        fault = check(part, meter)
        if fault is not None:
            return fault.below(at)
    return None


@_of((list, tuple))
def _prefix_items(compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
    checks = [compiler.check_of(each) for each in wanted]
    # The shorter of the two ends it.
    return lambda value, meter: _below(zip(count(), checks, cast("Any", value)), meter)


@_of(_SEQUENCES)
def _contains(compiler: _Compiler, wanted: Any, schema: Schema) -> Check:
    check_item = compiler.check_of(wanted)
    least, most = schema.get("minContains", 1), schema.get("maxContains")

    def check(value: Any, meter: _Meter) -> Fault | None:
        meter.spend(1 + len(value))
        found = sum(check_item(item, meter) is None for item in value)
        return (
            None if found >= least and (most is None or found <= most) else Fault("contains", wanted, value)
        )

    return check


@_of((list, tuple))
def _unique(_compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
    def check(value: Any, meter: _Meter) -> Fault | None:
        # SECURITY: compared as texts, whose hashes are seeded; equal hashes of numbers can be made.
        is_unique = wanted is not True or len({_as_text(item, meter) for item in value}) == len(value)
        return None if is_unique else Fault("uniqueItems", True, value)

    return check


def _as_text(value: object, meter: _Meter) -> str:
    meter.spend()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_as_text(item, meter) for item in value)}]"
    if isinstance(value, dict):
        parts = sorted(f"{key!r}:{_as_text(item, meter)}" for key, item in value.items())
        return f"{{{','.join(parts)}}}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:x}"
    if isinstance(value, float) and value.is_integer():
        return f"{int(value):x}"
    return repr(value)


@_of(dict)
def _properties(compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
    checks = {key: compiler.check_of(each) for key, each in wanted.items()}

    def check(value: Any, meter: _Meter) -> Fault | None:
        return _below(((key, each, value[key]) for key, each in checks.items() if key in value), meter)

    return check


@_of(dict)
def _pattern_properties(compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
    checks = {pattern: compiler.check_of(each) for pattern, each in wanted.items()}

    def is_meant(pattern: str, key: object, meter: _Meter) -> bool:
        meter.spend(_MATCH_VISITS)
        return matches(pattern, str(key))

    def check(value: Any, meter: _Meter) -> Fault | None:
        pairs = ((key, item, *each) for key, item in value.items() for each in checks.items())
        return _below(((key, each, item) for key, item, p, each in pairs if is_meant(p, key, meter)), meter)

    return check


@_of(dict)
def _additional(compiler: _Compiler, wanted: Any, schema: Schema) -> Check:
    known, patterns = schema.get("properties", {}), list(schema.get("patternProperties", {}))
    check_item = compiler.check_of(wanted)

    def is_described(key: object, meter: _Meter) -> bool:
        if key in known:
            return True
        meter.spend(len(patterns) * _MATCH_VISITS)
        return any(matches(pattern, str(key)) for pattern in patterns)

    def check(value: Any, meter: _Meter) -> Fault | None:
        meter.spend(1 + len(value))
        others = ((key, item) for key, item in value.items() if not is_described(key, meter))
        if wanted is False:
            return next((Fault("additionalProperties", False, key) for key, _ in others), None)
        return _below(((key, check_item, item) for key, item in others), meter)

    return check


@_of(dict)
def _property_names(compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
    check_name = compiler.check_of(wanted)
    return lambda value, meter: _below(((key, check_name, key) for key in cast("Any", value)), meter)


@_of(dict)
def _required(_compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
    def check(value: Any, _meter: _Meter) -> Fault | None:
        return next((Fault("required", wanted, key) for key in wanted if key not in value), None)

    return check


@_of(dict)
def _dependent_required(_compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
    def check(value: Any, _meter: _Meter) -> Fault | None:
        needed = (key for given, keys in wanted.items() if given in value for key in keys)
        return next((Fault("required", wanted, key) for key in needed if key not in value), None)

    return check


def _any_of(compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
    checks = [compiler.check_of(each) for each in wanted]

    def check(value: object, meter: _Meter) -> Fault | None:
        faults: list[Fault] = []
        for each in checks:
            fault = each(value, meter)
            if fault is None:
                return None
            faults.append(fault)
        return _nearest(faults, wanted, value)

    return check


def _nearest(faults: list[Fault], wanted: Any, value: object) -> Fault:
    """Return the fault of the branch that the value was meant for: the one that fits longest; all types where none fits."""
    if all(fault.keyword == "type" and not fault.path for fault in faults):
        return Fault("type", [kind for fault in faults for kind in fault.wanted], value)
    near = sorted(faults, key=lambda fault: (len(fault.path), fault.keyword != "type"), reverse=True)
    is_clear = len(near) == 1 or (len(near[0].path), near[0].keyword != "type") != (
        len(near[1].path),
        near[1].keyword != "type",
    )
    return near[0] if is_clear else Fault("anyOf", wanted, value)


def _one_of(compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
    checks = [compiler.check_of(each) for each in wanted]

    def check(value: object, meter: _Meter) -> Fault | None:
        faults = [fault for each in checks if (fault := each(value, meter)) is not None]
        fitting = len(checks) - len(faults)
        if fitting == 0:
            return _nearest(faults, wanted, value)
        return None if fitting == 1 else Fault("oneOf", wanted, value)

    return check


def _all_of(compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
    checks = [compiler.check_of(each) for each in wanted]
    return lambda value, meter: _first(checks, value, meter)


def _not(compiler: _Compiler, wanted: Any, _schema: Schema) -> Check:
    inner = compiler.check_of(wanted)
    return lambda value, meter: Fault("not", wanted, value) if inner(value, meter) is None else None


def _if(compiler: _Compiler, wanted: Any, schema: Schema) -> Check:
    condition = compiler.check_of(wanted)
    then, otherwise = compiler.check_of(schema.get("then", True)), compiler.check_of(schema.get("else", True))
    return lambda value, meter: (then if condition(value, meter) is None else otherwise)(value, meter)


def _is_multiple(value: Any, of: Any) -> bool:
    if isinstance(value, int) and isinstance(of, int):
        return value % of == 0
    quotient = value / of
    return bool(int(quotient) == quotient)


_NUMBERS, _LISTS = ("number",), ("array",)
_KEYWORDS: Mapping[str, Callable[[_Compiler, Any, Schema], Check]] = {
    "$ref": lambda compiler, wanted, _schema: compiler.reference(wanted),
    "type": _type,
    "enum": _of_kind("enum", (), lambda value, wanted: any(_equals(choice, value) for choice in wanted)),
    "const": _of_kind("const", (), lambda value, wanted: _equals(wanted, value)),
    "minimum": _of_kind("minimum", _NUMBERS, lambda value, wanted: value >= wanted),
    "maximum": _of_kind("maximum", _NUMBERS, lambda value, wanted: value <= wanted),
    "exclusiveMinimum": _of_kind("exclusiveMinimum", _NUMBERS, lambda value, wanted: value > wanted),
    "exclusiveMaximum": _of_kind("exclusiveMaximum", _NUMBERS, lambda value, wanted: value < wanted),
    "multipleOf": _of_kind("multipleOf", _NUMBERS, _is_multiple),
    "minLength": _of_kind("minLength", ("string",), lambda value, wanted: len(value) >= wanted),
    "maxLength": _of_kind("maxLength", ("string",), lambda value, wanted: len(value) <= wanted),
    "pattern": _pattern,
    "minItems": _of_kind("minItems", _LISTS, lambda value, wanted: len(value) >= wanted),
    "maxItems": _of_kind("maxItems", _LISTS, lambda value, wanted: len(value) <= wanted),
    "prefixItems": _prefix_items,
    "items": _items,
    "contains": _contains,
    "uniqueItems": _unique,
    "minProperties": _of_kind("minProperties", ("object",), lambda value, wanted: len(value) >= wanted),
    "maxProperties": _of_kind("maxProperties", ("object",), lambda value, wanted: len(value) <= wanted),
    "required": _required,
    "dependentRequired": _dependent_required,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "propertyNames": _property_names,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "allOf": _all_of,
    "not": _not,
    "if": _if,
}


# ---------------------------------------------------------------- words


def _words(name: str, fault: Fault) -> str:
    where = f"argument {name!r}" + "".join(f"[{short(part)}]" for part in fault.path)
    if fault.keyword == "type":
        said = " or ".join(dict.fromkeys(_SAID.get(kind, str(kind)) for kind in fault.wanted))
        return f"{where} must be {said}, not {short(fault.value)} ({type(fault.value).__name__})"
    if fault.keyword == "enum":
        choices = ", ".join(repr(value) for value in fault.wanted)
        return f"{where} must be one of {choices}, not {short(fault.value)}"
    if fault.keyword == "required":
        return f"{where}: {short(fault.value)} is missing"
    if fault.keyword == "additionalProperties":
        return f"{where}: there is no {short(fault.value)} in it"
    return f"{where}: {short(fault.value)} does not fit {fault.keyword} {short(fault.wanted)}"


_SHOWN_CHARS = 60  # of a text
_SHOWN_ITEMS = 3  # of a container


def short(value: object, depth: int = 2) -> str:
    """Return a cut description of a value, at most some 120 characters; of a large one only the beginning is looked at."""
    if isinstance(value, (str, bytes)):
        cut = repr(value[:_SHOWN_CHARS])
        return cut if len(value) <= _SHOWN_CHARS else f"{cut}..."
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a number of {value.bit_length()} bits"
    if value is None or isinstance(value, (bool, int, float, complex)):
        return repr(value)[:_SHOWN_CHARS]
    shape = _SHAPES.get(type(value))
    if shape is None:
        return f"<{type(value).__name__}>"
    return _short_container(value, shape, depth)[:120]


_SHAPES: Mapping[type, str] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}", dict: "{}"}


def _short_container(value: Any, shape: str, depth: int) -> str:
    if depth == 0:
        return f"{shape[0]}...{shape[1]}" if value else shape
    first = [item for _at, item in zip(range(_SHOWN_ITEMS), value)]  # noqa: B905 (the shorter one ends it)
    shown = [
        f"{short(item, 0)}: {short(value[item], depth - 1)}"
        if isinstance(value, dict)
        else short(item, depth - 1)
        for item in first
    ]
    return f"{shape[0]}{', '.join(shown)}{', ...' if len(value) > len(first) else ''}{shape[1]}"
