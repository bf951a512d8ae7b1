"""Budget: what a whole run may use; Meter: what it has used. A run inside a run counts for both."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

from pinjra.agents.errors import AgentBudgetError
from pinjra.core.errors import ConfigurationError
from pinjra.executors.parameters import CheckedConstructor
from pinjra.models.base import TokenUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Price(metaclass=CheckedConstructor):
    """What a model costs, in any one currency, per million tokens."""

    input_per_million: float
    output_per_million: float

    def of(self, usage: TokenUsage) -> float:
        """Return the price of so many tokens."""
        return (
            usage.input_tokens * self.input_per_million + usage.output_tokens * self.output_per_million
        ) / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget(metaclass=CheckedConstructor):
    """What one run may use, managed agents included; None means not limited.

    Reaching it ends the run with `AgentBudgetError`; memory and session are kept. Tokens and money are known only after a
    completion, so what is being written then may go over; nothing is asked afterwards, no plan and no last answer either.

    Args:
        tokens: Input and output together.
        money: In the currency of `price`, which must then be given.
        seconds: On the clock; takes effect inside a step, a model call and a tool.
        steps: Action steps, those of managed agents included (`max_steps` counts one agent's own).
        tool_calls: Calls of tools and managed agents; `final_answer` is none.
    """

    tokens: int | None = None
    money: float | None = None
    seconds: float | None = None
    steps: int | None = None
    tool_calls: int | None = None
    price: Price | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "price" and value is not None and not value > 0:
                raise ConfigurationError(f"Budget.{field.name} must be above 0 or None, not {value!r}")
        if self.money is not None and self.price is None:
            raise ConfigurationError("Budget.money needs Budget.price (what a million tokens cost)")


class Meter:
    """What a run has used. Safe from several threads. What is added here is added to the meters of runs above too.

    Args:
        stop: Ends the run whose budget this is, where a run below used it up.
    """

    def __init__(
        self, budget: Budget, stop: Callable[[AgentBudgetError], None], parent: Meter | None = None
    ) -> None:
        self.budget = budget
        self._stop = stop
        self.usage = TokenUsage()
        self.money = 0.0
        self.steps = 0
        self.tool_calls = 0
        self.started = time.monotonic()
        self._lock = threading.Lock()
        self._all: tuple[Meter, ...] = (self, *(parent._all if parent else ()))

    def add_usage(self, usage: TokenUsage, price: Price | None = None) -> None:
        """Count a completion. `price` is that of the model's own agent; else the nearest budget's is taken."""
        for meter in self._all:
            price = price or meter.budget.price
            with meter._lock:
                meter.usage += usage
                meter.money += price.of(usage) if price else 0.0

    def add(self, kind: Literal["steps", "tool_calls"]) -> None:
        """Count a step, or a call of a tool, that begins.

        Raises:
            AgentBudgetError: It is one too many.
        """
        for meter in self._all:
            with meter._lock:  # of several that begin at once only as many as are left
                before: int = getattr(meter, kind)
                setattr(meter, kind, before + 1)
            meter._hold(kind, before)

    def check(self) -> None:
        """Raise when nothing is left for another request.

        Raises:
            AgentBudgetError: Says of what.
        """
        for meter in self._all:
            used = {
                "tokens": meter.usage.total_tokens,
                "money": meter.money,
                "seconds": time.monotonic() - meter.started,
            }
            for kind, amount in used.items():
                meter._hold(kind, amount)

    def _hold(self, kind: str, used: float) -> None:
        limit: float | None = getattr(self.budget, kind)
        if limit is not None and used >= limit:
            error = AgentBudgetError(kind, limit, used)
            self._stop(error)
            raise error
