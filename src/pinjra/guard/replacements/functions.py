"""Stand-ins for functools: what copies attributes by name, keeps values in namespaces, or reads annotations."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from pinjra.guard.errors import RefusedOperation
from pinjra.guard.replacements import check_own_name, named
from pinjra.guard.replacements.objects import is_guest_function

if TYPE_CHECKING:
    from pinjra.guard.replacements import Factory, Session, StandIns

__all__ = ["FACTORIES"]


def _functools(session: Session) -> StandIns:
    services = session.services

    class cached_property:  # noqa: N801 (the name it stands in for)
        """A property computed once; kept in the instance's namespace, of guest classes only."""

        def __init__(self, func: Callable[[object], object]) -> None:
            self.func = func
            self.attrname: str | None = None
            self.__doc__ = getattr(func, "__doc__", None)

        def __set_name__(self, owner: type, name: str) -> None:
            if self.attrname is None:
                self.attrname = name
            elif name != self.attrname:
                raise TypeError(
                    f"Cannot assign the same cached_property to two different names ({self.attrname!r} and {name!r})."
                )

        def __get__(self, instance: object, owner: type | None = None) -> object:
            if instance is None:
                return self
            if type(self.attrname) is not str:
                raise TypeError("Cannot use cached_property instance without calling __set_name__ on it.")
            # SECURITY: on a host object this would read and write private state by a name of the guest's choice.
            if not services.is_guest_type(type(instance)):
                raise RefusedOperation("cached_property works on instances of your own classes")
            try:
                cache = vars(instance)
            except TypeError:
                raise TypeError(
                    f"No '__dict__' attribute on {type(instance).__name__!r} instance to cache {self.attrname!r} property."
                ) from None
            if self.attrname not in cache:
                cache[self.attrname] = self.func(instance)
            return cache[self.attrname]

        def __class_getitem__(cls, item: object) -> types.GenericAlias:
            return types.GenericAlias(cls, item)

    cached_property.__module__, cached_property.__qualname__ = "functools", "cached_property"

    def update_wrapper(
        wrapper: object,
        wrapped: object,
        assigned: Iterable[object] = functools.WRAPPER_ASSIGNMENTS,
        updated: Iterable[object] = functools.WRAPPER_UPDATES,
    ) -> object:
        own = services.is_guest(wrapper) or type(wrapper) in (
            functools.partial,
            type(functools.lru_cache(int)),
        )
        if not own:
            raise RefusedOperation("functools.update_wrapper changes functions of your own only")
        for name in assigned:
            if type(name) is str and (name in functools.WRAPPER_ASSIGNMENTS or name[:1] != "_"):
                try:
                    value = (
                        getattr(wrapped, name)
                        if name in functools.WRAPPER_ASSIGNMENTS
                        else services.guarded_getattr(wrapped, name)
                    )
                except AttributeError:
                    continue
                # SECURITY: the annotations of a host's function are its own dict.
                setattr(wrapper, name, dict(value) if type(value) is dict else value)
        if tuple(updated) and services.is_guest(wrapped) and type(getattr(wrapped, "__dict__", None)) is dict:
            for name, value in vars(wrapped).items():
                check_own_name(name)
                vars(wrapper)[name] = value
        vars(wrapper)["__wrapped__"] = wrapped
        return wrapper

    def wraps(
        wrapped: object,
        assigned: object = functools.WRAPPER_ASSIGNMENTS,
        updated: object = functools.WRAPPER_UPDATES,
    ) -> object:
        return functools.partial(update_wrapper, wrapped=wrapped, assigned=assigned, updated=updated)  # type: ignore[arg-type]

    def total_ordering(cls: type) -> type:
        if not services.is_guest_type(cls):
            raise RefusedOperation("functools.total_ordering changes classes of your own only")
        return functools.total_ordering(cls)

    singledispatch = _singledispatch(session)

    class singledispatchmethod:  # noqa: N801 (the name it stands in for)
        """A method chosen by the type of its first argument."""

        def __init__(self, func: Callable[..., object]) -> None:
            if not callable(func) and not hasattr(func, "__get__"):
                raise TypeError(f"{func!r} is not callable or a descriptor")
            self.dispatcher = singledispatch(func)
            self.func = func

        def register(self, cls: object, method: object = None) -> object:
            return cast(Callable[..., object], getattr(self.dispatcher, "register"))(cls, func=method)  # noqa: B009

        def __get__(self, obj: object, cls: type | None = None) -> Callable[..., object]:
            dispatch = cast(Callable[[type], object], getattr(self.dispatcher, "dispatch"))  # noqa: B009

            def choose(*args: object, **kwargs: object) -> object:
                method = dispatch(args[0].__class__)
                get = getattr(type(method), "__get__", None)
                bound = get(method, obj, cls) if get is not None else method
                return cast(Callable[..., object], bound)(*args, **kwargs)

            choose.register = self.register  # type: ignore[attr-defined]
            return named(choose, self.func)

        @property
        def __isabstractmethod__(self) -> bool:
            return bool(getattr(self.func, "__isabstractmethod__", False))

    singledispatchmethod.__module__, singledispatchmethod.__qualname__ = "functools", "singledispatchmethod"
    functions = (singledispatch, total_ordering, update_wrapper, wraps)
    made: StandIns = {f.__name__: named(f, getattr(functools, f.__name__)) for f in functions}
    return {**made, "cached_property": cached_property, "singledispatchmethod": singledispatchmethod}


def _singledispatch(session: Session) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Return singledispatch whose register() reads annotations without evaluating text as code."""

    def first_annotation(function: object) -> object:
        from pinjra.guard.replacements.hints import Hints

        notes = getattr(function, "__annotations__", None) or {}
        for name, note in notes.items():
            if name != "return":
                return Hints(session, session.services.guest_globals()).value(note)
        raise TypeError(
            f"Invalid first argument to `register()`: {function!r}. Use either `@register(some_class)` or plain "
            "`@register` on an annotated function."
        )

    def singledispatch(func: Callable[..., object]) -> Callable[..., object]:
        made = functools.singledispatch(func)
        inner = made.register

        def register(cls: object, func: object = None) -> object:
            if func is None and is_guest_function(cls):
                return inner(cast(type, first_annotation(cls)), cast(Callable[..., object], cls))
            if func is None:
                return lambda f: register(cls, f)
            return inner(cast(type, cls), cast(Callable[..., object], func))

        made.register = register  # type: ignore[assignment,method-assign]
        return made

    return singledispatch


FACTORIES: dict[str, Factory] = {"functools": _functools}
