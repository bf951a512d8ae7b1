"""Calls that make classes -> the same classes, shielded before any code of theirs runs.

Where libraries are authorised in the host's process, a class must not hand memory addresses to native code (see `shield`). A
class statement is seen by the guard, but a class is also what a metaclass returns, under whatever name it was called, and code
of its bases (`__init_subclass__`, `__set_name__`) runs before it is returned. So the namespace is shielded on its way in.
"""

from __future__ import annotations

import abc
import builtins
import contextlib
import enum
import functools
import itertools
import types
from collections.abc import Callable, Mapping
from typing import cast

from pinjra.guard.errors import RefusedAttribute
from pinjra.guard.shield import MEMORY, class_order, without_memory

__all__ = ["Births"]

_HOOKS = ("__getattr__", "__getattribute__")
_WRAPPERS = (types.BuiltinMethodType, types.MethodWrapperType, types.MethodType)
# They call what they are given, later, from C.
_TAKERS = (
    functools.partial,
    functools.partialmethod,
    types.MethodType,
    map,
    itertools.starmap,
    functools.reduce,
)
_TAKER_NAMES = {"partial", "partialmethod", "method", "map", "starmap", "reduce", "call", "callback"}
_TAKER_NAMES |= {"call_soon", "call_later", "call_at", "call_soon_threadsafe", "run_in_executor", "to_thread"}
_NAME_DEPTH = 4
_BIRTH = "$birth"
_PLAIN_METAS = (type, abc.ABCMeta)


# Methods of these make no classes and call nothing with more than one argument: most calls that are watched.
_PLAIN = frozenset([dict, list, str, set, tuple, int, float, bytes, bytearray])


