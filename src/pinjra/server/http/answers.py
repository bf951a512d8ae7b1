"""What the native API answers, as models: the OpenAPI description is made from these, and the property test holds us to them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from pinjra.core.execution import GuestError, Usage
from pinjra.executors.guarantees import Guarantees
from pinjra.server.runs.note import RunFacts

__all__ = [
    "AgentRunAnswer",
    "AgentRunsAnswer",
    "AgentsAnswer",
    "ExecutorsAnswer",
    "FilesAnswer",
    "ForkAnswer",
    "OpenedAnswer",
    "ProgramAnswer",
    "RunAnswer",
    "SessionAnswer",
    "SessionsAnswer",
    "StreamAnswer",
    "TableAnswer",
    "VariablesAnswer",
]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SessionAnswer(_Answer):
    """An open session."""

    id: str
    executor: str
    started: float
    idle_seconds: float
    in_use: bool


class OpenedAnswer(SessionAnswer):
    """An open session with what it enforces; where it is asked for, also what a run may use."""

    guarantees: Guarantees
    limits: dict[str, float | None] = {}


class SessionsAnswer(_Answer):
    """The tenant's open sessions, the oldest first."""

    sessions: list[SessionAnswer]


class ForkAnswer(_Answer):
    """A stream that was forked from another one."""

    id: str


class StreamAnswer(_Answer):
    """A box whose stream is at the WebSocket `/v1/streams/ID`; the last four are what a host says to its worker."""

    id: str
    idle_seconds: float
    scratch: str
    links: list[Any]
    environment: list[Any]
    modules: list[str]


class ArtifactAnswer(_Answer):
    """Something to look at. `data` is base64."""

    media_type: str
    name: str
    data: str


class RunAnswer(_Answer):
    """Everything that came of a run.

    `files` has name -> size of those that it wrote, `status` the exit status of a program in another language.
    """

    value: Any
    stdout: str
    stderr: str
    error: GuestError | None
    artifacts: list[ArtifactAnswer]
    usage: Usage
    is_final_answer: bool
    notes: list[str]
    status: int | None
    files: dict[str, int]


class ProgramAnswer(_Answer):
    """How a program ended; `returncode` is null where it did not end by itself."""

    returncode: int | None
    stdout: str
    stderr: str


class FilesAnswer(_Answer):
    """Name -> size in bytes."""

    files: dict[str, int]


class ExecutorsAnswer(_Answer):
    """What a session may ask for."""

    default: str
    executors: list[str]


class AgentAnswer(_Answer):
    """An agent of the settings."""

    name: str
    description: str
    model: str
    tools: list[str]
    managed_agents: list[str]
    executor: str
    max_steps: int
    approval: Literal["", "code", "tools", "all"]


class AgentsAnswer(_Answer):
    """The agents that tasks can be given to, and what a task may choose."""

    agents: list[AgentAnswer]
    models: list[str]
    executors: list[str]


class WrittenFile(_Answer):
    """A file that a run's code wrote."""

    name: str
    size: int


class AgentRunAnswer(RunFacts):
    """A run of an agent.

    `waiting` are the questions that wait for a person, `snapshots` the steps that a branch can begin at, `session` its session
    where that is still open.
    """

    files: list[WrittenFile]
    session: str | None
    waiting: list[str]
    snapshots: list[int]


class AgentRunsAnswer(_Answer):
    """The tenant's runs, the newest first."""

    runs: list[AgentRunAnswer]


class VariableAnswer(_Answer):
    """A variable of a session, as the guest tells of it."""

    name: str
    type: str
    size: str
    text: str
    is_table: bool


class VariablesAnswer(_Answer):
    """A session's variables."""

    variables: list[VariableAnswer]


class TableAnswer(_Answer):
    """Rows of a table, each with its index first, and how many there are in all."""

    columns: list[str]
    rows: list[list[str]]
    total: int
