"""FinalAnswerTool: the value that ends a run, as it is."""

from __future__ import annotations

from typing import Any

from pinjra.tools.base import Tool


class FinalAnswerTool(Tool):
    """Gives its argument back; agents end their run when it is called."""

    name = "final_answer"
    description = "Gives the final answer to the task and ends the work on it."
    inputs = {"answer": {"type": "any", "description": "The final answer."}}
    output_type = "any"

    def forward(self, answer: Any) -> Any:
        """Return the answer itself."""
        return answer
