"""Stand-ins for copy and types: what reads and sets attributes by names that objects bring along."""

from __future__ import annotations

import builtins
import copy
import operator
import reprlib
import types
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from pinjra.guard.errors import RefusedOperation
from pinjra.guard.replacements import check_own_name, named

if TYPE_CHECKING:
    from pinjra.guard.replacements import Factory, Session, StandIns

__all__ = ["FACTORIES", "is_guest_function"]

_ATOMIC = (
    type(None), int, float, bool, complex, str, bytes, type, range, slice, property, type(...), type(NotImplemented),
    types.FunctionType, types.BuiltinFunctionType,
)  # fmt: skip


def is_guest_function(function: object) -> bool:
    """Return whether a plain function was made by guest code: those run with the guarded builtins."""
    return type(function) is types.FunctionType and getattr(function, "__builtins__", None) is not vars(
        builtins
    )


class _Copier:
    """copy and deepcopy with CPython's results, but state is only ever set on an object of the copied object's own class."""

    def __init__(self, session: Session) -> None:
        self.services = session.services

    def copy(self, x: object) -> object:
        cls = type(x)
        if cls in _ATOMIC or issubclass(cls, type):
            return x
        if not self.services.is_guest_type(cls):
            return self._foreign(x, None)
        hook = getattr(cls, "__copy__", None)
        return hook(x) if hook is not None else self._rebuild(x, None)

    def deepcopy(self, x: object, memo: object = None, _nil: object = None) -> object:
        memory: dict[int, object] = memo if type(memo) is dict else {}
        cls = type(x)
        if (cls in _ATOMIC and cls is not slice) or issubclass(cls, type):
            return x
        if id(x) in memory:
            return memory[id(x)]
        made = self._deep(x, cls, memory)
        if made is not x:
            memory[id(x)] = made
            kept = memory.setdefault(id(memory), [])
            if type(kept) is list:
                kept.append(x)
        return made

    def _deep(self, x: object, cls: type, memo: dict[int, object]) -> object:
        if cls is list:
            made: list[object] = []
            memo[id(x)] = made
            made.extend(self.deepcopy(item, memo) for item in cast("list[object]", x))
            return made
        if cls is tuple:
            items = tuple(self.deepcopy(item, memo) for item in cast("tuple[object, ...]", x))
            same = all(map(operator.is_, items, cast("tuple[object, ...]", x)))
            return memo.get(id(x), x if same else items)
        if cls is dict:
            table: dict[object, object] = {}
            memo[id(x)] = table
            for key, value in cast("dict[object, object]", x).items():
                table[self.deepcopy(key, memo)] = self.deepcopy(value, memo)
            return table
        if cls is types.MethodType:
            method = cast(types.MethodType, x)
            return types.MethodType(method.__func__, self.deepcopy(method.__self__, memo))
        if not self.services.is_guest_type(cls):
            return self._foreign(x, memo)
        hook = getattr(cls, "__deepcopy__", None)
        return hook(x, memo) if hook is not None else self._rebuild(x, memo)

    def _foreign(self, x: object, memo: dict[int, object] | None) -> object:
        """Copy an instance of a host class: its own hook, or what its reduction says, with our copies inside."""
        cls = type(x)
        hook = getattr(cls, "__copy__" if memo is None else "__deepcopy__", None)
        if hook is not None:
            if memo is not None and getattr(getattr(x, "dtype", None), "hasobject", False) is True:
                raise RefusedOperation("deepcopy of an array of objects is refused", "copy them one by one")
            return hook(x) if memo is None else hook(x, memo)
        if memo is None and cls in (tuple, frozenset):
            return x
        if memo is None and cls in (list, dict, set, bytearray):
            return cast("list[object]", x).copy()
        return self._rebuild(x, memo)

    def _rebuild(self, x: object, memo: dict[int, object] | None) -> object:
        """Make another object of x's class as its reduction says."""
        reduced = cast(Callable[..., object], type(x).__reduce_ex__)(x, 4)
        if type(reduced) is str:
            return x
        if type(reduced) is not tuple or not 2 <= len(reduced) <= 5:
            raise TypeError(f"__reduce_ex__ of {type(x).__name__} must return a str or tuple of 2 to 5 items")
        return self._apply(x, reduced, memo)

    def _apply(self, x: object, reduced: tuple[object, ...], memo: dict[int, object] | None) -> object:
        deep = memo is not None
        make = cast(Callable[..., object], reduced[0])
        args = cast("tuple[object, ...]", reduced[1])
        if deep:
            args = tuple(self.deepcopy(arg, memo) for arg in args)
        made = make(*args)
        self._check_class(made, type(x))
        if memo is not None:
            memo[id(x)] = made
        state, items, pairs = (*reduced[2:5], None, None, None)[:3]
        if state is not None:
            state = self.deepcopy(state, memo) if deep else state
            put = getattr(type(made), "__setstate__", None)
            if put is not None:
                put(made, state)
            else:
                self._set_state(made, state)
        for item in cast(Iterable[object], items or ()):
            cast("list[object]", made).append(self.deepcopy(item, memo) if deep else item)
        for key, value in cast("Iterable[tuple[object, object]]", pairs or ()):
            cast("dict[object, object]", made)[self.deepcopy(key, memo) if deep else key] = (
                self.deepcopy(value, memo) if deep else value
            )
        return made

    def _check_class(self, made: object, cls: type) -> None:
        # SECURITY: a guest's __new__ may return any object of the host; its state must not be written there.
        if type(made) is not cls:
            raise RefusedOperation(f"copy of {cls.__name__}: __new__ returned {type(made).__name__}")

    def _set_state(self, made: object, state: object) -> None:
        plain, slots = state if type(state) is tuple and len(state) == 2 else (state, None)
        for name in (*(plain if type(plain) is dict else ()), *(slots if type(slots) is dict else ())):
            check_own_name(name)
        if type(plain) is dict and plain:
            vars(made).update(plain)
        if type(slots) is dict:
            for name, value in slots.items():
                object.__setattr__(made, name, value)


