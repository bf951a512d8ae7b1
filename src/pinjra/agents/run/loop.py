"""The loop: a run -> its result. Plan, ask, act, observe, record; until an answer, a stop, or no step is left."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from pinjra.agents.errors import (
    AgentBudgetError,
    AgentError,
    AgentGenerationError,
    AgentInterrupted,
    AgentMaxStepsError,
)
from pinjra.agents.memory.messages import to_messages
from pinjra.agents.memory.observation import describe_value
from pinjra.agents.memory.steps import (
    ActionStep,
    FinalAnswerStep,
    MemoryStep,
    PlanningStep,
    StepError,
    Timing,
)
from pinjra.agents.prompts.templates import render
from pinjra.agents.run.compaction import compact
from pinjra.agents.run.completion import ask
from pinjra.agents.run.state import Run, RunResult, RunState
from pinjra.core.events import FinalAnswer, PlanMade, RunFinished, RunStarted, StepFinished, StepStarted
from pinjra.models.base import ChatMessage, TokenUsage, ToolCall

__all__ = ["Draft", "conversation", "drive"]

_FATAL = (AgentInterrupted, AgentBudgetError, AgentGenerationError)
_STATES: dict[type[BaseException], RunState] = {
    AgentInterrupted: "interrupted",
    AgentBudgetError: "budget_error",
}


@dataclass(slots=True, kw_only=True)
class Draft:
    """An action step in the making; frozen into an `ActionStep` when it is over."""

    model_output: str = ""
    thought: str = ""
    code_action: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_results: tuple[str, ...] = ()
    observations: str = ""
    observations_images: tuple[bytes, ...] = ()
    error: BaseException | None = None
    action_output: object = None
    token_usage: TokenUsage = field(default_factory=TokenUsage)
    is_final_answer: bool = False
    notes: tuple[str, ...] = ()


def drive(run: Run) -> tuple[RunResult, BaseException | None]:
    """Return the run's result, and the error that ended it, if one did."""
    run.emit(RunStarted, task=run.task)
    output: object = None
    state: RunState = "error"
    error: BaseException | None = None
    with run.limited(), run.current():
        try:
            output, state = _steps(run)
        except BaseException as raised:  # given back as a value; the caller decides what is raised
            error = raised
            state = _STATES.get(type(raised), "error")
            if isinstance(raised, KeyboardInterrupt):
                run.stop.set(AgentInterrupted("interrupted by the keyboard"))
    result = _result(run, output, state, error)
    if isinstance(error, AgentError):
        error.result = result
        run.note("limit" if state == "budget_error" else "end", state=state, message=str(error))
    usage = result.token_usage
    run.emit(
        RunFinished,
        state=state,
        output=output,
        error=result.error,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        seconds=result.timing.duration,
        money=result.money,
    )
    return result, error


def conversation(run: Run) -> list[ChatMessage]:
    """Return the messages for the next request, compacted where they have grown too long."""
    agent = run.agent
    form = agent.message_form()
    if agent.compaction is not None:
        step = compact(run.memory.all_steps, form, agent.compaction, lambda messages: ask(run, messages))
        if step is not None:
            run.memory.append(step)
    return to_messages(run.memory.all_steps, form)


def _steps(run: Run) -> tuple[object, RunState]:
    agent = run.agent
    for taken in range(run.options.max_steps):
        run.stop.check()
        run.meter.check()
        if agent.planning_interval and taken % agent.planning_interval == 0:
            _plan(run, taken)
        run.step_number += 1
        run.meter.add_step()
        step = _step(run)
        if step.is_final_answer:
            return _finish(run, step.action_output), "success"
    return _finish(run, _last_answer(run)), "max_steps_error"


def _step(run: Run) -> ActionStep:
    run.emit(StepStarted)
    started = time.time()
    draft = Draft()
    try:
        run.agent.act(run, draft)
        if draft.is_final_answer:
            _check_answer(run, draft.action_output)
    except BaseException as error:  # recorded first; what is not the model's to mend is raised again below
        draft.error = error
        draft.is_final_answer = False
    run.failures = 0 if draft.error is None else run.failures + 1
    step = _recorded(run, _frozen(run, draft, started))
    _announce(run, cast("ActionStep", step))
    if draft.error is not None and (
        isinstance(draft.error, _FATAL) or not isinstance(draft.error, AgentError)
    ):
        raise draft.error
    return cast("ActionStep", step)


def _frozen(run: Run, draft: Draft, started: float) -> ActionStep:
    nested, records = run.take_below()
    error = draft.error
    return ActionStep(
        step_number=run.step_number,
        timing=Timing(start_time=started, end_time=time.time()),
        model_output=draft.model_output,
        thought=draft.thought,
        code_action=draft.code_action,
        tool_calls=draft.tool_calls,
        tool_results=draft.tool_results,
        observations=draft.observations,
        observations_images=draft.observations_images,
        error=StepError(type=type(error).__name__, message=str(error)) if error is not None else None,
        action_output=draft.action_output,
        tool_records=records,
        nested=nested,
        token_usage=draft.token_usage,
        is_final_answer=draft.is_final_answer,
        notes=draft.notes,
    )


