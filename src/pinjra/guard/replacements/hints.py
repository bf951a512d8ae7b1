"""Stand-ins for typing: annotations are evaluated as guest code, marks are set on the guest's own functions and classes only."""

from __future__ import annotations

import functools
import operator
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from pinjra.guard.errors import RefusedOperation
from pinjra.guard.replacements import named
from pinjra.guard.replacements.objects import is_guest_function
from pinjra.guard.shield import class_dict, class_order

if TYPE_CHECKING:
    from pinjra.guard.replacements import Factory, Session, StandIns

__all__ = ["FACTORIES", "Hints"]

_NOTES = "__annotations__"
_MARKABLE = (functools.partial, type(functools.lru_cache(int)), classmethod, staticmethod, property)
_QUALIFIERS = tuple(
    getattr(typing, name) for name in ("Required", "NotRequired", "ReadOnly") if hasattr(typing, name)
)
_is_type = cast(Callable[..., object], getattr(typing, "_type_check"))  # noqa: B009


class Hints:
    """Annotations of one object -> types, its text evaluated by the guard with these names.

    Args:
        is_class: ClassVar and Final may stand around the type.
    """

    def __init__(self, session: Session, names: Mapping[str, object], *, is_class: bool = False) -> None:
        self._evaluate = session.services.evaluate
        self._names = names
        self._is_class = is_class

    def value(self, note: object, pending: frozenset[str] = frozenset()) -> object:
        """Return an annotation without text in it; what refers to itself keeps its ForwardRef."""
        if note is None:
            return type(None)
        if type(note) is str:
            note = typing.ForwardRef(note, is_argument=not self._is_class, is_class=self._is_class)
        if type(note) is typing.ForwardRef:
            return self._resolved(note, pending)
        if isinstance(note, types.GenericAlias):
            return self._rebuilt(note, pending)
        if not (isinstance(note, types.UnionType) or hasattr(note, "copy_with")):
            return note
        before = cast("tuple[object, ...]", getattr(note, "__args__", ()))
        after = tuple(self.value(arg, pending) for arg in before) if before else before
        return note if after == before else _like(note, after)

    def _resolved(self, reference: typing.ForwardRef, pending: frozenset[str]) -> object:
        text = reference.__forward_arg__
        if text in pending:
            return reference
        found = self._evaluate(f"({text},)[0]" if text.startswith("*") else text, self._names)
        found = _is_type(
            found,
            "Forward references must evaluate to types.",
            is_argument=reference.__forward_is_argument__,
            allow_special_forms=reference.__forward_is_class__,
        )
        return self.value(found, pending | {text})

    def _rebuilt(self, note: types.GenericAlias, pending: frozenset[str]) -> object:
        """`list["A"]` holds plain text, not a reference."""
        origin, unpacked = note.__origin__, getattr(note, "__unpacked__", False)
        args = tuple(
            self.value(arg if type(arg) is not str else typing.ForwardRef(arg), pending)
            if arg is not None
            else arg
            for arg in note.__args__
        )
        made: object = note
        if type(note) is not types.GenericAlias and args != note.__args__:
            made = cast("dict[object, object]", origin)[args[:-1], args[-1]]  # collections.abc.Callable
        elif unpacked or args != note.__args__:
            made = types.GenericAlias(cast(type, origin), args)
        return typing.Unpack[made] if unpacked else made  # type: ignore[attr-defined,unused-ignore]


def _like(note: object, args: tuple[object, ...]) -> object:
    """Return a generic type or union with other arguments."""
    if isinstance(note, types.UnionType):
        return functools.reduce(operator.or_, cast("tuple[type, ...]", args))
    return cast(Callable[[object], object], getattr(note, "copy_with"))(args)  # noqa: B009


def _strip(hint: object) -> object:
    """Return a hint without Annotated, Required and NotRequired in it."""
    if typing.get_origin(hint) in (typing.Annotated, *_QUALIFIERS):
        return _strip(typing.get_args(hint)[0])
    before = getattr(hint, "__args__", ())
    if not before or not (
        isinstance(hint, (types.GenericAlias, types.UnionType)) or hasattr(hint, "copy_with")
    ):
        return hint
    after = tuple(_strip(arg) for arg in before)
    if after == before:
        return hint
    return (
        types.GenericAlias(cast(type, hint.__origin__), after)
        if isinstance(hint, types.GenericAlias)
        else _like(hint, after)
    )


