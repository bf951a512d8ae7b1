"""Events of an agent -> records that a browser shows: texts cut, values described, pictures by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from pinjra.agents.memory.observation import glimpse
from pinjra.agents.memory.steps import ActionStep
from pinjra.core import events as e
from pinjra.core.execution import Artifact
from pinjra.core.json_data import plain
from pinjra.core.redaction import begun, cut, redactor
from pinjra.core.value_text import Room, describe_value

_LONGEST = 200_000  # characters of one text
_ARGUMENT = 20_000  # characters of one argument, or of what a tool gave
_ROWS = 200  # of a table that is the answer
_CELL = 500  # characters of one cell
_TABLE_COST = 40_000_000  # of all cells, as `Room` has it: a million numbers
_LEFT_OUT = frozenset({"record", "observation", "output", "value", "arguments"})

Keep = Callable[[Artifact], dict[str, Any]]


def record_of(event: e.Event, keep: Keep) -> dict[str, Any]:
    """Return an event as JSON data.

    Args:
        keep: Stores an artifact and returns what a page is told of it.
    """
    record = {"event": type(event).__name__, "time": round(time.time(), 3)}
    for field in fields(event):
        if field.name not in _LEFT_OUT:
            record[field.name] = _text(getattr(event, field.name))
    more = _MORE.get(type(event))
    return record | more(event, keep) if more else record


def _text(value: Any) -> Any:
    return plain(cut(value, _LONGEST) if isinstance(value, str) else value)


def _argument(value: object) -> Any:
    return plain(cut(value, _ARGUMENT)) if isinstance(value, str) else plain(glimpse(value))


def _called(event: Any, keep: Keep) -> dict[str, Any]:
    return {
        "arguments": plain({begun(name, 200): _argument(value) for name, value in event.arguments.items()})
    }


def _returned(event: Any, keep: Keep) -> dict[str, Any]:
    return {"value": _argument(event.value)}


def _step(event: Any, keep: Keep) -> dict[str, Any]:
    step = event.record
    if not isinstance(step, ActionStep):
        return {}
    value = "" if step.action_output is None else cut(describe_value(step.action_output), _ARGUMENT)
    return {
        "value": plain(value),
        "table": _table(step.action_output),
        "notes": plain(step.notes),
        "artifacts": [keep(artifact) for artifact in step.artifacts],
        "calls": [
            plain({"name": call.name, "arguments": _argument(call.arguments)}) for call in step.json_calls
        ],
    }


def _answer(event: Any, keep: Keep) -> dict[str, Any]:
    return {"value": plain(cut(describe_value(event.value), _LONGEST)), "table": _table(event.value)}


def _table(value: Any) -> dict[str, Any] | None:
    """Return the first rows of a pandas table (built on the host from plain data); None for anything else."""
    if type(value).__module__.partition(".")[0] != "pandas" or not hasattr(type(value), "columns"):
        return None
    head, room, mask = value.head(_ROWS), Room(_TABLE_COST), redactor()

    def text(cell: Any) -> str:
        # SECURITY: a cell may be an array that takes minutes to be written.
        return begun(str(cell), _CELL, mask) if room.holds(cell) else "…"

    return {
        "columns": list(map(text, head.columns)),
        "rows": [list(map(text, row)) for row in head.itertuples(index=True, name=None)],
        "total": len(value),
    }


_MORE: dict[type[e.Event], Callable[[Any, Keep], dict[str, Any]]] = {
    e.ToolCalled: _called,
    e.ToolReturned: _returned,
    e.StepFinished: _step,
    e.FinalAnswer: _answer,
}
