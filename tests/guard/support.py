"""What the guard's tests share: a session on the real interpreter whose output is kept."""

from __future__ import annotations

from pinjra.core.limits import Limits
from pinjra.guard.imports import DEFAULT_AUTHORIZED
from pinjra.guard.interpreter import Interpreter, Outcome
from pinjra.guard.policy import Policy


class Session:
    """An interpreter and what it printed."""

    def __init__(
        self, *imports: str, protected: frozenset[str] = frozenset(), guard: bool = True, **limits: int
    ) -> None:
        self.printed: list[str] = []
        self.interpreter = Interpreter(
            Policy((*DEFAULT_AUTHORIZED, *imports), protected),
            limits=Limits(**limits),
            write=lambda stream, text: self.printed.append(text),
            guard=guard,
        )

    def run(self, source: str) -> Outcome:
        return self.interpreter.run(source)

    def value(self, source: str) -> object:
        outcome = self.run(source)
        assert outcome.error is None, outcome.error.traceback or outcome.error.message
        return outcome.value

    def error(self, source: str):
        outcome = self.run(source)
        assert outcome.error is not None, f"ran to its end: {outcome.value!r}"
        return outcome.error
