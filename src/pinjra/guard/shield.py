"""Guest class -> the same class, with nothing at the names by which native libraries take memory addresses.

An array library that converts an object asks it for `__array_interface__` and reads, or writes, at the address in the answer.
Source cannot spell the name, but an instance's `__dict__` and a `__getattr__` of the guest's own could answer to it. So, where
libraries are authorised in the host's process, every guest class gets a data descriptor there (it wins over the instance's
namespace) and its attribute hooks are not asked.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import cast

from pinjra.guard.errors import RefusedAttribute

__all__ = ["MEMORY", "class_dict", "class_order", "shield", "without_memory"]

MEMORY = frozenset(["__array_interface__", "__array_struct__", "__cuda_array_interface__"])


class _Absent:
    """A data descriptor for an attribute that is never there."""

    def __get__(self, instance: object, owner: type | None = None) -> object:
        raise AttributeError("not available here")

    def __set__(self, instance: object, value: object) -> None:
        raise AttributeError("not available here")


_ABSENT = _Absent()


def shield(cls: type) -> None:
    """Keep a guest's class, and its instances, from handing memory addresses to native code.

    Raises:
        RefusedAttribute: An attribute hook is neither a plain function nor a host's own.
    """
    space = class_dict(cls)
    # A shielded metaclass would take the assignment for its own: it steps aside.
    metas = [m for m in class_order(type(cls)) if class_dict(m).get("__array_struct__") is _ABSENT]
    for name in MEMORY:
        for meta in metas:
            type.__delattr__(meta, name)
        type.__setattr__(cls, name, _ABSENT)
        for meta in metas:
            type.__setattr__(meta, name, _ABSENT)
    for name in ("__getattr__", "__getattribute__"):
        hook = space.get(name)
        if type(hook) is types.FunctionType:
            if hook.__globals__ is not globals():
                type.__setattr__(cls, name, without_memory(hook))
        elif hook is not None and type(hook) is not types.WrapperDescriptorType:
            raise RefusedAttribute(f"{name} must be a plain function here")


def class_dict(cls: type) -> Mapping[str, object]:
    """Return a class's own namespace, without asking its metaclass."""
    return cast("Mapping[str, object]", vars(type)["__dict__"].__get__(cls))


def class_order(cls: type) -> tuple[type, ...]:
    """Return a class's method resolution order, without asking its metaclass."""
    return cast("tuple[type, ...]", vars(type)["__mro__"].__get__(cls))


def without_memory(hook: Callable[[object, str], object]) -> Callable[[object, str], object]:
    """Return an attribute hook of a guest's that is not asked for memory."""

    def ask(self: object, name: str) -> object:
        # SECURITY: the address would be read and written by native code.
        if name in MEMORY:
            raise AttributeError(name)
        return hook(self, name)

    ask.__name__ = ask.__qualname__ = hook.__name__
    return ask
