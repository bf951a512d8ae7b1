"""Stand-ins for abc, contextlib, dataclasses and enum: what makes and marks classes."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import keyword
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from pinjra.guard import guest_module
from pinjra.guard.errors import GuestStop, RefusedOperation
from pinjra.guard.policy import Kind, kind_of
from pinjra.guard.replacements import check_own_name, named
from pinjra.guard.replacements.generated import asking_dataclass
from pinjra.guard.shield import class_dict, class_order

if TYPE_CHECKING:
    from types import TracebackType

    from pinjra.guard.replacements import Factory, Session, StandIns

__all__ = ["FACTORIES"]

_FIELDS = "__dataclass_fields__"


def _check_field_name(name: object) -> None:
    """Refuse a field name that is no plain identifier: dataclasses writes it into the source of methods."""
    # SECURITY: exact str; a subclass may lie about isidentifier and still be formatted as something else.
    if type(name) is not str or not name.isidentifier() or keyword.iskeyword(name) or name.endswith("__"):
        raise TypeError(f"Field names must be valid identifiers: {name!r:.100}")
    check_own_name(name)


def _check_fields(cls: type) -> None:
    """Refuse a class whose own or inherited fields would not be plain names in generated source."""
    for base in class_order(cls):
        space = class_dict(base)
        fields = space.get(_FIELDS, {})
        if type(fields) is not dict:
            raise TypeError(f"{_FIELDS} must be made by dataclass")
        for name, field in fields.items():
            if type(field) is not dataclasses.Field or field.name is not name:
                raise TypeError(f"{_FIELDS} must be made by dataclass")
            _check_field_name(name)


def _plain_annotations(cls: type) -> None:
    """Give a class a plain dict of checked annotations, so that what is checked is what dataclass reads."""
    space = class_dict(cls)
    if "__annotations__" in space or "__annotate__" in space or "__annotate_func__" in space:
        notes = getattr(cls, "__annotations__", None)
        if not isinstance(notes, dict):
            raise TypeError("__annotations__ must be a dict")
        plain = {name: note for name, note in dict.items(notes)}  # noqa: C416 (exact dict of exact pairs)
        for name in plain:
            _check_field_name(name)
        type.__setattr__(cls, "__annotations__", plain)


def _dataclasses(session: Session) -> StandIns:
    services = session.services

    def check(obj: object) -> None:
        if not services.is_guest_type(type(obj)):
            raise RefusedOperation("a dataclass's methods work on objects of your own classes only")

    decorate = asking_dataclass(services.own_classes(), check)

    def process(cls: object, options: dict[str, object]) -> type:
        if not isinstance(cls, type) or not services.is_guest_type(cls):
            raise RefusedOperation("dataclass changes classes of your own only")
        _plain_annotations(cls)
        _check_fields(cls)
        home = class_dict(cls).get("__module__")
        type.__setattr__(cls, "__module__", guest_module.__name__)
        made = cls
        try:
            made = decorate(cls, **options)
        finally:
            for one in {cls, made}:
                type.__setattr__(one, "__module__", home if type(home) is str else "__main__")
        names = cast("tuple[str, ...]", class_dict(made).get("__match_args__", ()))
        # SECURITY: what is no real instance may match such a class; its private names would be read.
        if type(made) is not type and any(kind_of(name) is not Kind.PUBLIC for name in names):
            type.__setattr__(made, "__match_args__", ())
        if made is not cls:
            services.register_guest_type(made)
        return made

    def dataclass(cls: object = None, /, **options: object) -> object:
        return (lambda c: process(c, options)) if cls is None else process(cls, options)

    def fields_of(obj: object) -> tuple[dataclasses.Field[object], ...]:
        _check_fields(obj if isinstance(obj, type) else type(obj))
        return dataclasses.fields(cast(type, obj))

    def convert(obj: object, whole: Callable[[list[tuple[str, object]]], object]) -> object:
        kind = type(obj)
        if hasattr(kind, _FIELDS):
            return whole([(f.name, convert(getattr(obj, f.name), whole)) for f in fields_of(obj)])
        if isinstance(obj, tuple) and hasattr(kind, "_fields"):
            return cast(Callable[..., object], kind)(*[convert(item, whole) for item in obj])
        if isinstance(obj, (list, tuple)):
            return cast(Callable[..., object], kind)(convert(item, whole) for item in obj)
        if isinstance(obj, dict):
            pairs = ((convert(key, whole), convert(value, whole)) for key, value in obj.items())
            factory = getattr(obj, "default_factory", None)
            make = cast(Callable[..., object], kind)
            return make(pairs) if factory is None else make(factory, pairs)
        return deepcopy(obj)

    deepcopy = cast(Callable[[object], object], session.stand_ins("copy")["deepcopy"])

    def instance(obj: object, what: str) -> None:
        if isinstance(obj, type) or not hasattr(type(obj), _FIELDS):
            raise TypeError(f"{what}() should be called on dataclass instances")

    def asdict(obj: object, *, dict_factory: Callable[..., object] = dict) -> object:
        instance(obj, "asdict")
        return convert(obj, dict_factory)

    def astuple(obj: object, *, tuple_factory: Callable[..., object] = tuple) -> object:
        instance(obj, "astuple")
        return convert(obj, lambda pairs: tuple_factory([value for _, value in pairs]))

    def replace(obj: object, /, **changes: object) -> object:
        instance(obj, "replace")
        fields_of(obj)
        return cast(Callable[..., object], dataclasses.replace)(obj, **changes)

    def make_dataclass(
        cls_name: str,
        fields: typing.Iterable[object],
        *,
        bases: tuple[type, ...] = (),
        namespace: Mapping[str, object] | None = None,
        module: str | None = None,
        **options: object,
    ) -> type:
        space: dict[str, object] = {}
        notes: dict[str, object] = {}
        for item in fields:
            parts = (item, "typing.Any") if isinstance(item, str) else tuple(cast("tuple[object, ...]", item))
            if len(parts) not in (2, 3):
                raise TypeError(f"Invalid field: {item!r}")
            name = parts[0]
            _check_field_name(name)
            if name in notes:
                raise TypeError(f"Field name duplicated: {name!r}")
            notes[cast(str, name)] = parts[1]
            if len(parts) == 3:
                space[cast(str, name)] = parts[2]

        def body(target: dict[str, object]) -> None:
            target.update({**(namespace or {}), **space, "__annotations__": notes})

        new_class = cast(Callable[..., type], session.stand_ins("types")["new_class"])
        return process(new_class(cls_name, bases, {}, body), options)

    made = (dataclass, asdict, astuple, replace, make_dataclass)
    return {
        **{f.__name__: named(f, getattr(dataclasses, f.__name__)) for f in made},
        "fields": named(fields_of, dataclasses.fields),
    }


def _abc(session: Session) -> StandIns:
    def abstractmethod(funcobj: object) -> object:
        host = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
        if issubclass(type(funcobj), host) and not session.services.is_guest(funcobj):
            raise RefusedOperation("abc.abstractmethod marks functions of your own only")
        return abc.abstractmethod(cast(Callable[..., object], funcobj))

    def update_abstractmethods(cls: type) -> type:
        return abc.update_abstractmethods(cls) if session.services.is_guest_type(cls) else cls

    return {
        "abstractmethod": named(abstractmethod, abc.abstractmethod),
        "update_abstractmethods": update_abstractmethods,
    }


def _contextlib(session: Session) -> StandIns:
    class suppress(contextlib.suppress):  # noqa: N801 (the name it stands in for)
        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> bool:
            # SECURITY: a stop of the run is not the guest's to suppress.
            if isinstance(error, GuestStop):
                return False
            return bool(super().__exit__(kind, error, trace))

    suppress.__module__, suppress.__qualname__ = "contextlib", "suppress"
    return {"suppress": suppress}


FACTORIES: dict[str, Factory] = {"abc": _abc, "contextlib": _contextlib, "dataclasses": _dataclasses}