def _copy(session: Session) -> StandIns:
    copier = _Copier(session)

    def shallow(x: object) -> object:
        return copier.copy(x)

    def deep(x: object, memo: object = None, _nil: object = None) -> object:
        return copier.deepcopy(x, memo)

    return {"copy": named(shallow, copy.copy), "deepcopy": named(deep, copy.deepcopy)}


class _Shown(type):
    """A class that stands for a type: isinstance, issubclass, == and hash work; calling does not."""

    _stands_for: type
    _also: Callable[[object], bool]

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls._stands_for) or cls._also(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls._stands_for)

    def __eq__(cls, other: object) -> bool:
        return other is cls._stands_for or other is cls

    def __hash__(cls) -> int:
        return hash(cls._stands_for)

    def __repr__(cls) -> str:
        return repr(cls._stands_for)

    def __call__(cls, *args: object, **kwargs: object) -> object:
        raise RefusedOperation(f"{cls._stands_for.__name__} is for isinstance only here")


def _shown(real: type, also: Callable[[object], bool] = lambda instance: False) -> type:
    made = _Shown(real.__name__, (), {"__module__": "types", "__qualname__": real.__qualname__})
    made._stands_for, made._also = real, staticmethod(also)
    return made


def _namespace(session: Session) -> type:
    """Return SimpleNamespace in Python: CPython's takes any name as an attribute, also those that source cannot spell."""

    def own(obj: object) -> None:
        # SECURITY: `SimpleNamespace.__init__(json.loads, …)` would write into the host's function.
        if not session.services.is_guest_type(type(obj)):
            raise TypeError("a SimpleNamespace is needed")

    class SimpleNamespace:
        """A simple attribute-based namespace."""

        def __init__(self, mapping: object = (), /, **names: object) -> None:
            own(self)
            for name, value in {**dict(cast("dict[str, object]", mapping)), **names}.items():
                check_own_name(name)
                vars(self)[name] = value

        @reprlib.recursive_repr("namespace(...)")
        def __repr__(self) -> str:
            own(self)
            kind = "namespace" if type(self) is SimpleNamespace else type(self).__name__
            return f"{kind}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

        def __eq__(self, other: object) -> bool:
            if not isinstance(other, SimpleNamespace) or not isinstance(self, SimpleNamespace):
                return NotImplemented
            return vars(self) == vars(other)

        __hash__ = None  # type: ignore[assignment]

    SimpleNamespace.__module__, SimpleNamespace.__qualname__ = "types", "SimpleNamespace"
    session.services.register_guest_type(SimpleNamespace)
    return SimpleNamespace


def _types(session: Session) -> StandIns:
    services = session.services
    # The others are what `type(f)` gives of things that guest code holds; code, frames and cells it never does.
    made: StandIns = {
        f"{kind}Type": _shown(getattr(types, f"{kind}Type")) for kind in ("Cell", "Code", "Frame")
    }
    made["ModuleType"] = _shown(types.ModuleType, services.is_module)

    SimpleNamespace = _namespace(session)  # noqa: N806 (a class)

    def new_class(
        name: str,
        bases: tuple[object, ...] = (),
        kwds: dict[str, object] | None = None,
        exec_body: Callable[[dict[str, object]], object] | None = None,
    ) -> type:
        def checked(space: dict[str, object]) -> None:
            if exec_body is not None:
                exec_body(space)
            for key in tuple(space):
                check_own_name(key)

        cls = types.new_class(name, bases, kwds, checked)
        cls.__module__ = "__main__"
        services.register_guest_type(cls)
        return cls

    def coroutine(func: Callable[..., object]) -> object:
        if not is_guest_function(func):
            raise RefusedOperation("types.coroutine changes functions of your own only")
        from pinjra.guard.audit import host_section

        with host_section():
            return types.coroutine(func)

    return {
        **made,
        "SimpleNamespace": SimpleNamespace,
        "coroutine": named(coroutine, types.coroutine),
        "new_class": named(new_class, types.new_class),
    }


FACTORIES: dict[str, Factory] = {"copy": _copy, "types": _types}
