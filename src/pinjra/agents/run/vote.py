"""Several independent attempts at one task -> the answer that most of them give.

Small models gain little by it (0.5B: 26 of 42 questions alone, 28 with a vote of five, at three times the time; see
`bench/questions.py`). Attempts are counted on one budget.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from pinjra.agents.errors import AgentError, AgentInterrupted
from pinjra.agents.memory.observation import describe_value
from pinjra.agents.run.budget import Budget
from pinjra.agents.run.driver import execute, prepare
from pinjra.agents.run.loop import end_state, finished, result_of
from pinjra.agents.run.options import RunOptions
from pinjra.agents.run.results import RunResult
from pinjra.agents.run.sessions import LastRun
from pinjra.agents.run.state import AgentSpec, Outcome, Run, Sink
from pinjra.core.events import FinalAnswer, RunFinished, RunStarted

__all__ = ["execute_vote"]

_FIRST_TEMPERATURE = 0.0
_OTHER_TEMPERATURE = 0.7


async def execute_vote(agent: AgentSpec, options: RunOptions, sink: Sink | None) -> Outcome:
    """Return the result of the attempt whose answer won, with the tokens of all; the earliest of equals wins."""
    outer = prepare(agent, options, None, sink)
    agent.track(outer, active=True)
    outer.emit(RunStarted, task=options.task)
    error: BaseException | None = None
    winner: RunResult | None = None
    try:
        with outer.limited(), outer.current():
            winner = await _attempts(outer, options)
    except AgentError as raised:
        error = raised
    finally:
        agent.track(outer, active=False)
    result = result_of(outer, end_state(error) if error else "error", error)
    if winner is not None:
        used = {name: getattr(result, name) for name in ("token_usage", "money", "timing", "run_id")}
        result = replace(winner, **used)
    if isinstance(error, AgentError):
        error.result = result
    if winner is not None:
        outer.emit(FinalAnswer, value=result.output)
    outer.emit(RunFinished, **finished(result))
    if options.keep:
        agent.last_runs.keep(LastRun(result.memory, None, result=result), continued=False)
    return result, error


async def _attempts(outer: Run, options: RunOptions) -> RunResult:
    """Return the winner; stops early when no other answer can win any more."""
    votes = outer.agent.vote
    results: list[RunResult] = []
    answers: Counter[str] = Counter()
    for number in range(votes):
        outer.stop.check()
        outer.meter.check()
        temperature = _OTHER_TEMPERATURE if number else _FIRST_TEMPERATURE
        own = Budget(price=outer.budget.price)
        attempt = replace(options, keep=False, stop=None, temperature=temperature, budget=own)
        result, error = await execute(outer.agent, attempt)
        outer.stop.check()
        if error is not None and (isinstance(error, AgentInterrupted) or not isinstance(error, AgentError)):
            raise error
        results.append(result)
        if result.state == "success":
            answers[_key(result.output)] += 1
            if max(answers.values()) * 2 > votes:
                break
    return _winner(results, answers)


def _winner(results: list[RunResult], answers: Counter[str]) -> RunResult:
    if not answers:
        return results[0]  # no attempt succeeded: the first says why
    best = answers.most_common(1)[0][0]
    return next(r for r in results if r.state == "success" and _key(r.output) == best)


def _key(answer: object) -> str:
    """Return what equal answers share; numbers are compared by nine digits, texts without case and outer spaces."""
    if isinstance(answer, float):
        return f"{answer:.9g}"
    return describe_value(answer).strip().casefold()
