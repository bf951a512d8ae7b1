"""What memory is made of: one dataclass a kind of step, and any step as plain data.

An action step is written while it is made; then callbacks see it, which may change it, and from then on it stays as it is, so
that a prompt's beginning stays the same.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field, fields, is_dataclass

from pinjra.agents.errors import AgentError
from pinjra.core.execution import Artifact
from pinjra.core.json_data import plain
from pinjra.models.base import TokenUsage, ToolCall, image_bytes


@dataclass(slots=True)
class Timing:
    """When something began and ended, in seconds since the epoch; `end_time` is None until then."""

    start_time: float
    end_time: float | None = None

    @property
    def duration(self) -> float:
        """Return the seconds between; 0 until it ends."""
        return self.end_time - self.start_time if self.end_time is not None else 0.0

    def dict(self) -> dict[str, float | None]:
        """Return it as a dictionary, with the duration."""
        return {"start_time": self.start_time, "end_time": self.end_time, "duration": self.duration}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRecord:
    """One tool call that a step made. Long arguments and the result are cut text; the code had the objects themselves."""

    call: str
    name: str
    arguments: dict[str, object]
    result: str = ""
    error: str = ""
    seconds: float = 0.0


@dataclass
class MemoryStep:
    """Base of all steps. Callbacks may change them, and note things of their own on them."""

    def dict(self) -> dict[str, object]:
        """Return the step as plain data that JSON can hold."""
        return step_to_data(self)


@dataclass(kw_only=True)
class SystemPromptStep(MemoryStep):
    """The instructions that the run began with. Always the first step."""

    system_prompt: str


@dataclass(kw_only=True)
class TaskStep(MemoryStep):
    """What the caller asked for. `variables` are the names of additional arguments."""

    task: str
    task_images: tuple[bytes, ...] = field(default=(), repr=False)
    variables: tuple[str, ...] = ()


@dataclass(kw_only=True)
class PlanningStep(MemoryStep):
    """A plan that the model made."""

    plan: str
    step_number: int
    timing: Timing
    token_usage: TokenUsage = field(default_factory=TokenUsage)


@dataclass(slots=True, kw_only=True)
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


@dataclass(kw_only=True)
class ActionStep(MemoryStep):
    """One turn: what the model wrote, what ran, and what came of it.

    Args:
        model_output: The model's text, whole.
        tool_calls: What the model asked for; code is one call of "python_interpreter", with the code as its arguments, as
            users of smolagents read it.
        error: Why the step failed, or None; without traceback.
        observations: What the model sees of the outcome, before it is cut for the prompt.
        action_output: The code's value, or the final answer: the object itself.
        tool_records: Every tool call that the step made, in the order of their ends.
        artifacts: What the code displayed.
        token_usage: Of this step's own model call; `nested` have their own.
    """

    step_number: int
    timing: Timing = field(default_factory=lambda: Timing(time.time()))
    model_output: str = ""
    thought: str = ""
    code_action: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_results: tuple[str, ...] = ()
    observations: str = ""
    observations_images: tuple[bytes, ...] = field(default=(), repr=False)
    error: AgentError | None = None
    action_output: object = field(default=None, repr=False)
    tool_records: tuple[ToolRecord, ...] = ()
    nested: tuple[NestedRun, ...] = ()
    token_usage: TokenUsage = field(default_factory=TokenUsage)
    is_final_answer: bool = False
    notes: tuple[str, ...] = ()
    artifacts: tuple[Artifact, ...] = field(default=(), repr=False)

    @property
    def json_calls(self) -> tuple[ToolCall, ...]:
        """Return the calls that the model wrote as such: none for code."""
        return () if self.code_action is not None else self.tool_calls


@dataclass(kw_only=True)
class CompactionStep(MemoryStep):
    """Stands, in the prompt, for the steps before it up to number `covers` of the memory's list (from 0, exclusive).

    The steps themselves stay in memory.
    """

    summary: str
    covers: int
    token_usage: TokenUsage = field(default_factory=TokenUsage)


@dataclass(kw_only=True)
class FinalAnswerStep(MemoryStep):
    """The run's answer: the object itself."""

    output: object


# What a step of each kind is called in saved data.
KINDS: dict[str, type[MemoryStep]] = {
    "system_prompt": SystemPromptStep,
    "task": TaskStep,
    "planning": PlanningStep,
    "action": ActionStep,
    "compaction": CompactionStep,
    "final_answer": FinalAnswerStep,
}
_NAMES = {cls: name for name, cls in KINDS.items()}
_OBJECTS = ("action_output", "output")  # fields that hold values of the user's own


def step_to_data(step: MemoryStep) -> dict[str, object]:
    """Return a step as plain data that JSON can hold, with its kind; secrets are masked."""
    data: dict[str, object] = {"kind": _NAMES.get(type(step), type(step).__name__)}
    return data | {f.name: _field(f.name, getattr(step, f.name)) for f in fields(step)}


def _field(name: str, value: object) -> object:
    if name in _OBJECTS:
        return plain(value)
    if name.endswith("images"):  # callbacks may have put pictures there
        return [base64.b64encode(image_bytes(image)).decode() for image in value or ()]  # type: ignore[attr-defined]  # a list of them
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple | list):
        return [_field("", item) for item in value]
    if isinstance(value, MemoryStep):
        return step_to_data(value)
    if isinstance(value, AgentError):
        return value.dict()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _field(f.name, getattr(value, f.name)) for f in fields(value)}
    return plain(value)
