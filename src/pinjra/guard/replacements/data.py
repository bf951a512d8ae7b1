"""Stand-ins for collections, itertools, functools.reduce, heapq, statistics and struct: what consumes or explodes in C."""

from __future__ import annotations

import collections
import functools
import heapq
import itertools
import operator
import statistics
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, cast

from pinjra.guard.metering import TEE
from pinjra.guard.modules import words
from pinjra.guard.replacements import check_own_name, named

if TYPE_CHECKING:
    from pinjra.guard.replacements import Factory, Session, StandIns

__all__ = ["FACTORIES"]

_POINTER_BYTES = 8
_FIRST = slice(0, 1)


def _meter(session: Session) -> Callable[[object], Iterable[object]]:
    """Return a function that makes any iterable pay a step at a time, a range of 10**12 too, and never all at once."""
    meter = session.services.meter

    def metered(iterable: object) -> Iterable[object]:
        if type(iterable) in (list, tuple, dict, str, bytes, set, frozenset):
            return cast(Iterable[object], iterable)
        return meter(iter(cast(Iterable[object], iterable)))

    return metered


def _itertools(session: Session) -> StandIns:
    """Endless sources pay for each item; so does everything that skips items in C."""
    services, meter = session.services, _meter(session)

    class Source:
        """An endless iterator of the named kind; loops run over `_steps`, where each step is paid in C."""

        __slots__ = ("_inner", "_steps")
        _kind: Callable[..., Iterator[object]]
        _inner: Iterator[object]
        _steps: Iterator[object]

        def __new__(cls, *args: object, **kwargs: object) -> Source:
            self = super().__new__(cls)
            self._inner = cls._kind(*args, **kwargs)
            self._steps = cast(Iterator[object], services.meter(self._inner))
            return self

        def __iter__(self) -> Source:
            return self

        def __next__(self) -> object:
            return next(self._steps)

        def __repr__(self) -> str:
            return repr(self._inner)

        def __reduce__(self) -> tuple[object, ...]:
            if self._kind is itertools.cycle:
                raise TypeError("cannot pickle 'itertools.cycle' object")
            return (type(self), cast("tuple[object, ...]", self._inner.__reduce__())[1])

    def left(self: Source) -> int:
        return cast(int, self._inner.__length_hint__())  # type: ignore[attr-defined]

    def source(kind: Callable[..., Iterator[object]]) -> type:
        body: dict[str, object] = {
            "__slots__": (),
            "_kind": kind,
            "__module__": "itertools",
            "__doc__": kind.__doc__,
        }
        made = type(
            kind.__name__,
            (Source,),
            {**body, **({"__length_hint__": left} if kind is itertools.repeat else {})},
        )
        services.register_source(made)
        return made

    def stage(name: str, which: slice = _FIRST, layer: Callable[[object], object] = meter) -> type:
        """Return the class of that name, its iterables metered."""
        return services.lazy_class(getattr(itertools, name), which, layer)

    def late(iterable: object) -> Iterator[object]:
        """Begin with `iterable` when it is its turn, in a Python frame: there CPython counts how deep calls are nested."""
        yield from meter(iterable)

    def product(*iterables: object, repeat: int = 1) -> Iterable[object]:
        pools = [tuple(meter(iterable)) for iterable in iterables]
        services.price_bytes(_POINTER_BYTES * len(pools) * max(operator.index(repeat), 0))
        return services.meter(itertools.product(*pools, repeat=repeat))

    def choosing(kind: Callable[..., Iterator[object]]) -> object:
        def make(iterable: object, r: int | None = None) -> Iterable[object]:
            pool = tuple(meter(iterable))
            services.price_bytes(_POINTER_BYTES * (operator.index(r) if r is not None else 0))
            return services.meter(kind(pool) if r is None else kind(pool, r))

        return named(make, kind)

    def tee(iterable: object, n: int = 2) -> tuple[Iterator[object], ...]:
        services.price_bytes(100 * max(operator.index(n), 0))
        shared = type(iterable) is TEE
        made = itertools.tee(cast(Iterable[object], iterable) if shared else meter(iterable), n)
        services.share(iterable, *made)
        return made

    class chain(stage("chain", slice(None), late)):  # type: ignore[misc]  # noqa: N801 (the name it stands in for)
        __slots__ = ()

        @classmethod
        def from_iterable(cls, iterable: object, /) -> object:
            return super().from_iterable(late(each) for each in meter(iterable))

    made: StandIns = {name: source(getattr(itertools, name)) for name in ("count", "cycle", "repeat")}
    made |= {
        name: choosing(getattr(itertools, name)) for name in ("combinations", "combinations_with_replacement")
    }
    made["permutations"] = choosing(itertools.permutations)
    made |= {name: stage(name) for name in words("accumulate islice groupby pairwise")}
    made |= {name: stage(name, slice(1, 2)) for name in words("dropwhile filterfalse starmap takewhile")}
    made |= {name: stage(name, slice(None)) for name in words("compress zip_longest")}
    chain.__module__, chain.__qualname__ = "itertools", "chain"
    made |= {"product": product, "tee": tee, "chain": chain}
    if hasattr(itertools, "batched"):
        kind = stage("batched")

        def batched(iterable: object, n: int, **kwargs: object) -> object:
            services.price_bytes(_POINTER_BYTES * max(operator.index(n), 0))
            return kind(iterable, n, **kwargs)

        made["batched"] = batched
    return made


