"""Fuel: the operation budget, counted in C, and the sticky stop.

Cost model: one operation a loop turn, a call of a guest function, a comprehension step; C loops over an iterable (sum,
list, sorted, …) one a step. Straight-line code is free: it is bounded by the source.

How ticks are counted without running Python: `ticks` is `chain.from_iterable` over an endless C source of
(payer, chunk, payer, chunk, …). A chunk is `repeat(True, 1023)`. The payer is an iterator whose `__next__`, reached once
a chunk, accounts and then says StopIteration, so the chain goes on to the chunk. When the run must stop it raises
instead; the chain keeps an iterator that raised as its active one, so every later tick raises again.

A loop over something that is not paid for at once runs over `compress(it, ticks)`: one tick a step, no Python in between.

What does not work: a generator as the source (an exception ends it, and every loop after that ends silently); a source
whose own `__next__` is Python (an asynchronous exception inside it empties the chain the same way).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, compress, repeat
from operator import attrgetter, length_hint

from pinjra.core.execution import Cause
from pinjra.core.limits import Limits
from pinjra.guard.errors import FinalAnswer, GuestStop

__all__ = ["Fuel"]

_CHUNK = 1023  # ticks paid at once (plus the payer's own): 1/1000 of the price of a Python call a tick
_AT_ONCE = 65_536  # turns of a sized iterable that are paid before the first; more are metered as they come
_UNLIMITED = 1 << 62


class _Payer(repeat):  # type: ignore[type-arg]
    """The accountant between chunks. A subclass of repeat for its C `__iter__`, which cannot be interrupted."""

    def __new__(cls, fuel: Fuel) -> _Payer:
        self = super().__new__(cls, None)
        self.fuel = fuel
        self.chunk = repeat(True, _CHUNK)
        self.current = repeat(True, 0)
        return self

    fuel: Fuel
    chunk: repeat[bool]
    current: repeat[bool]

    def __next__(self) -> None:
        self.fuel.pay()
        self.current, self.chunk = self.chunk, repeat(True, _CHUNK)
        raise StopIteration


class Fuel:
    """The budget of one interpreter. `stop` is what ends the run in progress, None while it may go on."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.stop: GuestStop | None = None
        self.chunks = 0
        self.extra = 0
        self.budget = 0
        self._ceiling = 0
        self._drained = 0  # ticks of the chunk at hand that a stop threw away
        self.debts: list[Callable[[], int]] = []  # each hands over turns that were counted elsewhere
        self._payer = _Payer(self)
        rounds = zip(repeat(self._payer), map(attrgetter("chunk"), repeat(self._payer)))
        self.ticks: Iterator[bool] = chain.from_iterable(chain.from_iterable(rounds))
        self.tick: Callable[[], bool] = self.ticks.__next__
        self.reset()

    def reset(self) -> None:
        """Begin a run: nothing used, nothing stopped."""
        self.stop = None
        self.budget = self._ceiling = self.limits.operations or _UNLIMITED
        deque(self._payer.current, maxlen=0)
        self._settle()
        self.chunks = self.extra = self._drained = 0

    @property
    def used(self) -> int:
        """Return the operations of this run."""
        self._settle()
        unused = length_hint(self._payer.current) + self._drained
        return max(0, self.chunks * (_CHUNK + 1) - unused) + self.extra

    def _settle(self) -> None:
        for debt in self.debts:
            self.extra += debt()

    def pay(self) -> None:
        """Account for one chunk.

        Raises:
            GuestStop: The budget is used up, or the run is being stopped.
        """
        self.chunks += 1
        self._settle()
        if self.chunks * (_CHUNK + 1) + self.extra > self._ceiling:
            self.chunks -= 1
            self.refuse()

    def refuse(self) -> None:
        """Raise the stop that is in force; without one, the budget is used up."""
        if self.stop is None:
            message = f"the limit of {self.limits.operations:,} operations was reached"
            self.halt(GuestStop(Cause.OPERATIONS, message))
        self.check()

    def check(self) -> None:
        """Raise the stop again if there is one."""
        stop = self.stop
        if stop is not None:
            raise stop.with_traceback(None)

    def halt(self, stop: GuestStop) -> None:
        """Make every tick from now on raise `stop`. The first stop wins. From any thread."""
        if self.stop is None:
            self.stop = stop
        self._ceiling = -1
        self._drained += length_hint(self._payer.current)
        # SECURITY: without this, guest code would run on to the end of its chunk.
        deque(self._payer.current, maxlen=0)

    def resume(self) -> None:
        """Go on after a final answer: its own methods are asked what it looks like, within what is left of the budget."""
        if isinstance(self.stop, FinalAnswer):
            self.stop, self._ceiling = None, self.budget

    def close(self) -> None:
        """Let no guest code run until the next run: destructors, callbacks and what a host's cache may ask."""
        if self.stop is None:
            self.halt(GuestStop(Cause.HOST, "the run is over"))

    def answer(self, value: object) -> None:
        """End the run with `value`."""
        self.check()
        self.halt(FinalAnswer(value))
        self.check()

    def charge(self, n: int) -> None:
        """Pay for `n` operations at once, before they run."""
        if n + self.extra > self._ceiling:
            self.refuse()
        self.extra += n

    def step(self, n: int) -> bool:
        """Pay for the `n` turns of a sized iterable; False where they are too many to be paid before the first."""
        if n > _AT_ONCE:
            return False
        self.extra += n
        if self.extra > self._ceiling:
            self.refuse()
        return True

    def meter(self, iterable: Iterable[object]) -> Iterator[object]:
        """Return an iterator whose every step takes a tick, in C; lazy, nothing is read ahead."""
        return compress(iterable, self.ticks)
