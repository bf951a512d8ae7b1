"""The operation budget: counted in C, and the stop that guest code cannot swallow.

Cost model: one operation a loop turn, a comprehension step, a call of a guest function that itself calls something. What C code
does is not counted: clock, memory limit and rollback decide. Straight-line code is free: it is bounded by the source.

How ticks are counted without running Python: `ticks` is `chain.from_iterable` over an endless C source of
(payer, chunk, payer, chunk, …). A chunk is `repeat(True, 1023)`. The payer is an iterator whose `__next__`, reached once
a chunk, accounts and then says StopIteration, so the chain goes on to the chunk. When the run must stop it raises
instead; the chain keeps an iterator that raised as its active one, so every later tick raises again. The payer is Python,
in the midst of which others may tick (`sys.settrace`): each round holds one right to pay for its chunk, and who finds none pays
for a tick. Without it two who pay throw each other's chunks away, and a tracer that is asked each time never ends.

What does not work: a generator as the source (an exception ends it, and every loop after that ends silently); a source
whose own `__next__` is Python (an asynchronous exception inside it empties the chain the same way).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import chain, islice, repeat
from operator import attrgetter, itemgetter, length_hint

from pinjra.core.execution import Cause
from pinjra.core.limits import Limits
from pinjra.guard.errors import AnswerGiven, GuestStop

_CHUNK = 1023  # ticks paid at once: 1/1000 of the price of a Python call a tick
_UNLIMITED = 1 << 62


class _Ticks(chain):  # type: ignore[type-arg]
    """The ticks of a budget. In another process (joblib, multiprocessing) there is none: there they cost nothing."""

    def __reduce__(self) -> tuple[type, tuple[bool]]:
        return repeat, (True,)


class _Payer(repeat):  # type: ignore[type-arg]
    """The accountant between chunks. A subclass of repeat for its C `__iter__`, which cannot be interrupted."""

    def __new__(cls, budget: OperationBudget) -> _Payer:
        self = super().__new__(cls, None)
        self.budget = budget
        self.chunk = repeat(True, _CHUNK)
        self.current = repeat(True, 0)
        self.unpaid = {True: True}
        return self

    budget: OperationBudget
    chunk: repeat[bool]
    current: repeat[bool]
    unpaid: dict[bool, bool]

    def __next__(self) -> bool:
        if not self.unpaid.pop(True, False):
            # who ticks here is a tracer of the program's, or another thread, while a chunk is being paid
            self.budget.pay(1)
            return True
        # The chain has taken the chunk already: what the budget has no room for is taken out of it.
        deque(islice(self.chunk, _CHUNK - self.budget.pay(_CHUNK)), maxlen=0)
        self.current, self.chunk = self.chunk, repeat(True, _CHUNK)
        raise StopIteration


class OperationBudget:
    """The budget of one interpreter. `stop` is what ends the run in progress, None while it may go on."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.operations or _UNLIMITED
        self.stop: GuestStop | None = None
        self.looks: list[Callable[[], None]] = []  # called at each payment
        self._paid = 0
        self._drained = 0  # ticks of the chunk at hand that a stop threw away
        self._payer = _Payer(self)
        payers, true = repeat(self._payer), repeat(True)
        unpaid = map(self._payer.unpaid.setdefault, true, true)
        rounds = zip(payers, map(attrgetter("chunk"), payers), unpaid, strict=False)  # none of them ends
        self.ticks = _Ticks.from_iterable(chain.from_iterable(map(itemgetter(slice(2)), rounds)))
        self.reset()

    def reset(self) -> None:
        """Begin a run: nothing used, nothing stopped."""
        self.stop = None
        self._payer.unpaid[True] = True
        deque(self._payer.current, maxlen=0)
        self._paid = self._drained = 0

    @property
    def used(self) -> int:
        """Return the operations of this run."""
        unused = length_hint(self._payer.current) + self._drained
        return max(0, self._paid - unused)

    def pay(self, ticks: int) -> int:
        """Account for so many ticks, or what is left; return how many.

        Raises:
            GuestStop: The budget is used up, or the run is being stopped.
        """
        for look in self.looks:
            look()
        self.check()
        if self._paid >= self._most:
            self.halt(GuestStop(Cause.OPERATIONS, f"the limit of {self._most:,} operations was reached"))
            self.check()
        operations = min(ticks, self._most - self._paid)
        self._paid += operations
        return operations

    def check(self) -> None:
        """Raise the stop again if there is one."""
        stop = self.stop
        if stop is not None:
            raise stop.with_traceback(None)

    def halt(self, stop: GuestStop) -> None:
        """Make every tick from now on raise `stop`. The first stop wins. From any thread."""
        if self.stop is None:
            self.stop = stop
        self._drained += length_hint(self._payer.current)
        # SECURITY: without this, guest code would run on to the end of its chunk.
        deque(self._payer.current, maxlen=0)

    def answer(self, value: object) -> None:
        """End the run with `value`."""
        self.check()
        self.halt(AnswerGiven(value))
        self.check()

    def resume(self) -> None:
        """Go on after a final answer: its own methods are asked what it looks like, within what is left of the budget."""
        if isinstance(self.stop, AnswerGiven):
            self.stop = None
            self._payer.unpaid[True] = True
