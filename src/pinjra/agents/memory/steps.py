"""What memory is made of: one frozen dataclass a kind of step. Steps are never changed, only appended."""

from __future__ import annotations

from dataclasses import dataclass, field

from pinjra.models.base import TokenUsage, ToolCall

__all__ = [
    "ActionStep",
    "CompactionStep",
    "FinalAnswerStep",
    "MemoryStep",
    "NestedRun",
    "PlanningStep",
    "StepError",
    "SystemPromptStep",
    "TaskStep",
    "Timing",
    "ToolRecord",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When something began and ended, in seconds since the epoch."""

    start_time: float
    end_time: float

    @property
    def duration(self) -> float:
        """Return the seconds between."""
        return self.end_time - self.start_time

    def dict(self) -> dict[str, float]:
        """Return it as a dictionary, with the duration."""
        return {"start_time": self.start_time, "end_time": self.end_time, "duration": self.duration}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepError:
    """Why a step failed: an error as data. `type` is the class's name in `pinjra.agents.errors`."""

    type: str
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRecord:
    """One tool call that a step made. Long arguments and the result are cut text; the code had the objects themselves."""

    call: str
    name: str
    arguments: dict[str, object]
    result: str = ""
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class MemoryStep:
    """Base of all steps."""

    def dict(self) -> dict[str, object]:
        """Return the step as plain data that JSON can hold."""
        from pinjra.agents.memory.json import step_to_data  # it imports this module

        return step_to_data(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPromptStep(MemoryStep):
    """The instructions that the run began with. Always the first step."""

    system_prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStep(MemoryStep):
    """What the caller asked for. `variables` are the names of additional arguments."""

    task: str
    task_images: tuple[bytes, ...] = field(default=(), repr=False)
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningStep(MemoryStep):
    """A plan that the model made."""

    plan: str
    step_number: int
    timing: Timing
    token_usage: TokenUsage = field(default_factory=TokenUsage)


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedRun:
    """A managed agent's run, under the step that called it.

    Args:
        token_usage: Of that run and of those below it.
    """

    run_id: str
    agent: str
    task: str
    state: str
    steps: tuple[MemoryStep, ...]
    token_usage: TokenUsage
    timing: Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionStep(MemoryStep):
    """One turn: what the model wrote, what ran, and what came of it.

    Args:
        model_output: The model's text, whole.
        tool_calls: What a JSON agent's model asked for; empty for code.
        observations: What the model sees of the outcome, before it is cut for the prompt.
        action_output: The code's value, or the final answer: the object itself.
        tool_records: Every tool call that the step made, in the order of their ends.
        token_usage: Of this step's own model call; `nested` have their own.
    """

    step_number: int
    timing: Timing
    model_output: str = ""
    thought: str = ""
    code_action: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_results: tuple[str, ...] = ()
    observations: str = ""
    observations_images: tuple[bytes, ...] = field(default=(), repr=False)
    error: StepError | None = None
    action_output: object = field(default=None, repr=False)
    tool_records: tuple[ToolRecord, ...] = ()
    nested: tuple[NestedRun, ...] = ()
    token_usage: TokenUsage = field(default_factory=TokenUsage)
    is_final_answer: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionStep(MemoryStep):
    """Stands, in the prompt, for the steps before it up to number `covers` of the memory's list (from 0, exclusive).

    The steps themselves stay in memory.
    """

    summary: str
    covers: int
    token_usage: TokenUsage = field(default_factory=TokenUsage)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalAnswerStep(MemoryStep):
    """The run's answer: the object itself."""

    output: object
