"""A saved run -> the options of a run that goes on with it at its next step, in a new session."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pinjra.agents.memory.memory import AgentMemory
from pinjra.agents.memory.steps import ActionStep, TaskStep
from pinjra.agents.run.options import RunOptions
from pinjra.core.errors import ConfigurationError

# Names bound at the margin, read from the text alone: the host never parses guest code.
_BOUND = re.compile(
    r"^(?:(?P<name>[A-Za-z_]\w*)[ \t]*(?::[^=\n]+)?=(?!=)|(?:async[ \t]+)?def[ \t]+(?P<function>\w+)|class[ \t]+(?P<cls>\w+))",
    re.MULTILINE,
)
# in a JSON agent's result
_KEPT = re.compile(r"An object of type [^,]{1,200}, kept under the name '(\w{1,200})': ")


def load_memory(memory: AgentMemory | str | Path) -> AgentMemory:
    """Return a memory from itself, its JSON, or a file of it.

    Raises:
        ConfigurationError: It is no saved memory (the caller's fault).
    """
    if isinstance(memory, AgentMemory):
        return memory.copy()
    if isinstance(memory, str) and memory.lstrip().startswith("{"):
        return AgentMemory.from_json(memory)
    return AgentMemory.from_json(Path(memory).read_text(encoding="utf-8"))


def resumed(
    memory: AgentMemory, max_steps: int, variables: Mapping[str, object] | None, *, has_session: bool = True
) -> RunOptions:
    """Return the options to go on; a note in memory says which variables are gone.

    Raises:
        ConfigurationError: The run has its final answer, or no task (the caller's fault).
    """
    steps = memory.steps
    tasks = [step for step in steps if isinstance(step, TaskStep)]
    actions = [step for step in steps if isinstance(step, ActionStep)]
    if not tasks:
        raise ConfigurationError("this memory has no task to go on with")
    if actions and actions[-1].is_final_answer:
        raise ConfigurationError("this run has its final answer; there is nothing to go on with")
    given = dict(variables or {})
    memory.append(
        TaskStep(task=_note(actions, tasks, given, has_session=has_session), variables=tuple(given))
    )
    return RunOptions(task=tasks[-1].task, max_steps=max_steps, variables=given, memory=memory)


def _note(
    actions: list[ActionStep], tasks: list[TaskStep], given: Mapping[str, object], *, has_session: bool
) -> str:
    gone = _bound_names(actions) if has_session else _kept_names(actions)
    gone += [name for task in tasks for name in task.variables]
    gone = [name for name in dict.fromkeys(gone) if name not in given]
    words = ["You were interrupted and go on now with the same task at the next step."]
    if has_session:
        words.append("The Python session is a new one.")
    if gone:
        words.append(
            f"These names could not be restored: {', '.join(gone)}. Define again what you need, imports too."
        )
    if given:
        words.append(f"These variables are given again: {', '.join(given)}.")
    return " ".join(words)


def _bound_names(actions: list[ActionStep]) -> list[str]:
    names: list[str] = []
    for step in actions:
        for match in _BOUND.finditer(step.code_action or ""):
            name = match["name"] or match["function"] or match["cls"]
            if name:
                names.append(name)
    return names


def _kept_names(actions: list[ActionStep]) -> list[str]:
    found = (_KEPT.match(result) for step in actions for result in step.tool_results)
    return [match[1] for match in found if match]
