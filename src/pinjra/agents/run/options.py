"""What a caller asks of one run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from pinjra.agents.memory.memory import AgentMemory
from pinjra.agents.run.answers import AnswerType
from pinjra.agents.run.budget import Budget
from pinjra.agents.run.waiting import Stop
from pinjra.core.errors import ConfigurationError
from pinjra.core.files import GivenFile, GivenFiles
from pinjra.models.base import image_bytes


class RunArguments(TypedDict, total=False):
    """What `Agent.run` and `arun` take by name, besides what decides what they return."""

    reset: bool
    images: Sequence[object] | None
    additional_args: Mapping[str, object] | None
    max_steps: int | None
    files: GivenFiles | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a caller asks of one run.

    Args:
        reset: False goes on with the memory and the variables of the last run.
        variables: Set in the session before the first step.
        streams: The model's text is wanted as it comes.
        keep: Keep memory and session for `reset=False`; a managed agent's call does not.
        loop: Of `arun`, which drives the run; None: it holds its thread.
        stop: The flag that ends it, where its caller wants to set it.
        memory: Go on with this memory, at its next step, instead of the last run's.
        budget: Instead of the agent's own.
        files: Put into the session's folder before the first step.
        answer: What the final answer must be; None for anything.
    """

    task: str
    max_steps: int
    reset: bool = True
    images: tuple[bytes, ...] = ()
    variables: dict[str, object] = field(default_factory=dict)
    streams: bool = False
    keep: bool = True
    loop: asyncio.AbstractEventLoop | None = None
    stop: Stop | None = None
    memory: AgentMemory | None = None
    budget: Budget | None = None
    temperature: float | None = None
    files: tuple[GivenFile, ...] = ()
    answer: AnswerType | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.task, str):
            raise ConfigurationError(f"the task must be a text, not {type(self.task).__name__}")


def encode_image(image: object) -> bytes:
    """Return an image as a file's bytes.

    Raises:
        ConfigurationError: It is neither bytes, a path nor a PIL image (the caller's fault).
    """
    if isinstance(image, str | Path):
        return Path(image).read_bytes()
    if not isinstance(image, bytes) and not callable(getattr(image, "save", None)):
        raise ConfigurationError(f"an image must be a PIL image, bytes or a path, not {type(image).__name__}")
    return image_bytes(image)
