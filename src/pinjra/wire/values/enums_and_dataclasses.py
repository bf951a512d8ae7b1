"""Enum members, named tuples, instances of dataclasses, pydantic's and attrs' classes -> trees; no method of theirs is called."""

from __future__ import annotations

import enum
from collections.abc import Callable
from types import GetSetDescriptorType, MappingProxyType, MemberDescriptorType

from pinjra.wire.messages import Value
from pinjra.wire.values.builtins import encode_named
from pinjra.wire.values.coding import TYPE, BaseTest, Encoder, inherits, mro, type_name

_CLASS_DICT: Callable[[type], MappingProxyType[str, object]] = TYPE["__dict__"].__get__


def _having(*marks: str) -> Callable[[type], bool]:
    """Return a test for classes, or descendants of such, that have one of these names."""
    return lambda cls: any(mark in _CLASS_DICT(parent) for parent in mro(cls) for mark in marks)


def _nearest(cls: type, name: str) -> object:
    """Return what the class, or else its nearest ancestor, has under a name; None where none has it."""
    return next((found for parent in mro(cls) if (found := _CLASS_DICT(parent).get(name)) is not None), None)


def _attributes(value: object) -> dict[str, object]:
    """Return the instance's own attributes and slots, read by the interpreter's own descriptors only."""
    found: dict[str, object] = {}
    for parent in reversed(mro(type(value))):
        for name, member in _CLASS_DICT(parent).items():
            if type(name) is not str:
                continue
            if type(member) is MemberDescriptorType:
                try:
                    found[name] = member.__get__(value)
                except AttributeError:  # an empty slot
                    continue
            elif name == "__dict__" and type(member) is GetSetDescriptorType:
                found.update(_own(member.__get__(value)))
    return found


def _own(attributes: object) -> dict[str, object]:
    if not isinstance(attributes, dict):
        return {}
    # SECURITY: the guest may have put a dict subclass, and keys with an __eq__ of their own, in the instance's place.
    return {name: item for name, item in dict.items(attributes) if type(name) is str}


def _enum(encoder: Encoder, value: object, depth: int) -> Value:
    own = _attributes(value)
    return encoder.record(value, [("name", own.get("_name_")), ("value", own.get("_value_"))], depth)


def _dataclass(encoder: Encoder, value: object, depth: int) -> Value:
    own = _attributes(value)
    names = _nearest(type(value), "__dataclass_fields__")
    if type(names) is not dict:
        return encoder.opaque(value)
    return encoder.record(value, [(n, own[n]) for n in names if type(n) is str and n in own], depth)


def _model(encoder: Encoder, value: object, depth: int) -> Value:
    own = _attributes(value)
    own.update(_own(own.get("__pydantic_extra__")))
    return encoder.record(value, [(name, own[name]) for name in own if not name.startswith("_")], depth)


def _named_tuple(encoder: Encoder, value: tuple[object, ...], depth: int) -> Value:
    fields = _nearest(type(value), "_fields")
    names = fields if type(fields) is tuple else ()
    return encode_named(encoder, type_name(type(value)), names, value, depth)


BASE_TESTS: list[BaseTest] = [
    (lambda cls: inherits(cls, enum.Enum), _enum),
    (_having("__dataclass_fields__"), _dataclass),
    (_having("__pydantic_core_schema__", "__attrs_attrs__"), _model),
    (lambda cls: inherits(cls, tuple) and type(_nearest(cls, "_fields")) is tuple, _named_tuple),
]
