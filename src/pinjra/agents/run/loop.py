"""The loop: a run -> its result. Plan, ask, act, observe, record; until an answer, a stop, or no step is left."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pinjra.agents.errors import (
    AgentBudgetError,
    AgentError,
    AgentGenerationError,
    AgentInterrupted,
    AgentMaxStepsError,
    AgentParsingError,
    recorded_error,
)
from pinjra.agents.memory.messages import to_messages
from pinjra.agents.memory.steps import ActionStep, FinalAnswerStep, MemoryStep, PlanningStep, Timing
from pinjra.agents.prompts.templates import render
from pinjra.agents.run.compaction import compact
from pinjra.agents.run.completion import ask
from pinjra.agents.run.results import RunResult, RunState
from pinjra.agents.run.state import Outcome, Run
from pinjra.agents.run.traced import traced_plan
from pinjra.core.events import FinalAnswer, PlanMade, RunFinished, RunStarted, StepFinished, StepStarted
from pinjra.core.value_text import describe_value
from pinjra.models.base import ChatMessage, TokenUsage

S = TypeVar("S", bound=MemoryStep)
Answer = tuple[object, RunState]
_FATAL = (AgentInterrupted, AgentBudgetError, AgentGenerationError)
_STOPS: dict[type[BaseException], str] = {
    KeyboardInterrupt: "interrupted by the keyboard",
    asyncio.CancelledError: "the caller stopped waiting",
}
_STATES: dict[type[BaseException], RunState] = {
    AgentInterrupted: "interrupted",
    asyncio.CancelledError: "interrupted",
    AgentBudgetError: "budget_error",
    AgentMaxStepsError: "max_steps_error",
}


async def drive(run: Run, work: Callable[[Run], Awaitable[Answer]]) -> Outcome:
    """Return the run's result, and the error that ended it, if one did; its answer is what `work` gives."""
    run.emit(RunStarted, task=run.options.task)
    output: object = None
    state: RunState = "error"
    error: BaseException | None = None
    with run.limited(), run.current():
        try:
            output, state = await work(run)
        except BaseException as raised:  # given back as a value; the caller decides what is raised
            error, state = raised, _STATES.get(type(raised), "error")
    result = await _result(run, output, state, error)
    if isinstance(error, AgentError):
        error.result = result
        run.note("limit" if state == "budget_error" else "end", state=state, message=str(error))
    run.emit(
        RunFinished,
        state=state,
        output=output,
        error=result.error,
        input_tokens=result.token_usage.input_tokens,
        output_tokens=result.token_usage.output_tokens,
        seconds=result.timing.duration,
        money=result.money,
    )
    return result, error


async def _result(run: Run, output: object, state: RunState, error: BaseException | None) -> RunResult:
    return RunResult(
        output=output,
        state=state,
        memory=run.memory,
        token_usage=run.meter.usage,
        timing=Timing(run.started, time.time()),
        money=run.meter.money,
        error=f"{type(error).__name__}: {error}" if error is not None else "",
        run_id=run.id,
        files=await run.waits.do(run.files_kept) if run.files else {},
        artifacts=tuple(run.artifacts),
    )


async def conversation(run: Run) -> list[ChatMessage]:
    """Return the messages for the next request, compacted where they have grown too long."""
    agent = run.agent
    form = agent.message_form()
    if agent.compaction is not None:
        step = await compact(
            run.memory.all_steps, form, agent.compaction, lambda messages: ask(run, messages)
        )
        if step is not None:
            run.memory.append(step)
    return to_messages(run.memory.all_steps, form)


async def steps(run: Run) -> Answer:
    """Return the final answer of a run that goes step by step, and how it ended."""
    agent = run.agent
    for taken in range(run.options.max_steps):
        run.stop.check()
        run.meter.check()
        if agent.planning_interval and taken % agent.planning_interval == 0:
            await _plan(run, taken)
        run.step_number += 1
        run.meter.add("steps")
        step = await _step(run)
        if step.is_final_answer:
            return await _finish(run, step.action_output), "success"
    return await _finish(run, await _last_answer(run)), "max_steps_error"


async def _step(run: Run) -> ActionStep:
    run.emit(StepStarted)
    step = ActionStep(step_number=run.step_number)
    try:
        await act(run, step)
    finally:  # recorded also where the error ends the run
        step = await _ended(run, step)
    return step


async def act(run: Run, step: ActionStep) -> None:
    """Let the agent act and write what came of it into `step`; what is not the model's to mend is raised."""
    try:
        # On no loop of its own: asyncio.run() makes a wish to cancel of Ctrl-C, of which what blocks hears nothing.
        if (acting := run.agent.act(run, step)) is not None:
            await acting
        if step.is_final_answer:
            step.action_output = await _checked_answer(run, step.action_output)
    except BaseException as error:
        if word := _STOPS.get(type(error)):
            run.stop.set(AgentInterrupted(word))  # what works below this run ends too
        step.error, step.is_final_answer = (
            recorded_error(run.stop.reason if word and run.stop.reason else error),
            False,
        )
        if isinstance(error, _FATAL) or not isinstance(error, AgentError):
            raise
    finally:
        run.failures = 0 if step.error is None else run.failures + 1
        step.timing.end_time = time.time()