def _typing(session: Session) -> StandIns:
    services = session.services

    def names_of(obj: object) -> dict[str, object]:
        return {p.__name__: p for p in getattr(obj, "__type_params__", ())}

    def get_type_hints(
        obj: object, globalns: object = None, localns: object = None, include_extras: bool = False
    ) -> dict[str, object]:
        if getattr(obj, "__no_type_check__", None):
            return {}
        outer = dict(globalns) if isinstance(globalns, dict) else services.guest_globals()
        given = localns if localns is not None else globalns
        inner = dict(cast("dict[str, object]", given)) if given is not None else None
        hints: dict[str, object] = {}
        for source, notes in _sources(session, obj):
            is_class = isinstance(source, type)
            own = dict(class_dict(source)) if isinstance(source, type) else {}
            # A class without names given looks into its module first (CPython: "surprising, but required").
            names = (
                {**own, **outer} if inner is None else {**outer, **(own if localns is None else {}), **inner}
            )
            reader = Hints(session, {**names, **names_of(source)}, is_class=is_class)
            hints.update({name: reader.value(note) for name, note in notes.items()})
        return hints if include_extras else {name: _strip(hint) for name, hint in hints.items()}

    made = {**_marks(session), "get_type_hints": named(get_type_hints, typing.get_type_hints)}
    for name in ("Counter", "Deque"):
        # `typing.Counter()` makes what `collections.Counter()` does: the session's own.
        kind = session.stand_ins("collections")[name if name == "Counter" else "deque"]
        made[name] = cast(Callable[..., object], type(getattr(typing, name)))(kind, 1, name=name)
    return made


def _sources(session: Session, obj: object) -> list[tuple[object, dict[str, object]]]:
    """Return whose annotations make the hints of `obj`, and those annotations."""
    if isinstance(obj, type):
        found = []
        for base in reversed(class_order(obj)):
            notes = class_dict(base).get(_NOTES) or {}
            if not notes and session.services.is_guest_type(base):
                notes = getattr(base, _NOTES, None) if class_dict(base).get("__annotate_func__") else {}
            found.append((base, dict(notes) if isinstance(notes, dict) else {}))
        return cast("list[tuple[object, dict[str, object]]]", found)
    notes = getattr(obj, _NOTES, None)
    if notes is None:
        if callable(obj):
            return []
        raise TypeError(f"{obj!r} is not a module, class, method, or function.")
    if not (session.services.is_guest(obj) or is_guest_function(obj)):
        raise RefusedOperation("typing.get_type_hints reads functions and classes of your own only")
    return [(obj, dict(notes))]


def _marks(session: Session) -> StandIns:
    """Decorators that leave a mark; on objects of the host they do nothing."""
    services = session.services
    overloads: dict[str, dict[int, object]] = {}

    def mark(obj: object, name: str, value: object = True) -> object:
        if services.is_guest(getattr(obj, "__func__", obj)) or type(obj) in _MARKABLE:
            try:
                setattr(obj, name, value)
            except (AttributeError, TypeError):
                pass  # as CPython: some wrappers take no attributes
        return obj

    def final(f: object) -> object:
        return mark(f, "__final__")

    def override(method: object, /) -> object:
        return mark(method, "__override__")

    def no_type_check(arg: object) -> object:
        if isinstance(arg, type) and services.is_guest_type(arg):
            for item in class_dict(arg).values():
                inner = getattr(item, "__func__", item)
                own = (
                    getattr(inner, "__qualname__", "")
                    == f"{arg.__qualname__}.{getattr(inner, '__name__', '')}"
                )
                if own and services.is_guest(inner):
                    no_type_check(inner)
        return mark(arg, "__no_type_check__")

    def no_type_check_decorator(decorator: Callable[..., object]) -> Callable[..., object]:
        return named(lambda *args, **kwargs: no_type_check(decorator(*args, **kwargs)), decorator)

    def dataclass_transform(
        *, eq_default: bool = True, order_default: bool = False, kw_only_default: bool = False,
        field_specifiers: tuple[object, ...] = (), **kwargs: object,
    ) -> object:  # fmt: skip
        given = {"eq_default": eq_default, "order_default": order_default, "kw_only_default": kw_only_default}
        if "frozen_default" in (typing.dataclass_transform.__kwdefaults__ or {}):  # type: ignore[attr-defined,unused-ignore]
            given["frozen_default"] = bool(kwargs.pop("frozen_default", False))
        told = {**given, "field_specifiers": field_specifiers, "kwargs": kwargs}
        return lambda obj: mark(obj, "__dataclass_transform__", told)

    def overload(func: object) -> object:
        inner = getattr(func, "__func__", func)
        if is_guest_function(inner):
            function = cast(types.FunctionType, inner)
            overloads.setdefault(function.__qualname__, {})[function.__code__.co_firstlineno] = func
        return overloaded

    def overloaded(*args: object, **kwargs: object) -> object:
        raise NotImplementedError(
            "You should not call an overloaded function. A series of @overload-decorated functions outside a stub module "
            "should always be followed by an implementation that is not @overload-ed."
        )

    def get_overloads(func: object) -> list[object]:
        return list(overloads.get(getattr(getattr(func, "__func__", func), "__qualname__", ""), {}).values())

    def clear_overloads() -> None:
        overloads.clear()

    def runtime_checkable(cls: object) -> object:
        if isinstance(cls, type) and services.is_guest_type(cls):
            return typing.runtime_checkable(cls)
        raise RefusedOperation("typing.runtime_checkable changes protocols of your own only")

    functions: list[Callable[..., object]] = [
        final,
        override,
        no_type_check,
        no_type_check_decorator,
        overload,
    ]
    functions += [dataclass_transform, get_overloads, clear_overloads, runtime_checkable]
    return {f.__name__: named(f, getattr(typing, f.__name__, f)) for f in functions}


FACTORIES: dict[str, Factory] = {"typing": _typing}
