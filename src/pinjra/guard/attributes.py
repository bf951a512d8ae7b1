"""Attributes at run time: whose object it is, and what guest code may read and write on it.

An object is the guest's own when its class was made by guest code (`register`), or it is such a class, or a function
over the guest's globals. Everything else is the host's. SECURITY: no question here calls a method of a guest object:
classes are compared by identity, their hash and `__eq__` never run.
"""

from __future__ import annotations

import sys
import types
import typing
import weakref
from collections.abc import Callable, Mapping
from typing import cast

from pinjra.guard.errors import RefusedAttribute
from pinjra.guard.modules import words
from pinjra.guard.policy import UNBINDABLE_ATTRIBUTES, Kind, kind_of

__all__ = ["Attributes", "class_lookup", "exact_name", "is_one", "type_name"]

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE (Include/object.h)
_PLAIN_MODULES = frozenset(["abc", "enum", "contextlib", "collections.abc"])
_PLAIN_CLASSES = (typing.Generic, typing.Protocol)
# SECURITY: these forward attribute loads to another object, so a subclass would read private names of the host's.
_FORWARDING: tuple[type, ...] = (
    super, types.GenericAlias, weakref.ProxyType, weakref.CallableProxyType,
    getattr(typing, "_BaseGenericAlias", types.GenericAlias),
)  # fmt: skip
_CODE_TYPES = (
    types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType, types.MethodWrapperType
)  # fmt: skip
# SECURITY: set between a check and its use, these would change what class patterns and isinstance see.
_CLASS_HOOKS = words("__eq__ __hash__ __getattribute__ __getattr__ __instancecheck__ __subclasscheck__")
_GROUP: tuple[type, ...] = (BaseExceptionGroup,) if sys.version_info >= (3, 11) else ()
_WRITABLE = words("format obj __traceback__ __cause__")
_GROUP_HOOKS = ("split", "__getattribute__", "__getattr__")
_mro = cast("Callable[[object], tuple[type, ...]]", vars(type)["__mro__"].__get__)
_bases = cast("Callable[[object], tuple[type, ...]]", vars(type)["__bases__"].__get__)
_class_dict = cast("Callable[[object], Mapping[str, object]]", vars(type)["__dict__"].__get__)
_flags = cast(Callable[[object], int], vars(type)["__flags__"].__get__)
_name = cast(Callable[[object], str], vars(type)["__name__"].__get__)


def class_lookup(cls: object, name: str) -> object:
    """Return what class `cls` defines under `name`, itself or in a base, without running any hook; None if nothing."""
    for base in _mro(cls):
        found = _class_dict(base).get(name)
        if found is not None:
            return found
    return None


# CPython raises audit events for these, which are refused where they come from a guest's frame.
_WATCHED_WRITES = frozenset(words("__class__ __name__ __qualname__ __doc__ __defaults__ __kwdefaults__"))