async def _ended(run: Run, step: ActionStep) -> ActionStep:
    """Return the step as recorded, with what happened below it."""
    step.timing.end_time = step.timing.end_time or time.time()
    if run.stop.reason is not None:  # which runs below have heard too: what they did is recorded here
        await run.waits.until(run.none_below)
    step.nested, step.tool_records = run.take_below()
    step = await _called_back(run, step)
    run.memory.append(step)
    run.emit(
        StepFinished,
        observation=step.observations,
        error=f"{step.error.type}: {step.error}" if step.error else "",
        is_final_answer=step.is_final_answer,
        input_tokens=step.token_usage.input_tokens,
        output_tokens=step.token_usage.output_tokens,
        seconds=step.timing.duration,
        money=run.price.of(step.token_usage) if run.price else 0.0,
        record=step,
    )
    return step


async def _called_back(run: Run, step: S) -> S:
    """Return the step as its callbacks leave it: they may change it, or return another of its class in its place."""
    for kind, callback in run.agent.step_callbacks:
        if isinstance(step, kind):
            changed: Any = await run.waits.result(_call(callback, step, agent=run.agent))
            step = changed if type(changed) is type(step) else step
    return step


async def _checked_answer(run: Run, answer: object) -> object:
    """Return the answer as the run's caller wants it.

    Raises:
        AgentError: It is not accepted; the message tells the model why.
    """
    if run.options.answer is not None:
        answer = run.options.answer.converted(answer)
    for check in run.agent.final_answer_checks:
        name = getattr(check, "__name__", type(check).__name__)
        try:
            fine = await run.waits.result(_call(check, answer, run.memory, agent=run.agent))
        except Exception as error:  # the model sees why its answer was not taken
            raise AgentError(
                f"the answer was not accepted: check {name} failed with {type(error).__name__}: {error}"
            ) from error
        if not fine:
            raise AgentError(
                f"the answer was not accepted: check {name} says no; it was {describe_value(answer)[:500]}"
            )
    return answer


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


async def _plan(run: Run, taken: int) -> None:
    timing = Timing(time.time())
    texts = run.agent.template("planning")
    variables = run.agent.prompt_variables() | {
        "task": run.options.task,
        "remaining_steps": run.options.max_steps - taken,
    }
    names = ["initial_plan"] if taken == 0 else ["update_plan_pre_messages", "update_plan_post_messages"]
    with traced_plan(run):
        text, usage = await _asked(run, "\n".join(render(texts[name], **variables) for name in names))
    timing.end_time = time.time()
    step = PlanningStep(plan=text.strip(), step_number=run.step_number, timing=timing, token_usage=usage)
    step = await _called_back(run, step)
    run.memory.append(step)
    run.emit(PlanMade, plan=step.plan)


async def _asked(run: Run, question: str) -> tuple[str, TokenUsage]:
    """Return what the model says to a question about its work; "" where it is not to be read."""
    try:
        done = await ask(run, [*await conversation(run), ChatMessage(role="user", content=question)])
    except AgentParsingError:
        return "", TokenUsage()
    return done.text, done.usage


async def _last_answer(run: Run) -> object:
    """Return the model's answer from what it found, asked for when no step is left; recorded as a step that says so."""
    run.stop.check()
    run.step_number += 1
    texts = run.agent.template("final_answer")
    question = "\n".join(
        render(texts[name], task=run.options.task) for name in ("pre_messages", "post_messages")
    )
    step = ActionStep(step_number=run.step_number)
    limit = run.options.max_steps
    try:
        step.model_output, step.token_usage = await _asked(run, question)
        step.action_output = (
            step.model_output.strip() or f"There is no answer: all {limit} steps are used up."
        )
    except AgentGenerationError as error:
        step.action_output = (
            f"There is no answer: all {limit} steps are used up, and then the model failed: {error}"
        )
    step.error = AgentMaxStepsError(f"no final answer within {limit} steps; this is the model's last word")
    run.note("limit", limit="max_steps", message=str(step.error))
    return _last_word(run, await _ended(run, step))


def _last_word(run: Run, step: ActionStep) -> object:
    """Return what a run without steps left answers; where a type is wanted, only an answer of that type."""
    if run.options.answer is None:
        return step.action_output
    try:
        return run.options.answer.converted(step.action_output)
    except AgentError as error:
        raise AgentMaxStepsError(
            f"no final answer within {run.options.max_steps} steps; the model's last word: {error}"
        ) from error


async def _finish(run: Run, output: object) -> object:
    step = await _called_back(run, FinalAnswerStep(output=output))
    run.emit(FinalAnswer, value=step.output)
    return step.output
