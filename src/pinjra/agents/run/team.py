"""A call of a managed agent -> a run of its own below the caller's, and its answer."""

from __future__ import annotations

import asyncio

from pinjra.agents.errors import AgentToolCallError
from pinjra.agents.memory.memory import describe_step
from pinjra.agents.prompts.templates import render, shipped
from pinjra.agents.run.driver import execute, outcome
from pinjra.agents.run.options import RunOptions
from pinjra.agents.run.results import RunResult
from pinjra.agents.run.state import CURRENT_RUN, AgentSpec
from pinjra.agents.run.waiting import Stop, waits_of
from pinjra.core.value_text import describe_value


async def call_managed(
    agent: AgentSpec,
    task: str,
    additional_args: dict[str, object] | None,
    loop: asyncio.AbstractEventLoop | None = None,
) -> object:
    """Return the answer of a managed agent: the object itself, or the text of a report template or summary.

    Where the agent keeps its memory, calls wait for each other; else each has a run of its own.

    Args:
        loop: That drives the run; None: it holds this thread.

    Raises:
        AgentToolCallError: The agent works on the run that calls it: that would never end.
    """
    above = CURRENT_RUN.get()
    stop = above.stop if above is not None else Stop()
    while above is not None:
        if above.agent is agent:
            raise AgentToolCallError(f"{above.label} is called by itself; answer without it")
        above = above.parent
    keep, words = agent.keep_memory, agent.template("managed_agent")
    options = RunOptions(
        task=_task(agent, words["task"], task),
        max_steps=agent.max_steps,
        reset=not keep,
        keep=keep,
        variables=dict(additional_args or {}),
        loop=loop,
    )
    if keep:
        await waits_of(stop, loop).turn(agent.calls_lock)
    try:
        result, error = await execute(agent, options)
    finally:
        if keep:
            agent.calls_lock.release()
    return _report(agent, words["report"], outcome(result, error, full=False), result)


def _task(agent: AgentSpec, template: str, task: str) -> str:
    if getattr(agent, "is_small", False) and template == shipped("managed_agent.task"):
        return task  # small models lose the task among words about it
    return render(template, name=agent.name or "", task=task)


def _report(agent: AgentSpec, template: str, answer: object, result: RunResult) -> object:
    if template == shipped("managed_agent.report") and not agent.provide_run_summary:
        return answer  # the object itself
    text = render(template, name=agent.name or "", final_answer=describe_value(answer))
    if not agent.provide_run_summary:
        return text
    summary = "\n".join(describe_step(step, cut=500) for step in result.memory.steps)
    return f"{text}\n\nSummary of the work:\n{summary}"
