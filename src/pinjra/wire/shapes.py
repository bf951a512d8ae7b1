"""Messages <-> JSON fields, strictly, by a table built once from the dataclasses' own annotations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields

from pinjra.core.errors import ProtocolViolation
from pinjra.wire.frames import glimpse
from pinjra.wire.messages import (
    Ack,
    Answer,
    Bound,
    Call,
    Captured,
    Close,
    Display,
    Done,
    Execute,
    Failed,
    FileData,
    FileList,
    Finished,
    Fork,
    Forked,
    GetFile,
    GrantTools,
    Hello,
    Init,
    Interrupt,
    Kill,
    ListFiles,
    Lost,
    Message,
    Output,
    Ping,
    Pong,
    PutFile,
    Reset,
    Resume,
    SetVariables,
    Started,
)

__all__ = ["FROM_GUEST", "FROM_SUPERVISOR", "TO_GUEST", "TO_SUPERVISOR", "Kinds", "from_fields", "to_fields"]

Kinds = Mapping[str, type[Message]]


def _kinds(*classes: type[Message]) -> Kinds:
    return {cls.__name__: cls for cls in classes}


TO_SUPERVISOR = _kinds(
    Init, Interrupt, Kill, PutFile, GetFile, ListFiles, Reset, Fork, Ping, Resume, Ack, Close
)  # fmt: skip
FROM_SUPERVISOR = _kinds(
    Hello, Started, Captured, Lost, FileData, FileList, Done, Failed, Forked, Pong, Ack
)  # fmt: skip
TO_GUEST = _kinds(GrantTools, SetVariables, Execute, Answer)
FROM_GUEST = _kinds(Bound, Output, Display, Call, Finished)

Check = Callable[[object], bool]


def _is_int(value: object) -> bool:
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def _is_number(value: object) -> bool:
    return _is_int(value) or (type(value) is float and math.isfinite(value))


def _is_str(value: object) -> bool:
    return type(value) is str


def _is_bool(value: object) -> bool:
    return type(value) is bool


def _optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _dict_of(check: Check) -> Check:
    return lambda value: type(value) is dict and all(map(check, value.values()))


def _is_texts(value: object) -> bool:
    return type(value) is list and all(map(_is_str, value))


_CHECKS: Mapping[str, Check] = {
    "int": _is_int,
    "float": _is_number,
    "str": _is_str,
    "bool": _is_bool,
    "Value": lambda _value: True,
    "tuple[str, ...]": _is_texts,
    "dict[str, int]": _dict_of(_is_int),
    "dict[str, int | float | None]": _dict_of(_optional(_is_number)),
    "dict[str, dict[str, str | bool]]": _dict_of(_dict_of(lambda v: _is_str(v) or _is_bool(v))),
    "float | None": _optional(_is_number),
    "int | None": _optional(_is_int),
    "dict[str, str | int | bool | None] | None": _optional(
        _dict_of(_optional(lambda v: _is_str(v) or _is_int(v) or _is_bool(v)))
    ),
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """What `to_fields` and `from_fields` need to know of one message class."""

    checks: Mapping[str, Check]
    tuples: frozenset[str]
    required: frozenset[str]
    defaults: Mapping[str, object]


def _shape(cls: type[Message]) -> _Shape:
    own = [f for f in fields(cls) if f.name != "blobs"]
    return _Shape(
        checks={f.name: _CHECKS[str(f.type)] for f in own},
        tuples=frozenset(f.name for f in own if f.type == "tuple[str, ...]"),
        required=frozenset(f.name for f in own if f.default is MISSING),
        defaults={f.name: f.default for f in own},
    )


_SHAPES: Mapping[type[Message], _Shape] = {
    cls: _shape(cls)
    for table in (TO_SUPERVISOR, FROM_SUPERVISOR, TO_GUEST, FROM_GUEST)
    for cls in table.values()
}


def to_fields(message: Message) -> dict[str, object]:
    """Return the fields of `message` for JSON, without its blobs and without what has its default."""
    found: dict[str, object] = {}
    for name, default in _SHAPES[type(message)].defaults.items():
        value: object = getattr(message, name)
        if value is not default:
            found[name] = value
    return found


def from_fields(kind: str, tree: object, blobs: tuple[bytes, ...], kinds: Kinds) -> Message:
    """Return the message that `tree` spells.

    Raises:
        ProtocolViolation: Unknown kind or field, missing field, wrong type (the worker's fault).
    """
    cls = kinds.get(kind)
    if cls is None:
        raise ProtocolViolation(f"unknown message {glimpse(kind, 60)} on this lane")
    if type(tree) is not dict:
        raise ProtocolViolation(f"{kind}: fields are {type(tree).__name__}, not an object")
    shape = _SHAPES[cls]
    if not shape.required <= tree.keys():
        raise ProtocolViolation(f"{kind}: field {min(shape.required - tree.keys())!r} is missing")
    for name, value in tree.items():
        check = shape.checks.get(name)
        if check is None:
            raise ProtocolViolation(f"{kind}: unknown field {glimpse(name, 60)}")
        if not check(value):
            raise ProtocolViolation(f"{kind}: field {name!r} has a wrong value {glimpse(value, 60)}")
        if name in shape.tuples:
            tree[name] = tuple(value)
    return cls(**tree, blobs=blobs)