def _collections(session: Session) -> StandIns:
    """Containers whose constructors and methods would swallow or repeat without end."""
    services, meter = session.services, _meter(session)

    def check_repeat(size: int, times: object) -> None:
        services.price_bytes(_POINTER_BYTES * size * max(operator.index(cast(int, times)), 0))

    class deque(collections.deque[object]):  # noqa: N801 (the name it stands in for)
        __slots__ = ()

        def __init__(self, iterable: object = (), maxlen: int | None = None) -> None:
            super().__init__(meter(iterable), maxlen)

        def extend(self, iterable: object) -> None:
            super().extend(list(self) if iterable is self else meter(iterable))

        def extendleft(self, iterable: object) -> None:
            super().extendleft(list(self) if iterable is self else meter(iterable))

        def __iadd__(self, iterable: object) -> deque:
            self.extend(iterable)
            return self

        def __mul__(self, times: object) -> collections.deque[object]:  # type: ignore[override]
            check_repeat(len(self), times)
            return super().__mul__(cast(int, times))

        __rmul__ = __mul__

        def __imul__(self, times: object) -> collections.deque[object]:  # type: ignore[override]
            check_repeat(len(self), times)
            return super().__imul__(cast(int, times))

    class Counter(collections.Counter[object]):
        def __init__(self, iterable: object = None, /, **counts: int) -> None:
            super().__init__(cast(Iterable[object], self._metered(iterable)), **counts)

        def _metered(self, iterable: object) -> object:
            return iterable if iterable is None or isinstance(iterable, dict) else meter(iterable)

        def update(self, iterable: object = None, /, **counts: int) -> None:
            super().update(cast(Iterable[object], self._metered(iterable)), **counts)

        def elements(self) -> Iterator[object]:
            return iter(services.meter(super().elements()))

        def __reduce__(self) -> tuple[object, ...]:
            return (type(self), (dict(self),))

    def same_kind(name: str) -> Callable[..., object]:
        real = cast(Callable[..., object], getattr(collections.Counter, name))

        def operate(self: Counter, *other: object) -> object:
            result = real(self, *other)
            return Counter(result) if type(result) is collections.Counter else result

        return named(operate, real)

    for name in ("__add__", "__sub__", "__or__", "__and__", "__pos__", "__neg__"):
        setattr(Counter, name, same_kind(name))

    class UserList(collections.UserList[object]):
        def __init__(self, initlist: object = None) -> None:
            plain = initlist is None or isinstance(initlist, (list, collections.UserList))
            super().__init__(cast("list[object] | None", initlist if plain else meter(initlist)))

        def __mul__(self, times: object) -> UserList:
            check_repeat(len(self.data), times)
            return super().__mul__(cast(int, times))

        __rmul__ = __mul__

        def __imul__(self, times: object) -> UserList:
            check_repeat(len(self.data), times)
            return super().__imul__(cast(int, times))

        def extend(self, other: object) -> None:
            super().extend(
                cast(Iterable[object], other if isinstance(other, collections.UserList) else meter(other))
            )

    class UserString(collections.UserString):
        def __mul__(self, times: object) -> UserString:
            return self.__class__(services.multiply(self.data, times))

        __rmul__ = __mul__

        def __mod__(self, args: object) -> UserString:
            return self.__class__(services.modulo(self.data, args))

        def format(self, /, *args: object, **kwargs: object) -> str:
            return services.format(str(self.data), args, kwargs)

        def format_map(self, mapping: object) -> str:
            return services.format(str(self.data), (), mapping)

    def namedtuple(typename: str, field_names: object, **options: object) -> type:
        options["module"] = "__main__"  # SECURITY: host code looks the class's module up by this name
        made = cast(Callable[..., type], collections.namedtuple)(typename, field_names, **options)
        for name in cast("tuple[str, ...]", made._fields):  # type: ignore[attr-defined]
            check_own_name(name)
        services.register_guest_type(made)
        return made

    kinds = {"deque": deque, "Counter": Counter, "UserList": UserList, "UserString": UserString}
    for name, kind in kinds.items():
        kind.__module__, kind.__qualname__ = "collections", name
        kind.__doc__ = getattr(collections, name).__doc__
    return {**kinds, "namedtuple": namedtuple}


