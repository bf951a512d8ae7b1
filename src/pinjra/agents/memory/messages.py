"""Memory -> chat messages. Each step always gives the same messages, so the prompt's prefix stays the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pinjra.agents.errors import AgentBudgetError, AgentError, AgentGenerationError, AgentInterrupted
from pinjra.agents.memory.observation import DEFAULT_LENGTH, as_data
from pinjra.agents.memory.steps import (
    ActionStep,
    CompactionStep,
    MemoryStep,
    PlanningStep,
    SystemPromptStep,
    TaskStep,
)
from pinjra.core.safe_text import cut_middle
from pinjra.models.base import ChatMessage, image_bytes
from pinjra.models.text_calls import call_line, result_line

_LONGEST_ANSWER = 100_000  # characters shown of what a model wrote: more than any writes that is not looping
# errors that the model did nothing for
_NOT_THE_MODELS = (AgentGenerationError, AgentInterrupted, AgentBudgetError)
_RETRY = "Find the cause and try another way; do not repeat the same code."


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageForm:
    """How steps are shown.

    Args:
        length: Characters of one observation.
        examples: Turns after the system prompt.
        plain: For small models: an action only as the model is to write it (code in a fence, calls as JSON objects, one a
            line), and no failed steps: such models do not recover by seeing them, they get fresh attempts.
    """

    length: int = DEFAULT_LENGTH
    examples: tuple[ChatMessage, ...] = ()
    plain: bool = False


def to_messages(steps: Sequence[MemoryStep], form: MessageForm) -> list[ChatMessage]:
    """Return the conversation so far.

    Steps covered by a compaction are left out, except the system prompt and the first task.
    """
    messages: list[ChatMessage] = []
    last = next((step for step in reversed(steps) if isinstance(step, CompactionStep)), None)
    covers = 0 if last is None else last.covers
    first_task = next((number for number, step in enumerate(steps) if isinstance(step, TaskStep)), 0)
    for number, step in enumerate(steps):
        if last is not None and number == covers:
            messages += _step(last, form)
        if number not in (0, first_task) and (number < covers or isinstance(step, CompactionStep)):
            continue
        messages += _step(step, form)
        if number == 0:
            messages += form.examples
    return messages


def estimate_tokens(messages: Iterable[ChatMessage]) -> int:
    """Return about how many tokens messages have: four characters a token, a thousand an image."""
    return sum(len(m.content) // 4 + 4 + 1000 * len(m.images) for m in messages)


def _step(step: MemoryStep, form: MessageForm) -> list[ChatMessage]:
    match step:
        case SystemPromptStep():
            return [ChatMessage(role="system", content=step.system_prompt)]
        case TaskStep():
            content = step.task if form.plain else f"New task:\n{step.task}"
            return [ChatMessage(role="user", content=content, images=_images(step.task_images))]
        case PlanningStep():
            return [
                ChatMessage(role="assistant", content=step.plan),
                ChatMessage(role="user", content="Now carry out this plan, step by step."),
            ]
        case CompactionStep():
            return [
                ChatMessage(
                    role="user", content=f"Summary of the steps so far:\n{as_data(step.summary, 10**9)}"
                )
            ]
        case ActionStep():
            return _action(step, form)
        case _:
            return []  # a final answer: the action step before it shows the same


def _action(step: ActionStep, form: MessageForm) -> list[ChatMessage]:
    if step.error is not None and (form.plain or _says_nothing(step)):
        return []
    if step.json_calls:
        return _plain_calls(step, form) if form.plain else _calls(step, form)
    written = f"```python\n{step.code_action}\n```" if form.plain and step.code_action else step.model_output
    written = cut_middle(written, _LONGEST_ANSWER)
    messages = [ChatMessage(role="assistant", content=written)] if written else []
    seen = _observation(step, form)
    if seen or step.observations_images:
        messages.append(ChatMessage(role="user", content=seen, images=_images(step.observations_images)))
    return messages


def _images(images: Iterable[object] | None) -> tuple[bytes, ...]:
    """Return images as files: callbacks may have put pictures into a step, or None."""
    return tuple(image_bytes(image) for image in images or ())


def _says_nothing(step: ActionStep) -> bool:
    """Whether the step ended before the model had said anything: there is nothing for it to learn."""
    return isinstance(step.error, _NOT_THE_MODELS) and not step.model_output and not step.json_calls


def _observation(step: ActionStep, form: MessageForm) -> str:
    parts = [f"Observation:\n{as_data(step.observations, form.length)}"] if step.observations else []
    if step.error is not None:
        parts.append(_error(step.error, form))
    return "\n".join(parts)


def _error(error: AgentError, form: MessageForm) -> str:
    said = as_data(error.message, form.length)
    if isinstance(error, _NOT_THE_MODELS):
        return f"This step did not end, through no fault of yours:\n{said}"
    return f"Error:\n{said}\n{_RETRY}"


def _calls(step: ActionStep, form: MessageForm) -> list[ChatMessage]:
    written = cut_middle(step.model_output, _LONGEST_ANSWER)
    messages = [ChatMessage(role="assistant", content=written, tool_calls=step.tool_calls)]
    results = step.tool_results or ("",) * len(step.tool_calls)
    for call, result in zip(step.tool_calls, results, strict=False):
        messages.append(ChatMessage(role="tool", content=as_data(result, form.length), tool_call_id=call.id))
    if step.error is not None:
        messages.append(ChatMessage(role="user", content=_error(step.error, form)))
    return messages


def _plain_calls(step: ActionStep, form: MessageForm) -> list[ChatMessage]:
    results = step.tool_results or ("",) * len(step.tool_calls)
    seen = "\n".join(
        result_line(c.name, c.arguments, r) for c, r in zip(step.tool_calls, results, strict=False)
    )
    return [
        ChatMessage(
            role="assistant", content="\n".join(call_line(c.name, c.arguments) for c in step.tool_calls)
        ),
        ChatMessage(role="user", content=f"Observation:\n{as_data(seen, form.length)}"),
    ]