class _Written:
    """A guest's object while one of `_WATCHED_WRITES` is set on it: the host sets it."""

    __slots__ = ("_is_guest_type", "_target")

    def __init__(self, target: object, is_guest_type: Callable[[object], bool]) -> None:
        object.__setattr__(self, "_target", target)
        object.__setattr__(self, "_is_guest_type", is_guest_type)

    def __getattribute__(self, name: str) -> object:
        return getattr(object.__getattribute__(self, "_target"), name)

    def __setattr__(self, name: str, value: object) -> None:
        target = object.__getattribute__(self, "_target")
        # SECURITY: a guest's object in a host's class would be that class's, with state of the guest's choice.
        another = name == "__class__" and issubclass(type(value), type) and _flags(value) & _HEAP_TYPE
        if another and not object.__getattribute__(self, "_is_guest_type")(value):
            raise RefusedAttribute("__class__ can be set to a class of your own only")
        setattr(target, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(object.__getattribute__(self, "_target"), name)


class Attributes:
    """The registry of one interpreter's guest classes, and the guards that ask it.

    `fast` holds the classes whose instances need no further question: hashed by identity, and with no host class
    among their bases that has private names of its own.
    """

    def __init__(self, namespace: dict[str, object], is_proxy: Callable[[object], bool]) -> None:
        self._namespace = namespace
        self._is_proxy = is_proxy
        self._guests: dict[int, type] = {}
        self.fast: set[type] = set()
        self.special: Callable[[object, str], object] = lambda obj, name: getattr(obj, name)

    # --- whose object

    def register(self, cls: object) -> None:
        """Take a class as the guest's own.

        Raises:
            RefusedAttribute: Its `__match_args__` would read attributes that are not public.
        """
        if not issubclass(type(cls), type):
            return
        kind = cast(type, cls)
        self.check_match_args(kind)
        meta = type(kind)
        # SECURITY: a metaclass with its own hash could make a host class look like a member of the set.
        if issubclass(kind, _FORWARDING):
            raise RefusedAttribute(f"a class may not derive from {type_name(_mro(kind)[1])}")
        if issubclass(kind, type) and class_lookup(kind, "__hash__") is not object.__dict__["__hash__"]:
            raise RefusedAttribute("a metaclass may not define __eq__ or __hash__", "define them in a class")
        group = issubclass(kind, _GROUP)
        if group and any(self.is_guest(class_lookup(kind, name)) for name in _GROUP_HOOKS):
            # SECURITY: CPython before 3.12.9 crashes when `except*` gets no pair from split().
            raise RefusedAttribute("a subclass of ExceptionGroup may not define split(); define derive()")
        self._guests[id(kind)] = kind
        # SECURITY: an instance of a metaclass is a class, which inherits private names of its host bases.
        plain = (
            not group
            and not issubclass(kind, type)
            and class_lookup(meta, "__hash__") is object.__dict__["__hash__"]
        )
        if plain and all(base in self.fast or self._is_plain_base(base) for base in _bases(kind)):
            self.fast.add(kind)

    def _is_plain_base(self, base: type) -> bool:
        if id(base) in self._guests:
            return base in self.fast
        if not _flags(base) & _HEAP_TYPE:
            return True
        plain = (
            any(base is one for one in _PLAIN_CLASSES)
            or _class_dict(base).get("__module__") in _PLAIN_MODULES
        )
        return plain and not issubclass(base, type)

    def is_guest_type(self, cls: object) -> bool:
        """Return whether a class was made by or for guest code."""
        if id(cls) in self._guests:
            return True
        if not issubclass(type(cls), type):
            return False
        # A class in the making is not registered yet: its guest metaclass, or guest base, tells.
        return id(type(cls)) in self._guests or any(id(base) in self._guests for base in _mro(cls) or ())

    def is_guest(self, obj: object) -> bool:
        """Return whether `obj` is the guest's class, function or method, or an instance of its class."""
        kind = type(obj)
        if kind is types.FunctionType:
            return cast(types.FunctionType, obj).__globals__ is self._namespace
        if kind is types.MethodType:
            return self.is_guest(cast(types.MethodType, obj).__func__)
        return id(kind) in self._guests or self.is_guest_type(obj)

    def _is_own(self, obj: object, name: str) -> bool:
        """Return whether private `name` of `obj` is the guest's: not one that a host class among its bases keeps."""
        if not self.is_guest(obj):
            return False
        kind = type(obj)
        if is_one(kind, (types.FunctionType, types.MethodType)) or (
            kind in self.fast and id(obj) not in self._guests
        ):
            return True
        bases = (*_mro(kind), *(_mro(obj) if id(obj) in self._guests else ()))
        return not any(
            name in _class_dict(base)
            for base in bases
            if id(base) not in self._guests and not self._is_plain_base(base)
        )

    # --- reading

    def private(self, obj: object, name: str) -> object:
        """Return `obj` when its private `name` may be read."""
        if type(obj) is super:
            owner = object.__getattribute__(obj, "__self__")
            if self._is_own(owner, name):
                return obj
        elif self._is_own(obj, name):
            return obj
        raise RefusedAttribute(
            f"attribute {name!r} of {_describe(obj)} is private",
            "use the object's public attributes and methods",
        )

    def getattr(self, obj: object, name: object, *default: object) -> object:
        """Return `getattr(obj, name, *default)` under the policy."""
        text = exact_name(name)
        kind = kind_of(text)
        if kind is Kind.PUBLIC:
            return getattr(obj, text, *default)
        if kind is Kind.DENIED:
            raise RefusedAttribute(f"attribute {text!r} is not available", "use its public attributes")
        try:
            if kind is Kind.SPECIAL:
                return self.special(obj, text)
            return getattr(self.private(obj, text), text)
        except RefusedAttribute:
            raise
        except AttributeError:
            if not default:
                raise
            return default[0]

    def hasattr(self, obj: object, name: object) -> bool:
        """Return whether the attribute is there and may be read."""
        try:
            self.getattr(obj, name)
        except AttributeError:
            return False
        return True

    # --- writing

    def writable(self, obj: object, name: str) -> object:
        """Return `obj` when its attribute `name` may be set or deleted."""
        kind = kind_of(name)
        kind_of_group = cast(type, obj) if issubclass(type(obj), type) else type(obj)
        if name in _GROUP_HOOKS and issubclass(kind_of_group, _GROUP):
            raise RefusedAttribute(f"attribute {name!r} of an exception group cannot be changed")
        is_class = issubclass(type(obj), type)
        if name in ("__class__", "__bases__") and is_class:
            raise RefusedAttribute(f"attribute {name!r} of a class cannot be changed")
        if name in _CLASS_HOOKS and is_class and issubclass(cast(type, obj), type):
            raise RefusedAttribute(f"attribute {name!r} of a metaclass can be set in a class statement only")
        if name in UNBINDABLE_ATTRIBUTES and issubclass(type(obj), type):
            raise RefusedAttribute(f"attribute {name!r} can be set in a class statement only")
        if self.is_guest(obj):
            if kind is Kind.DENIED or (name == "__dict__" and issubclass(type(obj), type)):
                raise RefusedAttribute(f"attribute {name!r} cannot be set")
            if name in _WATCHED_WRITES:
                return _Written(obj, self.is_guest_type)
            if kind is not Kind.PRIVATE or name[:2] == "__" or self._is_own(obj, name):
                return obj
        elif (kind is Kind.PUBLIC and name[:2] != "__") or name in _WRITABLE:
            host_code = is_one(type(obj), _CODE_TYPES) or issubclass(type(obj), (type, types.ModuleType))
            if not host_code and not self._is_proxy(obj):
                return obj
        elif name in ("__notes__", "__context__", "__suppress_context__") and issubclass(
            type(obj), BaseException
        ):
            return obj
        hint = "work on a copy, or define a class or function of your own"
        raise RefusedAttribute(f"attribute {name!r} of {_describe(obj)} cannot be changed by a guest", hint)

    def setattr(self, obj: object, name: object, value: object) -> None:
        """Do `setattr(obj, name, value)` under the policy."""
        text = exact_name(name)
        setattr(self.writable(obj, text), text, value)

    def delattr(self, obj: object, name: object) -> None:
        """Do `delattr(obj, name)` under the policy."""
        text = exact_name(name)
        delattr(self.writable(obj, text), text)

    # --- match

    def check_match_args(self, cls: object) -> None:
        """Refuse a class whose positional patterns would read attributes that are not public."""
        names = class_lookup(cls, "__match_args__") if issubclass(type(cls), type) else ()
        if names is None:
            return
        good = type(names) is tuple and all(type(n) is str and kind_of(n) is not Kind.DENIED for n in names)
        private = good and any(kind_of(n) is not Kind.PUBLIC for n in cast("tuple[str, ...]", names))
        if not good or (private and not self._is_honest(cast(type, cls))):
            raise RefusedAttribute("__match_args__ must be a tuple of public attribute names")

    def _is_honest(self, cls: type) -> bool:
        """Return whether only real instances of `cls` match it, so that private names in a pattern are the guest's."""
        return type(cls) is type

    def match_guard(self, cls: object) -> object:
        """Return the class of a positional pattern, checked just before it is matched; what is no class, as it is."""
        if not issubclass(type(cls), type):
            return False if cls is None else cls
        self.check_match_args(cls)
        meta = type(cls)
        # SECURITY: a metaclass that computes `__match_args__` could answer differently after the check.
        hooks = ("__getattribute__", "__getattr__", "__match_args__", "__instancecheck__")
        if id(meta) in self._guests and any(_defined_by_guest(meta, name) for name in hooks):
            raise RefusedAttribute("a positional pattern needs a class whose metaclass has no hooks")
        return cls


def _defined_by_guest(meta: type, name: str) -> bool:
    found = class_lookup(meta, name)
    return found is not None and found is not vars(type).get(name)


def is_one(kind: type, kinds: tuple[type, ...]) -> bool:
    """Return whether `kind` is one of `kinds`, by identity: `in` would ask a guest metaclass's `__eq__`."""
    return any(kind is one for one in kinds)


def exact_name(name: object) -> str:
    """Return an attribute name as an exact str, whatever methods a subclass of str has."""
    if type(name) is str:
        return name
    if issubclass(type(name), str):
        return str.__str__(cast(str, name))
    raise TypeError(f"attribute name must be string, not '{type(name).__name__}'")


def type_name(cls: type) -> str:
    """Return the name of a class without asking its metaclass."""
    return _name(cls)


def _describe(obj: object) -> str:
    if issubclass(type(obj), type):
        return f"class {_name(obj)!r}"
    return f"a {type_name(type(obj))!r} object"
