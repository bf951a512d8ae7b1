"""Steps <-> versioned JSON. Objects that JSON cannot hold are written as a description; secrets are masked."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import fields

from pinjra.agents.errors import recorded_error
from pinjra.agents.memory.steps import (
    KINDS,
    OBJECTS,
    MemoryStep,
    NestedRun,
    SystemPromptStep,
    Timing,
    ToolRecord,
    step_to_data,
)
from pinjra.core.errors import ConfigurationError
from pinjra.core.execution import Artifact
from pinjra.models.base import TokenUsage, ToolCall

MEMORY_VERSION = 1
# Field name -> how to read it back; everything else is taken as it is.
_RECORDS = {"timing": Timing, "token_usage": TokenUsage}
_LISTS = {"artifacts": Artifact, "tool_calls": ToolCall, "tool_records": ToolRecord, "nested": NestedRun}


def memory_to_json(steps: Iterable[MemoryStep]) -> str:
    """Return steps as versioned JSON; what looks like a secret is masked."""
    data = {"format": "pinjra.memory", "version": MEMORY_VERSION, "steps": [step_to_data(s) for s in steps]}
    return json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1)


def memory_from_json(text: str) -> list[MemoryStep]:
    """Return the steps of `memory_to_json`, the system prompt first.

    Raises:
        ConfigurationError: The text is no saved memory, or of a version not known here (the caller's fault).
    """
    try:
        data = json.loads(text)
        if data["format"] != "pinjra.memory":
            raise ConfigurationError("this is no saved memory of Pinjra")
        if data["version"] != MEMORY_VERSION:
            raise ConfigurationError(
                f"a memory of version {data['version']!r}; this Pinjra reads {MEMORY_VERSION}"
            )
        steps = steps_from_data(data["steps"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"this is no saved memory: {type(error).__name__}: {error}") from error
    if not steps or not isinstance(steps[0], SystemPromptStep):
        raise ConfigurationError("a saved memory begins with its system prompt; this one does not")
    return steps


def steps_from_data(data: Iterable[dict[str, object]]) -> list[MemoryStep]:
    """Return the steps of `step_to_data`.

    Raises:
        ConfigurationError, KeyError, TypeError: The data are no steps (the caller's fault).
    """
    return [_step(item) for item in data]


def _step(data: dict[str, object]) -> MemoryStep:
    kind = KINDS.get(str(data["kind"]))
    if kind is None:
        raise ConfigurationError(f"a step of unknown kind {data['kind']!r}")
    return kind(**{f.name: _read(f.name, data[f.name]) for f in fields(kind) if f.name in data})


def _read(name: str, value: object) -> object:
    if name in _RECORDS:
        return _record(_RECORDS[name], value)
    if name == "error" and isinstance(value, dict):  # a ToolRecord's error is a text
        return recorded_error((str(value["type"]), str(value["message"])))
    if name in _LISTS and isinstance(value, list):
        return tuple(_record(_LISTS[name], item) for item in value)
    if name.endswith("images") and isinstance(value, list):
        return tuple(base64.b64decode(item) for item in value)
    if name == "steps" and isinstance(value, list):
        return tuple(_step(item) for item in value)
    if name == "data" and isinstance(value, str):  # an artifact's
        return base64.b64decode(value)
    if name in OBJECTS:
        return value
    return tuple(value) if isinstance(value, list) else value


def _record(cls: type, data: object) -> object:
    if not isinstance(data, dict):
        raise ConfigurationError(f"a {cls.__name__} must be an object, not {type(data).__name__}")
    return cls(**{f.name: _read(f.name, data[f.name]) for f in fields(cls) if f.name in data})
