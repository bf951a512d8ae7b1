"""A value and its schema -> what is wrong with it, in words for the model that gave it.

Each keyword of JSON Schema is a row of a table. Checking stops at the first fault and is counted: a call of a few bytes for
each item must not cost the host more than the guest paid. What cannot be counted, regular expressions, is matched in a process
of its own.

What does not work: jsonschema (20 µs for each right item, and an error object of 3 KB for each wrong one below `anyOf`).
"""

from __future__ import annotations

import numbers
import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Any

from pinjra.core.value_text import SHAPES, Room
from pinjra.tools.hints import PASSED_AS_THEMSELVES, Schema, kinds_of
from pinjra.tools.patterns import matches
from pinjra.tools.schema import allowing_null, map_subschemas

VISITS = 2_200_000  # of a value by a schema, in one check: about a second
_MATCH_VISITS = 200  # what one regular expression counts for
_TEXT_COST = 1 << 23  # of items that are compared as texts, as `Room` has it

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


class _TooMuch(Exception):
    """A value that takes too long to be checked."""


class _Unresolvable(Exception):
    """A "$ref" to what is not in the schema."""


def make_checker(name: str, schema: Schema) -> Callable[[object], str | None]:
    """Return a function that says what is wrong with a value for the argument `name`, or None.

    An object type without further keywords takes any object as itself; with keywords it wants a dict.
    """
    if _takes_everything(schema):
        return lambda value: None
    checkable = _checkable(schema)

    def problem(value: object) -> str | None:
        try:
            fault = first_fault(value, checkable)
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


def first_fault(value: object, schema: Schema) -> Fault | None:
    """Return the first fault of a value, or None. Keywords without a rule are notes for people, as JSON Schema has it."""
    return _Check(schema).fault(value, schema)


def _takes_everything(schema: Schema) -> bool:
    kinds = kinds_of(schema)
    if any(kind in PASSED_AS_THEMSELVES for kind in kinds) and "enum" not in schema:
        return True
    return kinds == ["object"] and not set(schema) - {"type", "description", "nullable", "default", "title"}


def _checkable(schema: Schema) -> Schema:
    """Return the schema in the order of our rules, with `nullable` written out and bare object types open, at every depth."""
    if _takes_everything(schema):
        return {}
    in_order = {key: schema[key] for key in (*_RULES, *schema) if key in schema and key != "nullable"}
    result = {key: map_subschemas(key, value, _checkable) for key, value in in_order.items()}
    return allowing_null(result) if schema.get("nullable") is True else result


# ---------------------------------------------------------------- rules


class _Check:
    """One check by a schema; counts what it does."""

    def __init__(self, root: object) -> None:
        self._root = root
        self._left = VISITS
        self.room = Room(_TEXT_COST)

    def spend(self, visits: int) -> None:
        self._left -= visits
        if self._left < 0:
            raise _TooMuch

    def fault(self, value: object, schema: Any) -> Fault | None:
        """Return the first fault of a value by a schema that is in the whole one."""
        self.spend(1)
        if schema is False:
            return Fault("false", False, value)
        for keyword, wanted in schema.items() if isinstance(schema, dict) else ():
            kind, rule = _RULES.get(keyword, _NOTE)
            if not _is_kind(kind, type(value)):  # type: ignore[arg-type]  # a class can be hashed
                continue
            fault = rule(self, value, wanted, schema)
            if fault is not None:
                return fault
        return None

    def fault_below(self, parts: Iterable[tuple[object, object, object]]) -> Fault | None:
        """Return the first fault of parts of a container: where each is, the part, and its schema."""
        for at, part, schema in parts:
            fault = self.fault(part, schema)
            if fault is not None:
                return replace(fault, path=(at, *fault.path))
        return None

    def faults(self, value: object, schemas: Iterable[object]) -> Iterator[Fault | None]:
        """Yield what each of several schemas says."""
        return (self.fault(value, schema) for schema in schemas)

    def matches(self, pattern: object, text: object) -> bool:
        self.spend(_MATCH_VISITS)
        found, seconds = matches(str(pattern), str(text))
        self.spend(int(seconds * VISITS))
        return found

    def named(self, reference: str) -> object:
        """Return the schema that a "$ref" names."""
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


_SEQUENCES = (list, tuple, set, frozenset, deque)
_CLASSES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "array": _SEQUENCES,
    "object": (dict,),
    "null": (type(None),),
}


@lru_cache(4096)
def _is_kind(kind: str, cls: type) -> bool:
    """Return whether objects of a class are of a JSON type. The guest's numpy scalars are numbers; its booleans are not."""
    if kind in ("integer", "number"):
        base = numbers.Integral if kind == "integer" else numbers.Real
        return issubclass(cls, base) and not issubclass(cls, bool)
    return kind in PASSED_AS_THEMSELVES or issubclass(cls, _CLASSES.get(kind, ()))


