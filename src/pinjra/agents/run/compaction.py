"""A conversation that grew too long -> a CompactionStep that stands for its older steps in the prompt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pinjra.agents.memory.memory import describe_step
from pinjra.agents.memory.messages import MessageForm, estimate_tokens, to_messages
from pinjra.agents.memory.steps import ActionStep, CompactionStep, MemoryStep, SystemPromptStep, TaskStep
from pinjra.agents.prompts.templates import shipped
from pinjra.executors.parameters import CheckedConstructor
from pinjra.models.base import ChatMessage, Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction(metaclass=CheckedConstructor):
    """When and how older steps leave the prompt. They stay in memory.

    Args:
        above_tokens: Estimated size of the prompt above which it is done.
        keep_steps: The newest action steps stay as they are.
        by: "summary" asks the model; "truncation" keeps one line a step.
    """

    above_tokens: int = 24_000
    keep_steps: int = 4
    by: Literal["summary", "truncation"] = "summary"


async def compact(
    steps: Sequence[MemoryStep],
    form: MessageForm,
    policy: Compaction,
    ask: Callable[[list[ChatMessage]], Awaitable[Completion]],
) -> CompactionStep | None:
    """Return the step to append, or None while the prompt is small enough or nothing can be left out.

    Args:
        ask: Gets the model's answer, for a summary.
    """
    if estimate_tokens(to_messages(steps, form)) <= policy.above_tokens:
        return None
    actions = [number for number, step in enumerate(steps) if isinstance(step, ActionStep)]
    covers = actions[-policy.keep_steps] if len(actions) > policy.keep_steps else 0
    previous = max((s.covers for s in steps if isinstance(s, CompactionStep)), default=0)
    if covers <= max(previous, 2):
        return None
    older = [s for s in steps[:covers] if not isinstance(s, SystemPromptStep)]
    if policy.by == "truncation":
        return CompactionStep(summary=_one_line_each(older), covers=covers)
    text = "\n".join(describe_step(step, cut=1500) for step in older)[: policy.above_tokens * 3]
    done = await ask([ChatMessage(role="user", content=f"{shipped('summary')}\n{text}")])
    return CompactionStep(
        summary=done.text.strip() or _one_line_each(older), covers=covers, token_usage=done.usage
    )


def _one_line_each(steps: Sequence[MemoryStep]) -> str:
    lines = []
    for step in steps:
        if isinstance(step, ActionStep):
            outcome = f"failed: {step.error.message}" if step.error else step.observations
            lines.append(f"Step {step.step_number}: {_line(step.thought)} -> {_line(outcome)}")
        elif isinstance(step, TaskStep):
            lines.append(f"Task: {_line(step.task)}")
        elif isinstance(step, CompactionStep):
            lines.append(step.summary)
    return "\n".join(lines)


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
