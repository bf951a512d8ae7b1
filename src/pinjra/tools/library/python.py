"""PythonTool: code -> what it printed and returned, for agents whose actions are JSON. Runs in any executor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pinjra.core.errors import ConfigurationError
from pinjra.core.execution import Execution
from pinjra.core.safe_text import cut_middle
from pinjra.core.value_text import text_of
from pinjra.tools.base import Tool


class Runner(Protocol):
    """The part of an executor that this tool needs."""

    def run(self, code: str, *, wall_seconds: float | None = None) -> Execution:
        """Return what came of running the code."""


class PythonTool(Tool):
    """Runs Python in an executor. Variables live on between calls; a failed call says what went wrong.

    Args:
        executor: Where the code runs; the caller closes it.
        authorized_imports: Told to the model; the executor enforces its own list.
        max_output_length: Longest text returned, in characters; the middle is cut.
    """

    name = "python_interpreter"
    inputs = {"code": {"type": "string", "description": "Python source. Print what you want to see."}}
    output_type = "string"

    def __init__(
        self, executor: Runner, authorized_imports: Iterable[str] = (), *, max_output_length: int = 50_000
    ) -> None:
        if not callable(getattr(executor, "run", None)):
            raise ConfigurationError(f"PythonTool wants an executor, not {type(executor).__name__}")
        self._executor = executor
        self.max_output_length = max_output_length
        imports = ", ".join(authorized_imports)
        self.description = (
            "Runs Python code in a sandbox and returns what it printed and the value of its last expression. "
            "Variables live on from one call to the next."
        ) + (f" Besides the standard modules it may import: {imports}." if imports else "")

    def forward(self, code: str) -> str:
        """Return output, value and error as one text."""
        done = self._executor.run(code)
        parts = [f"Stdout:\n{cut_middle(done.logs, self.max_output_length)}"]
        if done.error is None:
            parts.append(f"Output: {cut_middle(_shown(done.value), self.max_output_length)}")
        else:
            parts.append(f"Error: {done.error.text}")
        return "\n".join([*parts, *done.notes])


def _shown(value: object) -> str:
    return value if isinstance(value, str) else text_of(value)
