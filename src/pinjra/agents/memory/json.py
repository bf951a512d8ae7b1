"""Steps <-> versioned JSON. Objects that JSON cannot hold are written as a description; secrets are masked."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import is_dataclass
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from pinjra.agents.errors import AgentError, recorded_error
from pinjra.agents.memory.steps import KINDS, MemoryStep, SystemPromptStep, step_to_data
from pinjra.core.errors import ConfigurationError

MEMORY_VERSION = 1


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
    return [from_data(MemoryStep, item) for item in data]


def from_data(kind: Any, data: Any) -> Any:
    """Return what JSON holds as a value of this type: a dataclass's fields by their own types, all others as they are.

    Raises:
        ConfigurationError, KeyError, TypeError: The data are none of it (the caller's fault).
    """
    if isinstance(kind, UnionType):
        return None if data is None else from_data(get_args(kind)[0], data)
    if get_origin(kind) is tuple:
        return tuple(from_data(get_args(kind)[0], item) for item in data)
    if kind is bytes:
        return base64.b64decode(data)
    if kind not in (MemoryStep, AgentError) and not is_dataclass(kind):
        return data
    if not isinstance(data, dict):
        raise ConfigurationError(f"a {kind.__name__} must be an object, not {type(data).__name__}")
    if kind is AgentError:
        return recorded_error((str(data["type"]), str(data["message"])))
    if kind is MemoryStep and (kind := KINDS.get(str(data["kind"]))) is None:
        raise ConfigurationError(f"a step of unknown kind {data['kind']!r}")
    types = _types(kind)
    return kind(**{name: from_data(types[name], data[name]) for name in types if name in data})


_types = cache(get_type_hints)
