"""What the guard's tests share: a session on the real interpreter whose output is kept."""

from __future__ import annotations

import contextlib
import io

from pinjra.core.limits import Limits
from pinjra.guard.interpreter import Interpreter, Outcome
from pinjra.guard.policy import ImportMode, Policy


class Session:
    """An interpreter and what it printed."""

    def __init__(
        self,
        *authorized: str,
        imports: ImportMode = "listed",
        protected: frozenset[str] = frozenset(),
        guard: bool = True,
        **limits: int,
    ) -> None:
        self._out = io.StringIO()
        self.interpreter = Interpreter(
            Policy(authorized, imports, protected), limits=Limits(**limits), guard=guard
        )

    @property
    def printed(self) -> str:
        return self._out.getvalue()

    def run(self, source: str) -> Outcome:
        with contextlib.redirect_stdout(self._out):
            return self.interpreter.run(source)

    def value(self, source: str) -> object:
        outcome = self.run(source)
        assert outcome.error is None, outcome.error.traceback or outcome.error.message
        return outcome.value

    def error(self, source: str):
        outcome = self.run(source)
        assert outcome.error is not None, f"ran to its end: {outcome.value!r}"
        return outcome.error