def _heapq(session: Session) -> StandIns:
    meter = _meter(session)

    def pick(real: Callable[..., list[object]]) -> object:
        def select(n: int, iterable: object, key: Callable[[object], object] | None = None) -> list[object]:
            return real(n, meter(iterable), key)

        return named(select, real)

    return {"nlargest": pick(heapq.nlargest), "nsmallest": pick(heapq.nsmallest)}


def _statistics(session: Session) -> StandIns:
    """Every function reads its data in C somewhere; all but the first two arguments are options."""
    meter = _meter(session)

    def over(real: Callable[..., object]) -> object:
        def compute(*data: object, **options: object) -> object:
            ready = [
                meter(arg) if n < 2 and hasattr(type(arg), "__iter__") else arg for n, arg in enumerate(data)
            ]
            return real(
                *ready,
                **{
                    k: meter(v) if k in ("data", "weights", "x", "y") and v is not None else v
                    for k, v in options.items()
                },
            )

        return named(compute, real)

    skip = {"NormalDist", "StatisticsError"}
    return {name: over(getattr(statistics, name)) for name in statistics.__all__ if name not in skip}


def _struct(session: Session) -> StandIns:
    """A format such as "1000000000x" makes that many bytes."""
    price = session.services.price_bytes

    class Struct(struct.Struct):
        def __init__(self, format: str | bytes) -> None:  # noqa: A002 (its documented name)
            super().__init__(format)
            price(self.size)

    def pack(fmt: str | bytes, *values: object) -> bytes:
        price(struct.calcsize(fmt))
        return struct.pack(fmt, *values)

    Struct.__module__, Struct.__qualname__ = "_struct", "Struct"
    return {"Struct": Struct, "pack": pack}


def _reduce(session: Session) -> StandIns:
    meter = _meter(session)

    def reduce(function: Callable[[object, object], object], iterable: object, *initial: object) -> object:
        return functools.reduce(function, meter(iterable), *initial)

    return {"reduce": reduce}


FACTORIES: dict[str, Factory] = {
    "collections": _collections,
    "functools": _reduce,
    "heapq": _heapq,
    "itertools": _itertools,
    "statistics": _statistics,
    "struct": _struct,
}
