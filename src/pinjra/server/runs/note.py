"""What is kept of a run of an agent beside its events: `run.json` in its folder, and what clients are told of it."""

from __future__ import annotations

import time
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Approval = Literal["", "code", "tools", "all"]
State = Literal["running", "success", "max_steps_error", "budget_error", "interrupted", "error"]


class RunFacts(BaseModel):
    """What clients are told.

    Args:
        approval: What waits for a person.
        state: "running", or as `RunResult.state`.
        parent, branch_step: The run and the step that this one branched off from.
        executor, model, tools: What the task chose instead of the settings; None for theirs.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    agent: str
    task: str
    approval: Approval = ""
    state: State = "running"
    started: float = Field(default_factory=time.time)
    ended: float | None = None
    seconds: float = 0.0
    steps: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    money: float = 0.0
    error: str = ""
    parent: str | None = None
    branch_step: int | None = None
    executor: str | None = None
    model: str | None = None
    tools: list[str] | None = None


class RunNote(RunFacts):
    """What is kept. `files` are names and sizes of what code wrote; number N is `files/N`."""

    tenant: str
    files: list[tuple[str, int]] = Field(default_factory=list)
