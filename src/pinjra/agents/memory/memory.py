"""Memory: the list of steps of a conversation, and what can be read out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy

from pinjra.agents.memory.json import memory_from_json, memory_to_json
from pinjra.agents.memory.steps import (
    ActionStep,
    CompactionStep,
    FinalAnswerStep,
    MemoryStep,
    PlanningStep,
    SystemPromptStep,
    TaskStep,
    step_to_data,
)
from pinjra.models.base import TokenUsage


class AgentMemory:
    """The steps of one conversation.

    Args:
        system_prompt: Becomes the first of `all_steps`.
        steps: Steps after it, of a conversation that goes on.

    Attributes:
        system_prompt: The instructions that the conversation began with.
        steps: All steps after it. A run only appends.
    """

    def __init__(self, system_prompt: str, steps: Iterable[MemoryStep] = ()) -> None:
        self.system_prompt = SystemPromptStep(system_prompt=system_prompt)
        self.steps: list[MemoryStep] = list(steps)

    @property
    def all_steps(self) -> tuple[MemoryStep, ...]:
        """Return all steps, the system prompt first."""
        return (self.system_prompt, *self.steps)

    def append(self, step: MemoryStep) -> None:
        """Add a step at the end."""
        self.steps.append(step)

    def reset(self) -> None:
        """Forget all steps but the system prompt."""
        self.steps.clear()

    def copy(self) -> AgentMemory:
        """Return a memory of copies of the steps: it grows, and its steps change, by itself."""
        return AgentMemory(self.system_prompt.system_prompt, [copy(step) for step in self.steps])

    def token_usage(self) -> TokenUsage:
        """Return the tokens of all steps, those of managed agents included."""
        total = TokenUsage()
        for step in self.all_steps:
            if isinstance(step, ActionStep | PlanningStep | CompactionStep):
                total += step.token_usage
            if isinstance(step, ActionStep):
                for nested in step.nested:
                    total += nested.token_usage
        return total

    def get_full_steps(self) -> list[dict[str, object]]:
        """Return the steps after the system prompt as plain data."""
        return [step_to_data(step) for step in self.steps]

    def get_succinct_steps(self) -> list[dict[str, object]]:
        """Return the steps as plain data without images and nested runs."""
        left_out = ("nested", "observations_images", "task_images")
        return [{k: v for k, v in data.items() if k not in left_out} for data in self.get_full_steps()]

    def return_full_code(self) -> str:
        """Return all code that the steps ran, as one text."""
        codes = [s.code_action for s in self.all_steps if isinstance(s, ActionStep) and s.code_action]
        return "\n\n".join(codes)

    def to_json(self) -> str:
        """Return the steps as versioned JSON; what looks like a secret is masked."""
        return memory_to_json(self.all_steps)

    @classmethod
    def from_json(cls, text: str) -> AgentMemory:
        """Return the memory of `to_json`.

        Raises:
            ConfigurationError: The text is no saved memory, or of a version not known here (the caller's fault).
        """
        first, *rest = memory_from_json(text)
        assert isinstance(first, SystemPromptStep)  # noqa: S101 (checked by memory_from_json)
        return cls(first.system_prompt, rest)

    def replay(self, write: Callable[[str], object] = print, *, detailed: bool = False) -> None:
        """Write the steps as readable text.

        Args:
            detailed: With the system prompt and whole texts; else long texts are cut.
        """
        for step in self.all_steps:
            if detailed or not isinstance(step, SystemPromptStep):
                write(describe_step(step, cut=None if detailed else 2000))


def describe_step(step: MemoryStep, *, cut: int | None = 2000, indent: str = "") -> str:
    """Return a step as readable text, managed agents' steps indented below it."""
    lines = [f"{indent}{line}" for line in _describe(step, cut)]
    if isinstance(step, ActionStep):
        for nested in step.nested:
            lines.append(f"{indent}  ┌ {nested.agent}: {_shorten(nested.task, 200)} [{nested.state}]")
            lines += [
                describe_step(s, cut=cut, indent=indent + "  │ ")
                for s in nested.steps
                if not isinstance(s, SystemPromptStep)
            ]
    return "\n".join(lines)


def _describe(step: MemoryStep, cut: int | None) -> list[str]:
    match step:
        case SystemPromptStep():
            title, body = "System prompt", step.system_prompt
        case TaskStep():
            title, body = "Task", step.task
        case PlanningStep():
            title, body = "Plan", step.plan
        case CompactionStep():
            title, body = f"Summary of the first {step.covers} steps", step.summary
        case FinalAnswerStep():
            title, body = (
                "Final answer",
                repr(step.output) if not isinstance(step.output, str) else step.output,
            )
        case ActionStep():
            return _describe_action(step, cut)
        case _:
            title, body = type(step).__name__, ""
    return [f"── {title}", *_shorten(body, cut).splitlines()]


def _describe_action(step: ActionStep, cut: int | None) -> list[str]:
    use = step.token_usage
    lines = [
        f"── Step {step.step_number}  {step.timing.duration:.1f} s, {use.input_tokens} + {use.output_tokens} tokens"
    ]
    parts = [("", step.thought), ("code", step.code_action or "")]
    parts += [("call", f"{c.name}({c.arguments})") for c in step.json_calls]
    parts += [("observation", step.observations), ("error", str(step.error or ""))]
    for label, text in parts:
        if text:
            lines += ([f"[{label}]"] if label else []) + _shorten(text, cut).splitlines()
    return lines


def _shorten(text: str, cut: int | None) -> str:
    return text if cut is None or len(text) <= cut else f"{text[:cut]} … ({len(text)} characters)"