def _announce(run: Run, step: ActionStep) -> None:
    run.emit(
        StepFinished,
        observation=step.observations,
        error=f"{step.error.type}: {step.error.message}" if step.error else "",
        is_final_answer=step.is_final_answer,
        input_tokens=step.token_usage.input_tokens,
        output_tokens=step.token_usage.output_tokens,
        seconds=step.timing.duration,
        money=run.price.of(step.token_usage) if run.price else 0.0,
        record=step,
    )


def _recorded(run: Run, step: MemoryStep) -> MemoryStep:
    """Return the step as appended to memory: a callback may return another of the same kind in its place."""
    for kind, callback in run.agent.step_callbacks:
        if isinstance(step, kind):
            changed: object = run.resolve(_call(callback, step, agent=run.agent))
            step = changed if isinstance(changed, MemoryStep) and type(changed) is type(step) else step
    run.memory.append(step)
    return step


def _check_answer(run: Run, answer: object) -> None:
    for check in run.agent.final_answer_checks:
        name = getattr(check, "__name__", type(check).__name__)
        try:
            fine = run.resolve(_call(check, answer, run.memory, agent=run.agent))
        except Exception as error:  # the model sees why its answer was not taken
            raise AgentError(
                f"the answer was not accepted: check {name} failed with {type(error).__name__}: {error}"
            ) from error
        if not fine:
            raise AgentError(
                f"the answer was not accepted: check {name} says no; it was {describe_value(answer)[:500]}"
            )


def _call(function: Callable[..., object], *args: object, **named: object) -> object:
    """Call with as many of the arguments as the function takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # builtins without a text signature
        return function(*args[:1])
    kinds = [p.kind for p in parameters]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        args = args[: len([p for p in positional if p.name not in named])]
    takes_all = inspect.Parameter.VAR_KEYWORD in kinds
    names = {p.name for p in parameters}
    return function(*args, **{key: value for key, value in named.items() if takes_all or key in names})


def _plan(run: Run, taken: int) -> None:
    started = time.time()
    texts = run.agent.template("planning")
    variables = run.agent.prompt_variables() | {
        "task": run.task,
        "remaining_steps": run.options.max_steps - taken,
    }
    if taken == 0:
        question = render(texts["initial_plan"], **variables)
    else:
        names = ("update_plan_pre_messages", "update_plan_post_messages")
        question = "\n".join(render(texts[name], **variables) for name in names)
    done = ask(run, [*conversation(run), ChatMessage(role="user", content=question)])
    step = PlanningStep(
        plan=done.text.strip(),
        step_number=run.step_number,
        timing=Timing(start_time=started, end_time=time.time()),
        token_usage=done.usage,
    )
    _recorded(run, step)
    run.emit(PlanMade, plan=step.plan)


def _last_answer(run: Run) -> object:
    """Return the model's answer from what it found, asked for when no step is left; recorded as a step that says so."""
    run.stop.check()
    run.step_number += 1
    started = time.time()
    texts = run.agent.template("final_answer")
    question = "\n".join(render(texts[name], task=run.task) for name in ("pre_messages", "post_messages"))
    draft = Draft()
    limit = run.options.max_steps
    try:
        done = ask(run, [*conversation(run), ChatMessage(role="user", content=question)])
        draft.model_output, draft.token_usage = done.text, done.usage
        draft.action_output = done.text.strip() or f"There is no answer: all {limit} steps are used up."
    except AgentGenerationError as error:
        draft.action_output = (
            f"There is no answer: all {limit} steps are used up, and then the model failed: {error}"
        )
    draft.error = AgentMaxStepsError(f"no final answer within {limit} steps; this is the model's last word")
    step = cast("ActionStep", _recorded(run, _frozen(run, draft, started)))
    run.note("limit", limit="max_steps", message=str(draft.error))
    _announce(run, step)
    return step.action_output


def _finish(run: Run, output: object) -> object:
    step = cast("FinalAnswerStep", _recorded(run, FinalAnswerStep(output=output)))
    run.emit(FinalAnswer, value=step.output)
    return step.output


def _result(run: Run, output: object, state: RunState, error: BaseException | None) -> RunResult:
    return RunResult(
        output=output,
        state=state,
        memory=run.memory,
        token_usage=run.meter.usage,
        timing=Timing(start_time=run.started, end_time=time.time()),
        money=run.meter.money,
        error=f"{type(error).__name__}: {error}" if error is not None else "",
        run_id=run.id,
    )
