"""A saved run -> the events that it was made of, for any view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pinjra.agents.memory.steps import ActionStep, MemoryStep, NestedRun, PlanningStep, TaskStep, ToolRecord
from pinjra.core import events as e


def replay(
    steps: Iterable[MemoryStep], *, agent: str = "agent", run_id: str = "replay", depth: int = 0
) -> Iterator[e.Event]:
    """Yield the events of saved steps, in order, with the figures that they had.

    Args:
        agent: Name for the outermost run; a saved memory does not hold it.
    """
    for step in steps:
        number = getattr(step, "step_number", 0)
        where: dict[str, Any] = {"run_id": run_id, "agent": agent, "depth": depth, "step": number}
        match step:
            case TaskStep():
                yield e.RunStarted(**where, task=step.task)
            case PlanningStep():
                yield e.PlanMade(**where, plan=step.plan)
            case ActionStep():
                yield from _action(step, where)
            case _:
                pass


def _action(step: ActionStep, where: dict[str, Any]) -> Iterator[e.Event]:
    yield e.StepStarted(**where)
    if step.code_action is not None:
        yield e.CodeReady(**where, code=step.code_action, thought=step.thought)
    for record in step.tool_records:
        yield from _tool(record, where)
    for nested in step.nested:
        yield from _nested(nested, where)
    if step.observations:
        yield e.OutputText(**where, stream="stdout", text=step.observations)
    yield e.StepFinished(
        **where,
        observation=step.observations,
        error=f"{step.error.type}: {step.error.message}" if step.error else "",
        is_final_answer=step.is_final_answer,
        input_tokens=step.token_usage.input_tokens,
        output_tokens=step.token_usage.output_tokens,
        seconds=step.timing.duration,
    )
    if step.is_final_answer or (step.error is not None and step.error.type == "AgentMaxStepsError"):
        yield e.FinalAnswer(**where, value=step.action_output)


def _tool(record: ToolRecord, where: dict[str, Any]) -> Iterator[e.Event]:
    yield e.ToolCalled(**where, call=record.call, name=record.name, arguments=record.arguments)
    yield e.ToolReturned(
        **where,
        call=record.call,
        name=record.name,
        value=record.result,
        error=record.error,
        seconds=record.seconds,
    )


def _nested(nested: NestedRun, where: dict[str, Any]) -> Iterator[e.Event]:
    depth = where["depth"] + 1
    yield from replay(nested.steps, agent=nested.agent, run_id=nested.run_id, depth=depth)
    yield e.RunFinished(
        run_id=nested.run_id,
        agent=nested.agent,
        depth=depth,
        state=nested.state,
        input_tokens=nested.token_usage.input_tokens,
        output_tokens=nested.token_usage.output_tokens,
        seconds=nested.timing.duration,
    )