class Births:
    """The watch over one interpreter's classes.

    Args:
        register: Takes a new class as the guest's own.
        namespace: The guest's globals: what its own functions are told by.
        shields: Native libraries share the process.
    """

    def __init__(
        self, register: Callable[[type], None], namespace: dict[str, object], *, shields: bool = True
    ) -> None:
        self._register = register
        self._namespace = namespace
        self._shields = shields

    def watch(self) -> Callable[[Callable[..., object]], Callable[..., object]]:
        """Return what takes a function that is about to be called, and returns it, or what does the same and shields.

        A closure: it runs before every call with several arguments whose function is looked up in an object.
        """
        namespace, slow = self._namespace, self._watched
        # SECURITY: classes whose metaclass is `type` and functions of modules only: these are hashed by identity.
        known: set[object] = set()

        def watched(function: Callable[..., object]) -> Callable[..., object]:
            kind = type(function)
            if kind is types.MethodType:
                inner = function.__func__  # type: ignore[attr-defined]
                if type(inner) is types.FunctionType and inner.__globals__ is namespace:
                    return function  # the guest's own: what it calls is watched in its own code
            elif kind is types.BuiltinMethodType:
                owner = type(function.__self__)  # type: ignore[attr-defined]
                if owner in _PLAIN:
                    return function
                if owner is types.ModuleType:
                    if function in known:
                        return function
                    if slow(function) is function:
                        known.add(function)
            elif kind is type:
                if function in known:
                    return function
                if slow(function) is function:
                    known.add(function)
            elif kind is types.FunctionType and function.__globals__ is namespace:
                return function
            return slow(function)

        return watched

    def _watched(self, function: Callable[..., object]) -> Callable[..., object]:
        if _makes_classes(function):
            return lambda *args, **kwargs: self.make(function, args, kwargs)
        if issubclass(type(function), enum.EnumMeta):
            named = cast(Callable[..., "dict[str, object]"], _named)
            return lambda *args, **kwargs: function(*named(args), **named(kwargs))
        if _is_taker(function):
            return lambda *args, **kwargs: function(*_no_maker(args, _least(function)), **kwargs)
        return function

    def make(
        self, function: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        """Return the class that `function` makes of a name, bases and a namespace."""
        ready = tuple(_shielded(arg) if issubclass(type(arg), dict) else arg for arg in args)
        made = function(*ready, **kwargs)
        if issubclass(type(made), type) and any(issubclass(type(arg), dict) for arg in args):
            self._register(cast(type, made))
        return made

    def build(self, body: Callable[..., object], name: str, *bases: object, **keywords: object) -> object:
        """Do a class statement."""
        explicit = {key: keywords[key] for key in ("metaclass",) if key in keywords}
        chosen: list[Callable[..., object]] = []

        def make(name: str, bases: tuple[type, ...], space: dict[str, object], **options: object) -> object:
            ready = _shielded(space) if self._shields else space
            if any(chosen[0] is plain for plain in _PLAIN_METAS):
                ready = {_BIRTH: _Birth(self._register), **cast("dict[str, object]", ready)}
            return chosen[0](name, bases, ready, **options)

        def prepare(name: str, bases: tuple[type, ...], **options: object) -> object:
            meta, space, _ = types.prepare_class(name, bases, {**explicit, **options})
            chosen.append(meta)
            return space

        make.__prepare__ = prepare  # type: ignore[attr-defined]
        return builtins.__build_class__(body, name, *bases, **{**keywords, "metaclass": make})


class _Birth:
    """Registers a class as soon as it is there: before `__set_name__` and `__init_subclass__` of the guest see it."""

    def __init__(self, register: Callable[[type], None]) -> None:
        self._register = register

    def __set_name__(self, owner: type, name: str) -> None:
        type.__delattr__(owner, name)
        # What is refused is refused once the class is made: CPython before 3.12 wraps what is raised here.
        with contextlib.suppress(RefusedAttribute):
            self._register(owner)


def _makes_classes(function: object) -> bool:
    kind = type(function)
    if issubclass(kind, type):
        return issubclass(cast(type, function), type)
    if any(kind is one for one in _WRAPPERS):
        behind = object.__getattribute__(function, "__self__")
        return issubclass(type(behind), type) and issubclass(cast(type, behind), type)
    if kind is types.FunctionType:
        return cast(types.FunctionType, function).__name__ in ("__new__", "__call__")
    return kind is types.WrapperDescriptorType and function is type.__call__


def _is_taker(function: object) -> bool:
    kind = type(function)
    if issubclass(kind, type):
        return any(base is taker for base in class_order(cast(type, function)) for taker in _TAKERS)
    if kind is types.MethodType:
        function = cast(types.MethodType, function).__func__
    functions = (types.FunctionType, types.BuiltinFunctionType)
    name = getattr(function, "__name__", None) if any(type(function) is one for one in functions) else None
    return type(name) is str and name in _TAKER_NAMES


def _least(function: object) -> int:
    """Return from how many arguments on a class maker among them could be given a namespace."""
    return 4 if function is map or getattr(function, "__name__", "") == "map" else 2


def _no_maker(args: tuple[object, ...], least: int) -> tuple[object, ...]:
    if len(args) >= least and any(_makes_classes(arg) for arg in args):
        raise RefusedAttribute("a metaclass is not handed on here", "call it, or write a class statement")
    return args


def _shielded(space: object) -> object:
    """Return a namespace for a class, without names that lead to memory and with its attribute hooks tamed."""
    plain = (
        dict(cast("dict[object, object]", space))
        if type(space) is dict
        else cast("dict[object, object]", space)
    )
    for key, value in list(dict.items(plain)):
        if not issubclass(type(key), str):
            continue
        name = str.__str__(cast(str, key))
        if name in MEMORY:
            raise RefusedAttribute(f"attribute {name!r} is not available here")
        if name in _HOOKS and type(value) is types.FunctionType:
            dict.__setitem__(plain, key, without_memory(value))
    return plain


def _named(value: object, depth: int = 0) -> tuple[object, ...]:
    """Return what names members, refused where a name leads to memory."""
    if issubclass(type(value), str):
        if any(name in str.__str__(cast(str, value)) for name in MEMORY):
            raise RefusedAttribute("this name is not available here")
    elif type(value) in (list, tuple, dict) and depth < _NAME_DEPTH:
        for item in cast("list[object]", value):
            _named(item, depth + 1)
    return cast("tuple[object, ...]", value)
