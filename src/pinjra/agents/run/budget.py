"""Budget: what a whole run may use; Meter: what it has used. A run inside a run counts for both."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, fields

from pinjra.agents.errors import AgentBudgetError
from pinjra.models.base import TokenUsage

__all__ = ["Budget", "Meter", "Price"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs, in any one currency, per million tokens."""

    input_per_million: float
    output_per_million: float

    def of(self, usage: TokenUsage) -> float:
        """Return the price of so many tokens."""
        return (
            usage.input_tokens * self.input_per_million + usage.output_tokens * self.output_per_million
        ) / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one run may use, managed agents included; None means not limited.

    Reaching it ends the run with `AgentBudgetError`; memory and session are kept. Tokens and money are known only after a
    completion, so the last one may go over.

    Args:
        tokens: Input and output together.
        money: In the currency of `price`, which must then be given.
        seconds: On the clock; takes effect inside a step, a model call and a tool.
        steps: Action steps, those of managed agents included (`max_steps` counts one agent's own).
        tool_calls: Calls of tools and managed agents.
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
                raise ValueError(f"Budget.{field.name} must be above 0 or None, not {value!r}")
        if self.money is not None and self.price is None:
            raise ValueError("Budget.money needs Budget.price (what a million tokens cost)")


class Meter:
    """What a run has used. Safe from several threads. What is added here is added to `parent` too."""

    def __init__(self, budget: Budget, parent: Meter | None = None) -> None:
        self.budget = budget
        self.parent = parent
        self.usage = TokenUsage()
        self.money = 0.0
        self.steps = 0
        self.tool_calls = 0
        self.started = time.monotonic()
        self._lock = threading.Lock()

    def add_usage(self, usage: TokenUsage, price: Price | None = None) -> None:
        """Count a completion. `price` is that of the model's own agent; else this budget's is taken."""
        own = price or self.budget.price
        with self._lock:
            self.usage += usage
            self.money += own.of(usage) if own else 0.0
        if self.parent is not None:
            self.parent.add_usage(usage, own)

    def add_step(self) -> None:
        """Count a step that begins."""
        with self._lock:
            self.steps += 1
        if self.parent is not None:
            self.parent.add_step()

    def add_tool_call(self) -> None:
        """Count a tool call that begins.

        Raises:
            AgentBudgetError: It is one too many.
        """
        with self._lock:
            self.tool_calls += 1
            self._over("tool_calls", self.tool_calls, self.budget.tool_calls)
        if self.parent is not None:
            self.parent.add_tool_call()

    def check(self) -> None:
        """Raise when nothing is left for another step.

        Raises:
            AgentBudgetError: Says of what.
        """
        self._spent("tokens", self.usage.total_tokens, self.budget.tokens)
        self._spent("money", self.money, self.budget.money)
        self._spent("seconds", time.monotonic() - self.started, self.budget.seconds)
        self._spent("steps", self.steps, self.budget.steps)
        if self.parent is not None:
            self.parent.check()

    @staticmethod
    def _over(kind: str, used: float, limit: float | None) -> None:
        if limit is not None and used > limit:
            raise AgentBudgetError(kind, limit, used)

    @staticmethod
    def _spent(kind: str, used: float, limit: float | None) -> None:
        if limit is not None and used >= limit:
            raise AgentBudgetError(kind, limit, used)