def _reference(check: _Check, value: Any, wanted: Any, _schema: Schema) -> Fault | None:
    return check.fault(value, check.named(str(wanted)))


def _type(_check: _Check, value: Any, _wanted: Any, schema: Schema) -> Fault | None:
    kinds = kinds_of(schema)
    if any(_is_kind(kind, type(value)) for kind in kinds):  # type: ignore[arg-type]  # a class can be hashed
        return None
    if isinstance(value, float) and "integer" in kinds and value.is_integer():
        return None  # 4.0 is a whole number, also for JSON Schema; `Tool` makes it one
    return Fault("type", kinds, value)


def _enum(check: _Check, value: object, wanted: Any, _schema: Schema) -> Fault | None:
    check.spend(len(wanted) // 5)
    return None if any(_equals(value, choice) for choice in wanted) else Fault("enum", wanted, value)


def _equals(value: object, choice: object) -> bool:
    return isinstance(choice, bool) == isinstance(value, bool) and bool(choice == value)


def _is_multiple(value: Any, of: Any) -> bool:
    if isinstance(value, int) and isinstance(of, int):
        return value % of == 0
    quotient = value / of
    return bool(int(quotient) == quotient)


def _pattern(check: _Check, value: Any, wanted: Any, _schema: Schema) -> Fault | None:
    return None if check.matches(wanted, value) else Fault("pattern", wanted, value)


def _items(check: _Check, value: Any, wanted: Any, schema: Schema) -> Fault | None:
    start = len(schema.get("prefixItems", ()))
    items = list(value)[start:]
    check.spend(len(items) // 20)
    # Most lists are of one type: told from the classes of the items, found at C speed.
    if isinstance(wanted, dict) and "type" in wanted and _RULES.keys().isdisjoint(wanted.keys() - {"type"}):
        kinds = kinds_of(wanted)
        if all(any(_is_kind(kind, cls) for kind in kinds) for cls in set(map(type, items))):
            return None
    return check.fault_below((at, item, wanted) for at, item in enumerate(items, start))


def _prefix_items(check: _Check, value: Any, wanted: Any, _schema: Schema) -> Fault | None:
    in_order = value if isinstance(value, (list, tuple)) else ()
    # The shorter of the two ends it.
    return check.fault_below(zip(count(), in_order, wanted))


def _contains(check: _Check, value: Any, wanted: Any, schema: Schema) -> Fault | None:
    found = sum(check.fault(item, wanted) is None for item in value)
    fits = schema.get("minContains", 1) <= found <= schema.get("maxContains", found)
    return None if fits else Fault("contains", wanted, value)


def _unique(check: _Check, value: Any, wanted: Any, _schema: Schema) -> Fault | None:
    # SECURITY: compared as texts, whose hashes are seeded; equal hashes of numbers can be made.
    is_unique = wanted is not True or len({_as_text(item, check) for item in value}) == len(value)
    return None if is_unique else Fault("uniqueItems", True, value)


def _as_text(value: object, check: _Check) -> str:
    check.spend(1)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_as_text(item, check) for item in value)}]"
    if isinstance(value, dict):
        parts = sorted(f"{key!r}:{_as_text(item, check)}" for key, item in value.items())
        return f"{{{','.join(parts)}}}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:x}"
    if isinstance(value, float) and value.is_integer():
        return f"{int(value):x}"
    # SECURITY: an array of 24 axes takes minutes to be written, and so do a thousand small ones. Texts are written at C speed.
    if not isinstance(value, (str, bytes)) and not check.room.holds(value):
        raise _TooMuch
    return repr(value)


