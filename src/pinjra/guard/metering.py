"""Loops and C consumers -> the same, paid for. Closures, not methods: these run before every loop of a guest.

A sized iterable that cannot grow while it is read is paid for at once; turns below 4,096 are owed for a while, so that a
short loop costs an addition. Everything else runs over `compress(it, ticks)`: one tick a step, in C, nothing read ahead.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, compress
from types import CoroutineType, FunctionType, GeneratorType
from typing import cast

from pinjra.guard.fuel import Fuel

__all__ = ["C_LAZY", "NESTING", "SIZED", "TEE", "Metering", "is_long"]

_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_FIXED = frozenset([range, tuple, str, bytes, frozenset, set, dict, *_VIEWS])  # grow not while they are read
SIZED = _FIXED | {list, bytearray}
C_LAZY = (map, filter, zip, enumerate, reversed)
TEE: type = type(itertools.tee(())[0])
_NAMES = "accumulate chain compress dropwhile filterfalse groupby islice pairwise starmap takewhile zip_longest batched"
# What may stand on another lazy iterator, and is not called by these names without its depth being asked.
NESTING = (*C_LAZY, TEE, *(getattr(itertools, name) for name in _NAMES.split() if hasattr(itertools, name)))
_AT_ONCE = 4096  # turns that may be owed before they are paid: 0.1 ms
_PIECE = 65_536  # turns of a long range that are paid together: 1 ms
_CONSUMERS = frozenset([list, tuple, set, frozenset])
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE (Include/object.h)
_flags = cast(Callable[[object], int], vars(type)["__flags__"].__get__)

Loop = Callable[[object], Iterable[object]]


def is_long(iterable: object) -> bool:
    """Return whether a range is so long that whatever reads it in C has to pay as it goes."""
    return type(iterable) is range and bool(iterable[_PIECE:])


class Metering:
    """The metered loops of one interpreter.

    Args:
        metered: Returns a lazy stand-in for an iterable that is not paid for at once.
        is_guest_type: Whether a class was made by the guest.
    """

    def __init__(self, fuel: Fuel, metered: Loop, is_guest_type: Callable[[object], bool]) -> None:
        self._fuel = fuel
        self._metered = metered
        self._is_guest_type = is_guest_type
        self._lazies: frozenset[type] = frozenset()
        self.steady, self.growing, self._owe = self._loops()

    def _loops(self) -> tuple[Loop, Loop, Callable[[int], None]]:
        """Return what a loop runs over whose body cannot, and can, make a list longer without a tick; and how to owe."""
        long, charge, ticks, debt = self._long, self._fuel.charge, self._fuel.ticks, 0

        def settle() -> int:
            nonlocal debt
            owed, debt = debt, 0
            return owed

        def steady(iterable: object) -> Iterable[object]:
            nonlocal debt
            if type(iterable) is range or type(iterable) is list or type(iterable) in _FIXED:
                try:
                    turns = len(iterable)  # type: ignore[arg-type]
                except OverflowError:  # range(10**30)
                    return compress(cast(Iterable[object], iterable), ticks)
                if turns < _AT_ONCE:
                    debt += turns + 1  # one for the loop itself, or empty loops in loops would be free
                    if debt > _AT_ONCE:
                        charge(settle())
                    return iterable  # type: ignore[return-value]  # cast() would cost a call
            return long(iterable)

        def growing(iterable: object) -> Iterable[object]:
            nonlocal debt
            if type(iterable) is list:
                return compress(iterable, ticks)
            if type(iterable) is range or type(iterable) in _FIXED:
                try:
                    turns = len(iterable)  # type: ignore[arg-type]
                except OverflowError:
                    return compress(cast(Iterable[object], iterable), ticks)
                if turns < _AT_ONCE:
                    debt += turns + 1
                    if debt > _AT_ONCE:
                        charge(settle())
                    return iterable  # type: ignore[return-value]
            return long(iterable)

        def owe(turns: int) -> None:
            nonlocal debt
            debt += turns + 1
            if debt > _AT_ONCE:
                charge(settle())

        self._fuel.debts.append(settle)
        return steady, growing, owe

    def _long(self, iterable: object) -> Iterable[object]:
        """Return what a loop runs over that is not paid for at once."""
        if type(iterable) is GeneratorType:
            return iterable
        if type(iterable) is not range:
            kind = type(iterable)
            # Static types and the stand-ins of map, zip, … are no guest's class: nothing else needs to be asked.
            if kind in self._lazies or not _flags(kind) & _HEAP_TYPE:
                return compress(cast(Iterable[object], iterable), self._fuel.ticks)
            return self._metered(iterable)
        pieces = (iterable[at : at + _PIECE] for at in range(0, len(iterable), _PIECE))
        return chain.from_iterable(map(self._paid, pieces))

    def _paid(self, piece: range) -> range:
        self._fuel.charge(len(piece))
        return piece

    def lazies(self, shown: Mapping[type, type]) -> tuple[Callable[..., object], ...]:
        """Return how `map(…)`, `zip(…)`, … are called: in the head of a loop that is steady, in others, and elsewhere.

        Args:
            shown: The guest's classes of those names, and the real ones behind them.
        """
        ticks, growing, owe = self._fuel.ticks, self.growing, self._owe
        real_of = {**shown}
        self._lazies = frozenset(shown)

        def bounded(kind: Callable[..., Iterator[object]], /, *args: object, **named: object) -> object:
            real = real_of.get(kind) if type(kind) is type else None
            if real is None:
                return growing(kind(*args, **named))
            for arg in args:
                if is_long(arg) or (type(arg) not in SIZED and issubclass(type(arg), NESTING)):
                    return growing(kind(*args, **named))
            return compress(real(*args, **named), ticks)

        def fixed(kind: Callable[..., Iterator[object]], /, *args: object, **named: object) -> object:
            real = real_of.get(kind) if type(kind) is type else None
            if real is None or named:
                return bounded(kind, *args, **named)
            turns = _AT_ONCE
            for arg in args:
                if is_long(arg) or (
                    type(arg) not in SIZED and type(arg) is not int and type(arg) is not FunctionType
                ):
                    return bounded(kind, *args)
                if type(arg) in SIZED and len(arg) < turns:  # type: ignore[arg-type]
                    turns = len(arg)  # type: ignore[arg-type]
            if turns == _AT_ONCE:
                return bounded(kind, *args)
            owe(turns)
            return real(*args)

        def make(kind: Callable[..., Iterator[object]], /, *args: object, **named: object) -> object:
            real = real_of.get(kind) if type(kind) is type else None
            if real is None or named:
                return kind(*args, **named)
            for arg in args:
                if is_long(arg) or (type(arg) not in SIZED and issubclass(type(arg), NESTING)):
                    return kind(*args)
            return real.__new__(kind, *args)  # type: ignore[call-overload]

        return fixed, bounded, make

    def consumer(self, slow: Callable[..., object], meter: Loop) -> Callable[..., object]:
        """Return how `list(…)`, `set(…)`, … are called: `kind(*args)`, paid for before it runs."""
        steady, is_lazy = self.steady, C_LAZY

        def consume(kind: object, /, *args: object, **named: object) -> object:
            if type(kind) is type and kind in _CONSUMERS and len(args) == 1 and not named:
                if type(args[0]) is not range:
                    return kind(steady(args[0]))
                return kind(meter(args[0]))
            if kind is dict and len(args) == 1 and not named:
                if type(args[0]) is not dict and issubclass(type(args[0]), (*is_lazy, GeneratorType)):
                    return dict(cast(Iterable[tuple[object, object]], steady(args[0])))
                return dict(args[0])  # type: ignore[call-overload]
            return slow(kind, *args, **named)

        return consume

    def unpacking(self, meter: Loop) -> Loop:
        """Return what `*x`, `a, *b = x` and `yield from x` run over."""
        is_guest_type = self._is_guest_type

        def unpacked(iterable: object) -> Iterable[object]:
            kind = type(iterable)
            if kind is list or kind is tuple or (kind in SIZED and kind is not range) or is_guest_type(kind):
                return iterable  # type: ignore[return-value]
            if kind is CoroutineType or not hasattr(kind, "__iter__"):
                return iterable  # type: ignore[return-value]
            return meter(iterable)

        return unpacked
