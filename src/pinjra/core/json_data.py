"""Any value -> JSON that every reader takes: the one encoder for saved runs, audit lines, the command line and MCP.

What JSON cannot hold becomes {"type", "repr"}; NaN and the infinities become their names, because JSON has no word for them;
half characters are written out. Secrets are masked, in keys too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from pinjra.core.redaction import redactor, shortened, without_key_lines
from pinjra.core.value_text import LONGEST_NUMBER_BITS, Room, encodable, text_of
from pinjra.core.values import NamedItems, Opaque

__all__ = ["encodable", "encodable_data", "json_text", "plain", "text_of"]

_DEPTH = 20  # nesting of values; deeper ones are described
_LONGEST_REPR = 2_000  # characters of a description
_REPRS_COST = 1 << 24  # of all descriptions in one value, as `Room` has it


def json_text(value: object) -> str:
    """Return `value` as JSON text in ASCII: nothing in it can steer a terminal, and every stream can carry it."""
    return json.dumps(plain(value), allow_nan=False)


def plain(value: object, depth: int = _DEPTH) -> object:
    """Return `value` as JSON data; what JSON cannot hold becomes {"type", "repr"}."""
    return _plain(value, depth, redactor(), Room(_REPRS_COST))


def _plain(value: object, depth: int, mask: Callable[[str], str], room: Room) -> object:
    if value is None or type(value) is bool:
        return value
    if type(value) is int and value.bit_length() <= LONGEST_NUMBER_BITS:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else str(value).replace("inf", "Infinity").replace("nan", "NaN")
    if type(value) is str:
        return mask(encodable(value))
    if depth > 0 and isinstance(value, list | tuple) and type(value) in (list, tuple, NamedItems):
        return [_plain(item, depth - 1, mask, room) for item in without_key_lines(value)]
    if depth > 0 and isinstance(value, dict) and all(type(key) is str for key in value):
        made: dict[str, object] = {}
        for key, item in value.items():
            name = mask(encodable(key))
            # two keys that are secrets are two
            made[f"{name} {len(made) + 1}" if name in made else name] = _plain(item, depth - 1, mask, room)
        return made
    if isinstance(value, Opaque):
        return {"type": mask(encodable(value.type)), "repr": mask(encodable(value.repr))}
    described = shortened(text_of(value, room), _LONGEST_REPR)
    return {"type": mask(encodable(type(value).__name__)), "repr": described}


def encodable_data(value: object) -> object:
    """Return data of texts, lists and dicts whose every text UTF-8 can hold."""
    if isinstance(value, str):
        return encodable(value)
    if type(value) is list:
        return [encodable_data(item) for item in value]
    if type(value) is dict:
        return {encodable_data(key): encodable_data(item) for key, item in value.items()}
    return value