def _required(check: _Check, value: Any, wanted: Any, _schema: Schema) -> Fault | None:
    check.spend(len(wanted) // 20)
    return next((Fault("required", wanted, key) for key in wanted if key not in value), None)


def _dependent_required(check: _Check, value: Any, wanted: Any, schema: Schema) -> Fault | None:
    check.spend(len(wanted) // 20)
    return _required(
        check, value, [key for given in wanted if given in value for key in wanted[given]], schema
    )


def _properties(check: _Check, value: Any, wanted: Any, _schema: Schema) -> Fault | None:
    check.spend(len(wanted) // 20)
    return check.fault_below((key, value[key], each) for key, each in wanted.items() if key in value)


def _pattern_properties(check: _Check, value: Any, wanted: Any, _schema: Schema) -> Fault | None:
    pairs = ((key, pattern) for key in value for pattern in wanted if check.matches(pattern, key))
    return check.fault_below((key, value[key], wanted[pattern]) for key, pattern in pairs)


def _additional(check: _Check, value: Any, wanted: Any, schema: Schema) -> Fault | None:
    known, patterns = schema.get("properties", ()), schema.get("patternProperties", ())
    check.spend(len(value))
    unknown = (key for key in value if key not in known)
    others = (key for key in unknown if not any(check.matches(pattern, key) for pattern in patterns))
    if wanted is False:
        return next((Fault("additionalProperties", False, key) for key in others), None)
    return check.fault_below((key, value[key], wanted) for key in others)


def _property_names(check: _Check, value: Any, wanted: Any, _schema: Schema) -> Fault | None:
    return check.fault_below((key, key, wanted) for key in value)


def _any_of(check: _Check, value: Any, wanted: Any, _schema: Schema) -> Fault | None:
    faults: list[Fault] = []
    for fault in check.faults(value, wanted):
        if fault is None:
            return None
        faults.append(fault)
    return _nearest(faults, wanted, value)


def _one_of(check: _Check, value: Any, wanted: Any, _schema: Schema) -> Fault | None:
    faults = [fault for fault in check.faults(value, wanted) if fault is not None]
    if len(faults) == len(wanted):
        return _nearest(faults, wanted, value)
    return None if len(faults) == len(wanted) - 1 else Fault("oneOf", wanted, value)


def _all_of(check: _Check, value: Any, wanted: Any, _schema: Schema) -> Fault | None:
    return next(filter(None, check.faults(value, wanted)), None)


def _not(check: _Check, value: Any, wanted: Any, _schema: Schema) -> Fault | None:
    return Fault("not", wanted, value) if check.fault(value, wanted) is None else None


def _nearest(faults: list[Fault], wanted: Any, value: object) -> Fault:
    """Return the fault of the branch that the value was meant for: the one that fits longest; all types where none fits."""
    if all(fault.keyword == "type" and not fault.path for fault in faults):
        return Fault("type", [kind for fault in faults for kind in fault.wanted], value)
    fits = [(len(fault.path), fault.keyword != "type") for fault in faults]
    longest = max(fits)
    return faults[fits.index(longest)] if fits.count(longest) == 1 else Fault("anyOf", wanted, value)


def _if(check: _Check, value: Any, wanted: Any, schema: Schema) -> Fault | None:
    return check.fault(value, schema.get("then" if check.fault(value, wanted) is None else "else", True))


Rule = Callable[[_Check, Any, Any, Schema], "Fault | None"]


def _compared(keyword: str, fits: Callable[[Any, Any], bool]) -> Rule:
    """Return the rule that a value and what the schema wants are compared."""
    return (
        lambda _check, value, wanted, _schema: None if fits(value, wanted) else Fault(keyword, wanted, value)
    )


_SIZES = (("Length", "string"), ("Items", "array"), ("Properties", "object"))
_NOTE: tuple[str, Rule] = ("", lambda *_: None)
_COMPARED: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "const": ("any", _equals),
    "minimum": ("number", operator.ge),
    "maximum": ("number", operator.le),
    "exclusiveMinimum": ("number", operator.gt),
    "exclusiveMaximum": ("number", operator.lt),
    "multipleOf": ("number", _is_multiple),
    **{f"min{what}": (kind, lambda value, wanted: len(value) >= wanted) for what, kind in _SIZES},
    **{f"max{what}": (kind, lambda value, wanted: len(value) <= wanted) for what, kind in _SIZES},
}
# keyword -> of values of which kind it says something (of others nothing), and what; in the order in which faults are told
_RULES: Mapping[str, tuple[str, Rule]] = {
    "$ref": ("any", _reference),
    "type": ("any", _type),
    "enum": ("any", _enum),
    **{keyword: (kind, _compared(keyword, fits)) for keyword, (kind, fits) in _COMPARED.items()},
    "pattern": ("string", _pattern),
    "prefixItems": ("array", _prefix_items),
    "items": ("array", _items),
    "contains": ("array", _contains),
    "uniqueItems": ("array", _unique),
    "required": ("object", _required),
    "dependentRequired": ("object", _dependent_required),
    "properties": ("object", _properties),
    "patternProperties": ("object", _pattern_properties),
    "additionalProperties": ("object", _additional),
    "propertyNames": ("object", _property_names),
    "anyOf": ("any", _any_of),
    "oneOf": ("any", _one_of),
    "allOf": ("any", _all_of),
    "not": ("any", _not),
    "if": ("any", _if),
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
    shape = SHAPES.get(type(value))
    if shape is None:
        return f"<{type(value).__name__}>"
    return _short_container(value, shape, depth)[:120]


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
