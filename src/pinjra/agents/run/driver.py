"""RunOptions -> a run, or several attempts of which one is chosen: opens its session, drives it, keeps what is left.

Small models gain little by attempts (0.5B: 26 of 42 questions alone, 28 with a vote of five, at three times the time; see
`bench/questions.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from pinjra.agents.errors import AgentBudgetError, AgentError, AgentInterrupted, AgentMaxStepsError
from pinjra.agents.memory.memory import AgentMemory
from pinjra.agents.memory.steps import ActionStep, NestedRun, TaskStep
from pinjra.agents.printing import printer
from pinjra.agents.run.budget import Budget
from pinjra.agents.run.loop import Answer, act, drive, steps
from pinjra.agents.run.options import RunOptions
from pinjra.agents.run.results import RunResult
from pinjra.agents.run.sessions import LastRun
from pinjra.agents.run.state import CURRENT_RUN, AgentSpec, Outcome, Run, Sink
from pinjra.agents.run.traced import traced_run
from pinjra.core.errors import ConfigurationError, ExecutorUnavailable
from pinjra.core.events import FinalAnswer
from pinjra.core.files import GivenFile, describe_files, is_text
from pinjra.core.safe_text import cut_middle
from pinjra.core.value_text import describe_value

_FIRST_TEMPERATURE = 0.0
_OTHER_TEMPERATURE = 0.7
_SHORT_BYTES = 256 << 10  # of a file whose first lines are looked at, in a folder that was filled before


async def execute(agent: AgentSpec, options: RunOptions, sink: Sink | None = None) -> Outcome:
    """Return the result of a run, and the error that ended it, if one did; on the loop of `options`, or in this thread.

    Args:
        sink: Takes the events; without one they go to the run above, or are printed as `verbosity_level` says.
    """
    with traced_run(agent, options) as trace:
        votes = agent.vote > 1 and options.memory is None
        done = await (_voted if votes else _once)(agent, options, sink)
        trace(*done)
        return done


async def _once(agent: AgentSpec, options: RunOptions, sink: Sink | None = None) -> Outcome:
    left = agent.last_runs.take(reset=options.reset) if options.keep else None
    run: Run | None = None
    try:
        run = _prepare(agent, options, left, sink)
        return await _driven(run)
    finally:
        if run is None:
            _abandon(agent, options, left)
        else:
            await run.waits.do(partial(_finish, run))


async def _voted(agent: AgentSpec, options: RunOptions, sink: Sink | None) -> Outcome:
    run = _prepare(agent, options, None, sink)
    agent.track(run, active=True)
    with run.counted():
        try:
            run.result, error = await drive(run, _attempts)
            _tell_parent(run, run.result, 0)
        finally:
            agent.track(run, active=False)
    if options.keep:
        agent.last_runs.keep(LastRun(run.memory, None, result=run.result), continued=False)
    return run.result, error


async def _attempts(run: Run) -> Answer:
    """Return the answer that most attempts give, the earliest of equals; stops early when no other can win any more."""
    votes = run.agent.vote
    outcomes: list[Outcome] = []
    answers: Counter[str] = Counter()
    for number in range(votes):
        run.stop.check()
        run.meter.check()
        temperature = _OTHER_TEMPERATURE if number else _FIRST_TEMPERATURE
        own = Budget(price=run.budget.price)  # what is used counts for the run above
        attempt = replace(run.options, keep=False, stop=None, temperature=temperature, budget=own)
        result, error = await _once(run.agent, attempt)
        run.stop.check()
        if error is not None and (isinstance(error, AgentInterrupted) or not isinstance(error, AgentError)):
            raise error
        outcomes.append((result, error))
        if result.state == "success":
            answers[_key(result.output)] += 1
            if max(answers.values()) * 2 > votes:
                break
    best = answers.most_common(1)[0][0] if answers else None
    won, error = outcomes[0]  # without any success the first says why
    if best is not None:
        won, error = next(o for o in outcomes if o[0].state == "success" and _key(o[0].output) == best)
    run.memory, run.files, run.artifacts = won.memory, dict(won.files), list(won.artifacts)
    if error is not None:
        raise error
    run.emit(FinalAnswer, value=won.output)
    return won.output, won.state


def _key(answer: object) -> str:
    """Return what equal answers share; numbers are compared by nine digits, texts without case and outer spaces."""
    return f"{answer:.9g}" if isinstance(answer, float) else describe_value(answer).strip().casefold()


def _prepare(agent: AgentSpec, options: RunOptions, left: LastRun | None, sink: Sink | None) -> Run:
    """Return a run with its memory, without a session yet."""
    parent = CURRENT_RUN.get()
    goes_on = left.memory.copy() if left and not options.reset else None
    memory = options.memory or goes_on or AgentMemory(agent.system_prompt)
    listener = sink or (parent.forward if parent else printer(agent.verbosity_level))
    run = Run(agent, options, memory, listener, parent)
    run.session = left.session if left else None
    run.objects = dict(left.objects) if left and not options.reset else {}
    return run


async def take_step(agent: AgentSpec, step: ActionStep, task: str) -> object:
    """Take one step on the memory that is kept, written into `step`; return its final answer, or None.

    Raises:
        AgentGenerationError, AgentInterrupted: As a run; what the model may mend is in `step.error`.
    """
    left = agent.last_runs.take(reset=False) or LastRun(AgentMemory(agent.system_prompt), None)
    options = RunOptions(task=task, max_steps=1, reset=False, memory=left.memory)
    run = _prepare(agent, options, left, None)
    run.step_number = step.step_number
    try:
        async with _in_session(run):
            with run.limited(), run.current():
                await act(run, step)
    finally:
        _finish(run)
    return step.action_output if step.is_final_answer else None


async def _driven(run: Run) -> Outcome:
    async with _in_session(run):
        if run.options.memory is None:
            run.memory.append(await run.waits.do(partial(_task, run)))
        before = len(run.memory.steps) - 1
        with run.counted():
            run.result, error = await drive(run, steps)
            _tell_parent(run, run.result, before)
        return run.result, error


def _task(run: Run) -> TaskStep:
    """Put the run's files into its session's folder, and return its task with what is told of files, variables and answer.

    Raises:
        ConfigurationError: It runs no code, or the folder does not hold the files (the caller's fault).
    """
    options = run.options
    if options.files and run.session is None:
        raise ConfigurationError("files= is for agents that run code; give this one's tools what they need")
    if options.files and run.session is not None:
        run.session.executor.put_files([{file.name: file.source for file in options.files}])
    words = _described(options.variables) + describe_files((*options.files, *_files_there(run)))
    words += options.answer.words if options.answer else ""
    return TaskStep(task=options.task + words, task_images=options.images, variables=tuple(options.variables))


def _files_there(run: Run) -> Iterator[GivenFile]:
    """Yield what lies in the session's folder besides the run's own files: given to the executor, or written before."""
    if run.session is None:
        return
    executor, own = run.session.executor, {file.name for file in run.options.files}
    try:
        for name, size in executor.list_files().items():
            if name not in own and not any(part.startswith((".", "_")) for part in name.split("/")):
                source = executor.get_file(name) if size <= _SHORT_BYTES and is_text(name) else b""
                yield GivenFile(name=name, size=size, source=source)
    except (ExecutorUnavailable, FileNotFoundError):  # it has no files, or one was a moment ago
        return


@asynccontextmanager
async def _in_session(run: Run) -> AsyncIterator[None]:
    """Give the run its session, its tools and variables; afterwards nothing is granted to it any more."""
    run.agent.track(run, active=True)  # first, so that an interrupt while the session opens is not lost
    try:
        await run.waits.do(partial(_open, run))
        if run.session is not None:
            await run.session.acquire(run.waits)
        try:
            await run.waits.do(partial(run.agent.bind_session, run))
            yield
        finally:
            run.is_over = True
            run.waits.close()
            if run.session is not None:
                run.session.release()
    finally:
        run.agent.track(run, active=False)


def _open(run: Run) -> None:
    """Give the run a session: the last run's, emptied where this is another conversation, or a fresh one."""
    if run.session is not None and run.session.owned and run.session.made_with != run.agent.session_options():
        # SECURITY: what a run may use is what its agent has when it begins, not what the session of an earlier one was given.
        if not run.options.reset:
            raise ConfigurationError(
                f"executor_type, executor_kwargs or additional_authorized_imports of {run.label} changed since its last run, "
                "whose session cannot have them: reset=True opens one"
            )
        run.session.close()
        run.session = None
    if (
        run.session is not None
        and run.options.reset
        and not run.session.is_fresh
        and not run.session.emptied()
    ):
        run.session = None
    if run.session is None:
        run.session = run.agent.open_session()
    if run.session is not None:
        run.session.is_fresh = False
        run.turns = run.session.turns(run.callables)
        _check_not_used_above(run)


def _check_not_used_above(run: Run) -> None:
    """Raise where a run above uses the same executor: this one would wait for itself.

    Raises:
        ConfigurationError: The caller's fault.
    """
    above = run.parent
    while above is not None:
        if run.session and above.session and above.session.executor is run.session.executor:
            raise ConfigurationError(
                f"{run.label} and {above.label} were given the same executor; a managed agent needs one of its own"
            )
        above = above.parent


def _tell_parent(run: Run, result: RunResult, before: int) -> None:
    """Nest this run's own steps under the step of the run above that called it."""
    if run.parent is None:
        return
    run.parent.add_nested(
        NestedRun(
            run_id=run.id,
            agent=run.label,
            task=run.options.task,
            state=result.state,
            steps=tuple(run.memory.steps[max(before, 0) :]),
            token_usage=result.token_usage,
            timing=result.timing,
        )
    )


def _finish(run: Run) -> None:
    """Keep what is left of the run, or end its session."""
    if run.options.keep:
        run.agent.last_runs.keep(
            LastRun(run.memory, run.session, run.result, run.objects), continued=not run.options.reset
        )
    elif run.session is not None:
        run.session.close()


def _abandon(agent: AgentSpec, options: RunOptions, left: LastRun | None) -> None:
    if options.keep:
        agent.last_runs.abandon(continued=not options.reset)
    if left is not None and left.session is not None:
        left.session.close()


def _described(variables: dict[str, object]) -> str:
    """Return the words for additional arguments: their names and what they are, cut."""
    if not variables:
        return ""
    lines = [
        f"- {name} ({type(value).__name__}): {cut_middle(describe_value(value), 1000)}"
        for name, value in variables.items()
    ]
    return "\nThese variables are given to you, by these names:\n" + "\n".join(lines)


def outcome(result: RunResult, error: BaseException | None, *, full: bool) -> object:
    """Return what `run` returns, or raise what ended the run."""
    stopped = isinstance(error, AgentInterrupted | AgentBudgetError | AgentMaxStepsError)
    if error is not None and not (full and stopped):
        raise error
    return result if full else result.output
