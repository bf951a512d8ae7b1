"""Any value -> JSON that every reader takes: the one encoder for saved runs, audit lines, the command line and MCP.

What JSON cannot hold becomes {"type", "repr"}; NaN and the infinities become their names, because JSON has no word for them;
half characters are written out. Secrets are masked, in keys too.
"""

from __future__ import annotations

import json
import math

from pinjra.core.redaction import redact, shortened
from pinjra.core.values import NamedItems, Opaque

__all__ = ["encodable", "encodable_data", "json_text", "plain", "text_of"]

_DEPTH = 20  # nesting of values; deeper ones are described
_LONGEST_REPR = 2_000  # characters of a description
_LONGEST_NUMBER_BITS = 10_000  # an integer of more bits has more digits than Python turns into text


def json_text(value: object, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """Return `value` as JSON text in ASCII: nothing in it can steer a terminal, and every stream can carry it."""
    return json.dumps(plain(value), indent=indent, sort_keys=sort_keys, allow_nan=False)


def plain(value: object, depth: int = _DEPTH) -> object:
    """Return `value` as JSON data; what JSON cannot hold becomes {"type", "repr"}."""
    if value is None or type(value) is bool:
        return value
    if type(value) is int and value.bit_length() <= _LONGEST_NUMBER_BITS:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else str(value).replace("inf", "Infinity").replace("nan", "NaN")
    if type(value) is str:
        return redact(encodable(value))
    if depth > 0 and isinstance(value, list | tuple) and type(value) in (list, tuple, NamedItems):
        return [plain(item, depth - 1) for item in value]
    if depth > 0 and isinstance(value, dict) and all(type(key) is str for key in value):
        return {redact(encodable(key)): plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, Opaque):
        return {"type": value.type, "repr": redact(encodable(value.repr))}
    return {"type": type(value).__name__, "repr": shortened(text_of(value), _LONGEST_REPR)}


def text_of(value: object) -> str:
    """Return the repr of a value; never raises, whatever its class does."""
    if type(value) is int and value.bit_length() > _LONGEST_NUMBER_BITS:
        return hex(value)  # Python refuses more than 4,300 decimal digits, because they cost quadratic time
    try:
        return encodable(repr(value))
    except Exception as error:  # a class's own __repr__ may do anything
        return f"<{type(value).__name__}: its repr raised {type(error).__name__}>"


def encodable(text: str) -> str:
    """Return text that UTF-8 can hold: half characters (lone surrogates) are written as Python writes them, `\\ud800`."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text


def encodable_data(value: object) -> object:
    """Return data of texts, lists and dicts whose every text UTF-8 can hold."""
    if isinstance(value, str):
        return encodable(value)
    if type(value) is list:
        return [encodable_data(item) for item in value]
    if type(value) is dict:
        return {encodable_data(key): encodable_data(item) for key, item in value.items()}
    return value
