"""RunResult: what came of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal

from pinjra.agents.memory.memory import AgentMemory
from pinjra.agents.memory.steps import Timing
from pinjra.core.execution import Artifact, save_artifacts
from pinjra.core.guest_files import GuestFile, save_all
from pinjra.models.base import TokenUsage

if TYPE_CHECKING:  # a default for type variables came with Python 3.13
    from typing_extensions import TypeVar

    T_co = TypeVar("T_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)

RunState = Literal["success", "max_steps_error", "budget_error", "interrupted", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult(Generic[T_co]):
    """What came of a run.

    Args:
        output: The final answer: the object itself, of the run's `output_type`; None where there is none.
        state: "success"; "max_steps_error" (then `output` is the model's last answer); "budget_error", "interrupted" or
            "error" (then `error` says more).
        memory: The steps themselves; `agent.resume(result.memory)` goes on with them.
        token_usage: Of the whole run, managed agents included.
        files: What code wrote into its folder, by name; see `Execution.files`. Up to 64 MiB live on without the session.
        artifacts: What code displayed, in the order of the steps.
        money: By the budget's price; 0 without one.
    """

    output: T_co
    state: RunState
    memory: AgentMemory = field(repr=False)
    token_usage: TokenUsage
    timing: Timing
    money: float = 0.0
    error: str = ""
    run_id: str = ""
    files: Mapping[str, GuestFile] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()

    @property
    def steps(self) -> list[dict[str, object]]:
        """Return the memory's steps as plain data."""
        return self.memory.get_full_steps()

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write all `files` and `artifacts` into a folder of this machine; return where they are."""
        return [*save_all(self.files, folder), *save_artifacts(self.artifacts, folder)]

    def dict(self) -> dict[str, object]:
        """Return everything as a dictionary; `output` as it is."""
        return {
            "output": self.output,
            "state": self.state,
            "steps": self.steps,
            "token_usage": self.token_usage.dict(),
            "timing": self.timing.dict(),
            "money": self.money,
            "error": self.error,
            "run_id": self.run_id,
        }
